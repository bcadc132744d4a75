"""`fabula compare` as a user or a script meets it: on run folders and on logs, exit codes, wrong input, the page."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.report.synthetic import write_run
from typer.testing import CliRunner

from fabula.cli import app, run
from fabula.recipe.ladder import load_ladder
from fabula.recipe.schema import Recipe
from fabula.study import compare
from fabula.study.referee.value import Asked
from fabula.study.referee.words import reason

SEEDS = {"base": (0, 1, 2), "new": (10, 11, 12), "third": (20, 21, 22)}


def write_log(path: Path, end: float, seed: int, *, steps: int = 400, shift: float | None = None,
              name: str = "val_loss", rows: int = 16, nan_from: int | None = None) -> Path:  # fmt: skip
    """A CSV of another program: an evaluation every ten steps."""
    random = np.random.default_rng(seed)
    shift = 0.01 * float(random.standard_normal()) if shift is None else shift
    lines = [f"step,train_loss,{name},tokens"]
    for step in range(10, steps + 1, 10):
        held = end + shift + 6 * np.exp(-step / 60)
        train = held + 0.03 * random.standard_normal()
        if nan_from is not None and step >= nan_from:
            held = train = np.nan
        lines.append(f"{step},{train:.4f},{held:.4f},{step * rows * 128}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        for place, (name, end) in enumerate({"base": 3.0, "good": 2.8, "bad": 3.2}.items()):
            write_log(tmp_path / f"{name}-{seed}.csv", end, 10 * place + seed)
    return tmp_path


def code_and_document(*arguments: str) -> tuple[int, dict]:
    result = CliRunner().invoke(app, ["compare", *arguments, "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


def refused(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["compare", *arguments]) == 2
    out, err = capfd.readouterr()
    assert not out and err.count("\n") == 1, err
    return err


def test_what_helps_is_kept_and_what_hurts_discarded(logs: Path) -> None:
    code, told = code_and_document("base=base-*", "new=good-*")
    assert (code, told["decision"]) == (0, "keep")
    code, told = code_and_document("base=base-*", "new=bad-*")
    assert (code, told["decisions"]) == (1, {"new": "discard"})
    (group,) = told["groups"]
    assert [Path(each["path"]).name for each in group["runs"]] == ["bad-0.csv", "bad-1.csv", "bad-2.csv"]
    assert group["interval"][0] < group["difference"] < group["interval"][1]
    assert group["difference"] == pytest.approx(group["mean"] - told["base"]["mean"])


def test_of_several_groups_one_that_is_kept_makes_the_exit_code(logs: Path) -> None:
    code, told = code_and_document("base=base-*", "bad=bad-*", "good=good-*")
    assert (code, told["decisions"]) == (0, {"bad": "discard", "good": "keep"})


def test_one_run_against_one_wants_more_seeds(logs: Path) -> None:
    code, told = code_and_document("base=base-0.csv", "new=good-0.csv")
    assert (code, told["decision"]) == (3, "more_seeds")
    assert told["groups"][0]["seeds_wanted"] == {"base": 2, "new": 2}


def test_paths_may_be_listed_and_runs_of_one_file_named(logs: Path) -> None:
    """A chart of Weights & Biases holds the runs of both groups."""
    table = {name: (logs / f"{name}.csv").read_text(encoding="utf-8").split("\n")[1:-1]
             for name in ("base-0", "base-1", "base-2", "good-0", "good-1", "good-2")}  # fmt: skip
    lines = ["Step," + ",".join(f'"{name} - val_loss"' for name in table)]
    lines += [
        ",".join([cells[0].split(",")[0], *(cell.split(",")[2] for cell in cells)])
        for cells in zip(*table.values(), strict=True)
    ]
    (logs / "chart.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code, told = code_and_document("base=chart.csv::base-*", "new=chart.csv::good-0,chart.csv::good-[12]")
    assert (code, len(told["groups"][0]["runs"])) == (0, 3)
    listed = code_and_document("base=base-0.csv, base-1.csv,base-2.csv", "new=good-*")[1]
    assert listed["groups"][0]["difference"] == pytest.approx(told["groups"][0]["difference"])


TABLES = {
    "runs.csv": ("name,steps,val_loss", "{name}-{seed},400,{loss}"),
    "wandb.csv": ('"Name","State","Created","val/loss"', '"{name}-{seed}","finished","2026","{loss}"'),
    "variants.csv": ("variant,seed,val_loss", "{name},{seed},{loss}"),
    "variants.jsonl": ("", '{{"variant": "{name}", "seed": {seed}, "eval_loss": {loss}}}'),
    "variants.md": ("| variant | val_loss |\n|---|---|", "| {name} | {loss} |"),
}
ENDS = {"base": (3.01, 3.0, 2.99), "new": (2.81, 2.8, 2.79)}


@pytest.mark.parametrize("form", TABLES)
def test_a_table_of_runs_has_a_line_for_what_each_came_to(form: str, logs: Path) -> None:
    header, line = TABLES[form]
    lines = [line.format(name=name, seed=seed, loss=loss) for name, losses in ENDS.items()
             for seed, loss in enumerate(losses)]  # fmt: skip
    (logs / form).write_text("\n".join([*filter(None, [header]), *lines]) + "\n", encoding="utf-8")
    code, told = code_and_document(f"base={form}::base*", f"new={form}::new*")
    assert (code, told["decision"]) == (0, "keep")
    assert told["groups"][0]["difference"] == pytest.approx(-0.2)
    code, told = code_and_document(f"base={form}::base*", "new=good-*")
    assert (code, told["decision"]) == (4, "incomparable")  # nobody knows where such numbers were taken


def test_a_run_of_a_table_may_have_failed_or_go_on(logs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = ["name,state,val_loss", "b-0,finished,3.0", "b-1,finished,3.1", "n-0,finished,2.5", "n-1,crashed,2.6"]
    (logs / "t.csv").write_text("\n".join([*lines, "m-0,finished,2.5", "m-1,finished,", ""]), encoding="utf-8")
    _, told = code_and_document("base=t.csv::b*", "new=t.csv::n*", "more=t.csv::m*")
    assert told["decisions"] == {"new": "discard", "more": "discard"}
    (logs / "t.csv").write_text("\n".join([*lines, "m-0,running,2.5", ""]), encoding="utf-8")
    assert "m-0 still runs" in refused(capfd, "base=t.csv::b*", "new=t.csv::n*")


def test_a_file_with_several_kinds_of_runs_is_no_group(logs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lines = ["variant,seed,step,val_loss"]
    for name, ends in ENDS.items():
        for seed, end in enumerate(ends):
            lines += [f"{name},{seed},{step},{end + 5 * np.exp(-step / 50):.4f}" for step in range(10, 210, 10)]
    (logs / "all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert "choose with base=all.csv::base" in refused(capfd, "base=all.csv", "new=good-*")
    code, told = code_and_document("base=all.csv::base", "new=all.csv::new")
    assert (code, len(told["base"]["runs"])) == (0, 3)


def test_runs_of_unequal_length_are_compared_at_equal_tokens(logs: Path) -> None:
    """At the same step a run of double batches has seen double the tokens."""
    for seed in range(3):
        write_log(logs / f"long-{seed}.csv", 3.0, 30 + seed, rows=32, steps=300, shift=0.0)
    _, told = code_and_document("base=base-*", "new=long-*")
    assert (told["rule"]["by"], told["rule"]["at"]) == ("tokens", 400 * 16 * 128)
    assert told["groups"][0]["runs"][0]["value"] == pytest.approx(3.0 + 6 * np.exp(-200 / 60), abs=1e-3)
    _, by_steps = code_and_document("base=base-*", "new=long-*", "--by", "steps")
    assert by_steps["rule"]["at"] == 300


def test_a_run_that_stopped_early_has_nothing_to_be_compared(logs: Path) -> None:
    for seed in range(3):
        write_log(logs / f"short-{seed}.csv", 2.5, 40 + seed, steps=100)
    code, told = code_and_document("base=base-*", "new=short-*", "good=good-*")
    assert (code, told["decisions"]) == (0, {"new": "incomparable", "good": "keep"})
    assert told["rule"]["by"] == "end"  # what cannot be compared does not choose where the others are


def test_a_failed_run_counts_against_its_group(logs: Path) -> None:
    write_log(logs / "good-1.csv", 2.8, 51, nan_from=300)
    code, told = code_and_document("base=base-*", "new=good-*")
    assert (code, told["decision"]) == (1, "discard")
    assert "1 of 3 runs of new failed" in told["groups"][0]["reason"]
    assert told["groups"][0]["mean"] is None
    code, told = code_and_document("base=good-*", "new=base-*")
    assert (code, told["decision"]) == (4, "incomparable")


@pytest.mark.parametrize("other", [{"name": "eval_perplexity_loss"}, {"name": "test_loss"}])
def test_losses_of_other_names_are_not_compared(logs: Path, other: dict) -> None:
    for seed in range(3):
        write_log(logs / f"other-{seed}.csv", 2.5, 60 + seed, **other)
    code, told = code_and_document("base=base-*", "new=other-*")
    assert (code, told["decision"]) == (4, "incomparable")
    assert "another name" in told["groups"][0]["reason"]


def test_the_mean_of_the_last_evaluations_and_the_training_loss_can_be_asked_for(logs: Path) -> None:
    ends = [3.0 + 6 * np.exp(-step / 60) for step in (380, 390, 400)]
    write_log(logs / "base-0.csv", 3.0, 70, shift=0.0)
    told = code_and_document("base=base-*", "new=good-*", "--last", "3")[1]
    assert told["base"]["runs"][0]["value"] == pytest.approx(np.mean(ends), abs=1e-4)
    told = code_and_document("base=base-*", "new=good-*", "--value", "training")[1]
    assert told["rule"]["loss"] == "training"
    assert told["base"]["runs"][0]["value"] == pytest.approx(3.02, abs=0.06)


def test_a_group_without_a_validation_loss_takes_the_training_loss_for_all(logs: Path) -> None:
    for seed in range(3):
        lines = (logs / f"good-{seed}.csv").read_text(encoding="utf-8").splitlines()
        kept = [",".join((*line.split(",")[:2], line.split(",")[3])) for line in lines]
        (logs / f"good-{seed}.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    _, told = code_and_document("base=base-*", "new=good-*")
    assert told["rule"]["loss"] == "training"
    assert "good-0.csv has no validation loss" in told["rule"]["sentence"]


def test_wrong_input_is_one_line(logs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (logs / "copy").mkdir()
    (logs / "copy" / "c.csv").write_bytes((logs / "base-0.csv").read_bytes())
    wrong = {
        ("base=base-*",): "a base and one other group",
        ("base=base-*", "good-0.csv"): "names no group",
        ("base=base-*", "new="): "names no path",
        ("base=base-*", "new=nowhere"): "does not exist",
        ("base=base-*", "new=nowhere-*"): "matches nothing",
        ("base=base-*", "new=base-1.csv"): "is in base and in new",
        ("base=base-0.csv", "base=base-1.csv", "new=good-*"): "given twice",
        ("base=base-0.csv,base-*", "new=good-*"): "twice in base",
        ("base=base-*,copy", "new=good-*"): "hold the same numbers",
        ("base=base-*", "new=good-*", "--look", "2"): "is not K/N",
        ("base=base-*", "new=good-*", "--look", "3/2"): "look 3 of 2 is none",
        ("base=base-*", "new=good-*", "--detect", "-1"): "above 0",
        ("base=base-*", "new=good-*", "--by", "seconds"): "no seconds are known",
        ("base=base-*", "new=good-*", "--last", "99"): "ask for fewer",
        ("base=base-*", "new=good-*", "--out", "page.txt"): "is an .html file",
        ("base=base-*", "new=good-*::x"): "leave :: out",
    }
    for arguments, said in wrong.items():
        assert said in refused(capfd, *arguments), arguments


def test_the_page_shows_the_decision_the_groups_and_every_run(logs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "base=base-*", "new=good-*", "--out", "page.html"]) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("keep: new is better than base") and "page.html" in out
    page, twin = ((logs / name).read_text(encoding="utf-8") for name in ("page.html", "page.md"))
    assert "<svg" in page
    assert "**Keep**: new is better than base" in twin and "nats per" not in twin.split("## Groups")[0]
    assert all(f"`{name}-{seed}.csv`" in twin for name in ("base", "good") for seed in range(3))


def small(peak: float | None = None) -> Recipe:
    recipe = load_ladder("classic").recipe("basic", "init", 0.01)
    return recipe if peak is None else recipe.with_values(**{"schedule.peak": peak})


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in range(3):
        write_run(tmp_path / "base" / f"seed-{seed}", small(), seed)
        write_run(tmp_path / "new" / f"seed-{seed}", small(0.002), seed, end=2.8)
    return tmp_path


def test_runs_of_fabula_are_compared_by_their_final_evaluation_and_by_seed(runs: Path) -> None:
    compared = compare({"base": [runs / "base"], "new": [runs / "new"]})
    assert compared.paired
    assert compared.decision == "keep"
    assert reason(compared.others[0], compared).endswith(", nats per token.")
    assert compared.others[0].differs == ("schedule.peak",)
    final = compared.base.group.members[0].facts.final["val_loss"]
    assert compared.base.values[0] == final


def test_other_rulers_other_recipes_in_a_group_and_a_log_beside_runs(runs: Path) -> None:
    for seed in range(2):
        write_run(runs / "ruler" / f"seed-{seed}", small(0.003), seed, rulers="b")
        write_log(runs / f"log-{seed}.csv", 3.0, seed)
    compared = compare(
        {"base": [runs / "base"], "ruler": [runs / "ruler"], "log": [runs / f"log-{seed}.csv" for seed in range(2)]}
    )
    assert compared.exit_code == 4
    told = [each.judged.told for each in compared.others if each.judged is not None]
    assert "ruler" in told[0] and "other programs do not say" in told[1]
    with pytest.raises(ValueError, match=r"several recipes .* differ in schedule\.peak"):
        compare({"base": [runs / "base", runs / "new" / "seed-0"], "new": [runs / "new" / "seed-1"]})


def test_all_runs_are_measured_alike_where_one_lacks_its_final_evaluation(runs: Path) -> None:
    """It was stopped just before; the others' last evaluations on part of the stories are what all have."""
    assert "on all validation stories" in compare({"base": [runs / "base"], "new": [runs / "new"]}).rule.sentence()
    steps = small().steps
    write_run(runs / "new" / "seed-3", small(0.002), 3, end=2.8, status="interrupted", stop_at=steps - 1, every=1)
    compared = compare({"base": [runs / "base"], "new": [runs / "new"]})
    assert compared.rule.by == "end" and not compared.rule.final
    curve = compared.base.group.members[0].facts.val_loss
    assert curve is not None and compared.base.values[0] == curve.values[-1]
    assert None not in compared.others[0].values


def test_training_losses_of_other_batches_are_other_numbers(runs: Path) -> None:
    """Padded rows end more stories than packed windows do."""
    packed = load_ladder("classic").recipe("basic", "packed", 0.01)
    for seed in range(2):
        write_run(runs / "packed" / f"seed-{seed}", packed, seed)
    groups = {"base": [runs / "base"], "new": [runs / "new"], "packed": [runs / "packed"]}
    assert compare(groups).exit_code == 0
    told = compare(groups, asked=Asked(loss="training"))
    assert [each.judged.why for each in told.others if each.judged is not None] == ["better", "unlike"]


def test_a_seed_counts_once(runs: Path) -> None:
    write_run(runs / "again", small(), 0, end=3.01)
    with pytest.raises(ValueError, match=r"same recipe and seed \(0\)"):
        compare({"base": [runs / "base", runs / "again"], "new": [runs / "new"]})


def test_a_run_that_says_it_failed_is_no_mean(runs: Path) -> None:
    write_run(runs / "new" / "seed-3", small(0.002), 3, status="failed", stop_at=60, nan_at=50)
    compared = compare({"base": [runs / "base"], "new": [runs / "new"]})
    assert (compared.decision, compared.others[0].mean, compared.others[0].num_failed) == ("discard", None, 1)
