"""`fabula diagnose` as a user meets it: verdict, exit code, JSON, standard input, and how long it takes."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.curves import Baseline, Packed
from tests.report.synthetic import write_ladder
from typer.testing import CliRunner

from fabula.cli import app
from fabula.errors import InputError
from fabula.recipe.ladder import load_ladder
from fabula.study import read_ladder, summary

LOGS = Path(__file__).parent.parent / "record" / "logs"
FINDING = ["kind", "scope", "severity", "sentence", "steps", "evidence", "alternatives", "try"]
MAX_CPU_SECONDS = 2.0
MOST_OVER_JSON = 4.0  # 2.3 to 3.0 were measured, alone and beside others


def command(*arguments: object, stdin: str | bytes = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `fabula diagnose ARGUMENTS`; an InputError is raised as it is."""
    result = CliRunner().invoke(app, ["diagnose", *map(str, arguments)], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def document(*arguments: object, stdin: str = "") -> dict:
    return json.loads(command(*arguments, "--json", stdin=stdin)[1])


def of_kind(told: dict, kind: str) -> list[dict]:
    return [finding for finding in told["findings"] if finding["kind"] == kind]


def losses(*levels: float) -> str:
    """A log of 100 steps a level, falling a little within each."""
    values = [level - place / 1000 for level in levels for place in range(100)]
    return "step,loss\n" + "".join(f"{step},{value:.4f}\n" for step, value in enumerate(values, start=1))


@pytest.fixture
def diverged(tmp_path: Path) -> Path:
    (tmp_path / "diverged.csv").write_text(losses(5.0, 4.5, 4.0, 6.0), encoding="utf-8")
    return tmp_path / "diverged.csv"


@pytest.fixture
def warned(tmp_path: Path) -> Path:
    """A spike of ten steps."""
    text = losses(5.0, 4.5, 4.0).splitlines()
    text[200:210] = [f"{step},7.0" for step in range(200, 210)]
    (tmp_path / "warned.csv").write_text("\n".join(text) + "\n", encoding="utf-8")
    return tmp_path / "warned.csv"


def test_a_baseline_that_diverges_twice(baseline: Baseline) -> None:
    told = document(baseline.path, "--vocab", 50257)
    assert told["verdict"] == "failed" and told["format"] == "csv"
    assert [tuple(finding["steps"]) for finding in of_kind(told, "divergence")] == list(baseline.divergences)
    assert [finding["severity"] for finding in of_kind(told, "divergence")] == ["warning", "failure"]
    (recovery,) = of_kind(told, "recovery")
    assert tuple(recovery["steps"]) == baseline.recovery
    (start,) = of_kind(told, "initial_loss_off")
    assert start["evidence"]["first_loss"] == baseline.first_loss
    assert all(sorted(finding) == sorted(FINDING) for finding in told["findings"])


def test_a_packed_run_that_stays_stable(packed: Packed) -> None:
    told = document(packed.path, "--vocab", 50257, "--from-scratch")
    assert told["verdict"] == "healthy"
    assert of_kind(told, "schedule_ok") and not of_kind(told, "divergence") and not of_kind(told, "initial_loss_off")


def test_verdict_first_then_findings_then_what_is_not_known(diverged: Path) -> None:
    code, out, _ = command(diverged)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"failed: {diverged} (csv, 400 training lines, steps 1 to 400)"
    assert lines[1].split()[:2] == ["failure", "divergence"] and "[steps 30" in lines[1] and "level_before" in lines[1]
    assert lines[2].strip().startswith("possible causes: ") and lines[3].strip().startswith("try: ")
    assert "    initial_loss_off: needs the vocabulary's size (--vocab)" in lines
    assert lines[-1].startswith(f"next: fabula diagnose {diverged} --vocab N")


@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [
        ("diverged", [], 0),
        ("diverged", ["--fail-on", "warning"], 1),
        ("diverged", ["--fail-on", "failure"], 1),
        ("diverged", ["--fail-on", "failure", "--json"], 1),
        ("warned", ["--fail-on", "warning"], 1),
        ("warned", ["--fail-on", "failure"], 0),
        ("healthy", ["--fail-on", "warning"], 0),
    ],
)
def test_exit_codes(
    given: str, options: list[str], expected: int, diverged: Path, warned: Path, tmp_path: Path
) -> None:
    (tmp_path / "healthy.csv").write_text(losses(5.0), encoding="utf-8")
    assert command(tmp_path / f"{given}.csv", *options)[0] == expected


def test_options_wake_the_rules_that_need_them(tmp_path: Path) -> None:
    log = tmp_path / "scaled.csv"
    rows = [f"{step},{86.6 - step / 20:.3f},{9.0:.1f}" for step in range(1, 61)]
    log.write_text("step,loss,grad_norm\n" + "\n".join(rows) + "\n", encoding="utf-8")
    without = document(log)
    silent = {kind for each in without["silent"] for kind in each["kinds"]}
    assert {"initial_loss_off", "loss_scaled_by_accumulation", "clipping_dominates"} <= silent
    start = next(each for each in without["silent"] if "initial_loss_off" in each["kinds"])
    assert start["option"] == "--vocab" and start["lacks"].endswith("(--vocab)")
    assert None in [each["option"] for each in without["silent"]], "no option brings what only a run folder holds"
    told = document(log, "--vocab", 50257, "--accumulation", 8, "--clip", 1.0, "--from-scratch")
    assert of_kind(told, "loss_scaled_by_accumulation") and of_kind(told, "clipping_dominates")
    assert not of_kind(told, "initial_loss_off")
    _, out, _ = command(log, "--vocab", 50257, "--clip", 1.0)
    assert out.splitlines()[-1] == f"next: fabula diagnose {log} --vocab 50257 --clip 1 --accumulation N"


def test_epochs_that_count_as_steps_are_not_called_few_updates(tmp_path: Path) -> None:
    rows = "".join(f"{n},{2 + 3 / (1 + n)},{2.1 + 3 / (1 + n)}\n" for n in range(1, 31))
    for name, but in (("epoch", False), ("step", True)):
        log = tmp_path / f"{name}.csv"
        log.write_text(f"{name},loss,val_loss\n{rows}", encoding="utf-8")
        assert ("trained for only" in " ".join(command(log)[1].split())) is but


def test_columns_can_be_said_and_the_next_command_says_them_too(tmp_path: Path) -> None:
    log = tmp_path / "mine.csv"
    log.write_text(losses(5.0).replace("step", "gradus").replace("loss", "damnum"), encoding="utf-8")
    with pytest.raises(InputError, match=r"gradus, damnum; say .* --columns"):
        command(log)
    _, out, _ = command(log, "--columns", "step=gradus,loss=damnum")
    assert out.startswith("healthy") and "`damnum` is read as loss" in out
    assert out.splitlines()[-1].startswith(f"next: fabula diagnose {log} --columns step=gradus,loss=damnum")
    for said in ("step=gradus,loss=damnumm", "gradus", "colour=gradus"):
        with pytest.raises(InputError, match="--columns"):
            command(log, "--columns", said)


def test_a_start_below_chance_needs_to_be_from_scratch(tmp_path: Path) -> None:
    log = tmp_path / "tuned.csv"
    log.write_text(losses(4.0), encoding="utf-8")
    told = document(log, "--vocab", 50257)
    assert not of_kind(told, "initial_loss_off")
    assert "(--from-scratch)" in next(each["lacks"] for each in told["silent"] if "initial_loss_off" in each["kinds"])
    assert of_kind(document(log, "--vocab", 50257, "--from-scratch"), "initial_loss_off")


def test_a_value_that_is_not_on_a_line_is_no_lost_value(tmp_path: Path) -> None:
    """Losses on some lines, evaluations on others, the gradient norm on every second: nothing is missing there."""
    log = tmp_path / "mixed.jsonl"
    lines = [
        {"step": step, "loss": 5 - step / 100, **({"grad_norm": 1.0} if step % 2 else {})} for step in range(1, 101)
    ]
    lines += [{"step": step, "eval_loss": 5.1 - step / 100} for step in range(10, 101, 10)]
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    told = document(log)
    assert told["verdict"] == "healthy" and of_kind(told, "generalizes")
    lines[60]["grad_norm"] = float("nan")
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    told = document(log)
    assert told["verdict"] == "warning" and of_kind(told, "non_finite")[0]["steps"] == [61, 61]


def test_standard_input(diverged: Path) -> None:
    told = document("-", stdin=diverged.read_text(encoding="utf-8"))
    assert told["source"] == "standard input" and told["verdict"] == "failed"
    printed = document("-", stdin=(LOGS / "trainer.log").read_text(encoding="utf-8"))
    assert printed["format"] == "printed Trainer"
    assert "train_loss_is_average" in [note["kind"] for note in printed["notes"]]


def test_a_folder_is_as_good_as_its_worst_run(diverged: Path, warned: Path) -> None:
    (diverged.parent / "stories.jsonl").write_text('{"text": "Once"}\n', encoding="utf-8")
    code, out, err = command(diverged.parent, "--fail-on", "failure")
    assert code == 1
    assert "failed: 2 runs, 1 failed, 1 warning" in out and "stories.jsonl" in err
    assert out.count("not checked in any of them") == 1
    told = document(diverged.parent)
    assert told["verdict"] == "failed" and [run["verdict"] for run in told["runs"]] == ["failed", "warning"]


def test_notes_are_told_to_people_too() -> None:
    _, out, _ = command(LOGS / "trainer")
    assert "about this log:" in out and "logging_nan_inf_filter" in out
    assert "has only 30 updates" in out


@pytest.mark.parametrize("content", ["", "\x00\x01\x02", "Once upon a time.", "a,b\n1,2\n", '{"step": 1}\n{"st\n{}\n'])
def test_wrong_input_is_one_line(content: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as told:
        command(log)
    assert str(told.value).startswith(str(log)) and "\n" not in str(told.value)


def test_the_process_ends_with_two_and_one_line(tmp_path: Path) -> None:
    script = "import sys; sys.argv[0] = 'fabula'; from fabula.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", script, "diagnose", str(tmp_path / "nowhere")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.startswith("fabula: ") and result.stderr.count("\n") == 1


def test_the_page_lists_every_trap(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "diagnose_page.py"))
    page = (repo / "docs" / "diagnose.md").read_text(encoding="utf-8")
    assert "logging_nan_inf_filter" in page
    assert script["written"](page) == page, "run: python docs/diagnose_page.py"


LONG = """
import sys, time
from fabula.cli import main
sys.argv = ["fabula", "diagnose", sys.argv[1], "--json"]
try:
    main()
finally:
    print(time.process_time(), file=sys.stderr)
"""

JSON_ALONE = """
import json, sys, time
import numpy
lines = [json.loads(line) for line in open(sys.argv[1])]
print(time.process_time(), file=sys.stderr)
"""


def cpu_seconds(script: str, log: Path) -> tuple[float, str]:
    """The processor time of a whole process on one thread, and what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", script, str(log)],
        capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return float(result.stderr.splitlines()[-1]), result.stdout


def long_log(form: str) -> Iterator[str]:
    if form == "csv":
        yield "step,loss,grad_norm,learning_rate,tokens\n"
    for step in range(1, 150_001):
        loss = 2 + 8 / (1 + step / 2000) + 0.1 * (step * 7919 % 1000) / 1000
        values = (step, round(loss, 5), round(1 + 0.3 * (step * 104_729 % 1000) / 1000, 4), 1e-3, step * 2048)
        if form == "csv":
            yield ",".join(map(str, values)) + "\n"
        else:
            names = ("step", "loss", "grad_norm", "learning_rate", "tokens")
            yield json.dumps(dict(zip(names, values, strict=True))) + "\n"


@pytest.fixture(scope="module")
def long_logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {form: tmp_path_factory.mktemp("long") / f"long.{form}" for form in ("csv", "jsonl")}
    for form, path in made.items():
        path.write_text("".join(long_log(form)), encoding="utf-8")
    return made


@pytest.mark.long
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_150_000_lines_take_less_than_two_seconds(form: str, long_logs: dict[str, Path]) -> None:
    """Of processor time; on a slower machine, or beside others, a few times what the standard library's JSON takes."""
    log, lines = long_logs[form], long_logs["jsonl"]
    for _ in range(3):  # in turns: neighbours can only add
        alone, _printed = cpu_seconds(JSON_ALONE, lines)
        seconds, printed = cpu_seconds(LONG, log)
        told = json.loads(printed)
        assert told["verdict"] == "healthy" and of_kind(told, "stable")[0]["evidence"]["points"] == {"loss": 150_000}
        if seconds < max(MAX_CPU_SECONDS, MOST_OVER_JSON * alone):
            return
    raise AssertionError(f"{seconds:.2f} s, JSON alone {alone:.2f} s")


@pytest.mark.long
def test_a_ladder_states_its_effects_as_the_report_does(tmp_path: Path) -> None:
    ladder = write_ladder(tmp_path / "ladder", seeds=2, ladder=load_ladder("factorial"))
    told = document(ladder)
    assert len(told["runs"]) == 16 and told["silent"] == []
    assert [each["kind"] for each in told["findings"]] == ["effect"] * 3 + ["interaction"] * 4
    assert told["findings"] == json.loads(json.dumps(summary(read_ladder([ladder]))["effects"]))
    assert all(len(each["evidence"]["protocols"]["stream"]["differences"]) == 2 for each in told["findings"])
    words = " ".join(command(ladder)[1].split())
    for each in told["findings"]:
        assert f"{each['severity']} {each['kind']} " in words and each["sentence"] in words


@pytest.mark.parametrize(
    ("seeds", "changed", "lacks"),
    [
        (1, {}, "needs two seeds or more: with one, any difference may be chance"),
        (
            2,
            {"init_1": {"status": "interrupted", "stop_at": 150}, "packed_1": {"status": "running", "stop_at": 150}},
            "needs two seeds or more that have finished every run that is compared",
        ),
    ],
)
def test_a_ladder_that_can_show_nothing_says_why(tmp_path: Path, seeds: int, changed: dict, lacks: str) -> None:
    ladder = write_ladder(tmp_path / "ladder", seeds=seeds, **changed)
    told = document(ladder)
    assert told["findings"] == []
    assert told["silent"] == [{"kinds": ["effect", "interaction"], "lacks": lacks, "option": None}]
    assert f"effect, interaction: {lacks}" in " ".join(command(ladder)[1].split())
