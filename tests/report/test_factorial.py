"""The page of a factorial: credit for every change, what the changes do to each other, and the noise first."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.report.synthetic import write_ladder
from tests.report.test_report import lines_of

from fabula.recipe.ladder import Ladder, load_ladder
from fabula.report.document import make_document
from fabula.report.figures.figures import finding_bands
from fabula.report.render.markdown import render_markdown
from fabula.study.health import found_groups
from fabula.study.ladder import read_ladder
from fabula.study.summary import summary
from fabula.study.views import LadderView

CELLS = [cell.name for cell in load_ladder("factorial").cells]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ladder(tmp_path_factory.mktemp("factorial") / "ladder", ladder=load_ladder("factorial"))


@pytest.fixture(scope="module")
def ladder(folder: Path) -> LadderView:
    return read_ladder([folder])


@pytest.fixture(scope="module")
def twin(ladder: LadderView) -> str:
    return render_markdown(make_document(ladder))


def finals(folder: Path) -> dict[str, np.ndarray]:
    runs = folder / "runs" / "basic"
    return {
        cell: np.array([lines_of(runs / cell / f"seed-{seed}", "eval")[-1]["val_loss"] for seed in range(3)])
        for cell in CELLS
    }


def test_every_run_contributes_to_every_effect(folder: Path, ladder: LadderView) -> None:
    said = summary(ladder)
    names = [" × ".join(each["evidence"]["phases"]) for each in said["effects"]]
    assert names == [
        "init", "cosine", "packed", "init × cosine", "init × packed", "cosine × packed", "init × cosine × packed",
    ]  # fmt: skip
    assert [each["kind"] for each in said["effects"]] == ["effect"] * 3 + ["interaction"] * 4
    losses = finals(folder)
    packed = said["effects"][2]["evidence"]
    on = [cell for cell in CELLS if "packed" in cell]
    by_hand = np.mean([losses[cell] for cell in on], axis=0) - np.mean(
        [losses[cell] for cell in CELLS if cell not in on], axis=0
    )
    assert packed["num_runs"] == 24
    assert packed["protocols"]["stream"]["differences"] == pytest.approx(list(by_hand), abs=1e-6)
    assert "at this scale and learning rate" in said["effects"][2]["sentence"]
    assert packed["protocols"]["stream"]["stories_interval"][0] < packed["protocols"]["stream"]["mean"] + 1e-3


def test_the_page_says_effects_interactions_and_noise(twin: str) -> None:
    assert re.search(
        r"Chance alone \(another random seed\) changes the loss by 0\.\d+ to 0\.\d+ nats, depending on the recipe\.",
        twin,
    )
    assert "24 training runs: 8 recipes (3 changes with and without each other), each with 3 random seeds" in twin
    assert re.search(r"A change had to exceed 0\.\d+ to \d\.\d+ nats to count, .*: 7 questions asked at once", twin)
    assert re.search(
        r"`init` \*\*improved\*\* the loss: with it the loss on `stream` is lower by \d\.\d+ nats per token "
        r"\(95 % interval \d\.\d+ to \d\.\d+; 3 seeds\), averaged over 4 pairs of recipes",
        twin,
    )
    assert "### What the changes do to each other" in twin
    assert re.search(r"on `stream`, `packed` lowers the loss by \d\.\d+ with `init` and by \d\.\d+ without it", twin)
    assert re.search(r"the loss before the first update went from 123\.\d+ to 10\.8\d", twin)
    assert "### Noise at the end" in twin


def test_what_several_phases_have_alike_is_told_on_one_card(twin: str) -> None:
    findings = twin.split("## Findings")[1].split("<details>")[0]
    (card,) = (part for part in findings.split('<a id="finding-')[1:] if "**Initial loss off**" in part)
    assert card.startswith('basic-baseline-initial-loss-off"></a>')
    for name in ("baseline-cosine", "baseline-packed", "baseline-cosine-packed"):
        assert f'<a id="finding-basic-{name}-initial-loss-off"></a>`basic/{name.replace("-", "+")}` seeds 0' in findings
    assert findings.count("Possible causes: the embedding") == 1


def test_an_effect_that_hangs_on_another_change_is_told_with_and_without_it(tmp_path: Path) -> None:
    """Cosine does great harm without init and a little good with it: its mean over both is what nobody would train."""
    ends = {"baseline+cosine": 14.9, "baseline+cosine+packed": 14.0}
    harm = {f"{cell}_{seed}": {"end": end} for cell, end in ends.items() for seed in range(3)}
    folder = write_ladder(tmp_path / "ladder", ladder=load_ladder("factorial"), **harm)
    twin = render_markdown(make_document(read_ladder([folder])))
    told = (
        r"It is not the same everywhere: it lowers the loss by 0\.\d+ with `init` and raises it by \d\.\d+ without it."
    )
    assert re.search(rf"- `cosine` made it worse, at this scale and learning rate\. {told}", twin)
    assert re.search(
        rf"- `cosine` made the loss worse: with it the loss on `stream` is higher by \d.*{told}.* Cause not measured\.",
        twin,
    )


def test_stories_grow_under_the_recipe_that_ended_lowest(twin: str) -> None:
    (lowest,) = re.findall(r"> `([\w+]+)` has the lowest validation loss", twin)
    assert lowest != CELLS[-1]
    assert f"How the stories of basic/{lowest} grew" in twin


def test_how_smooth_the_end_was_is_an_effect_too(ladder: LadderView) -> None:
    said = summary(ladder)
    assert [each["evidence"]["phases"] for each in said["roughness"]] == [["init"], ["cosine"], ["packed"]]
    for each in said["roughness"]:
        word = {"improved": "less noisy", "worse": "noisier"}.get(each["evidence"]["verdict"], "No evidence")
        assert word in each["sentence"] and "% from step to step, against" in each["sentence"]
    assert {each["protocol"] for each in said["noise"]} == {"stream", "story"}


def test_the_timeline_is_one_path_through_the_factorial(twin: str) -> None:
    timeline = twin.split("### Timeline of improvements")[1].split("###")[0]
    rows = re.findall(r"^\| \*\*([\w+-]+)\*\*", timeline, flags=re.MULTILINE)
    assert rows == ["baseline", "init", "cosine", "packed"]
    every = twin.split("### Every recipe")[1].split("###")[0]
    assert re.findall(r"^\| \*\*([\w+-]+)\*\*", every, flags=re.MULTILINE) == CELLS


@pytest.mark.long
def test_a_diverged_run_stops_nothing_and_is_told(tmp_path: Path) -> None:
    folder = write_ladder(
        tmp_path / "ladder", ladder=load_ladder("factorial"),
        baseline_1={"status": "failed", "stop_at": 120, "nan_at": 100},
    )  # fmt: skip
    view = read_ladder([folder])
    said = summary(view)
    for each in said["effects"]:
        assert each["evidence"]["verdict"] == "no verdict"
        assert each["evidence"]["seeds"] == [0, 2]
        assert "`baseline` seed 1 did not stay finite" in each["sentence"]
    twin = render_markdown(make_document(view))
    assert "`basic/baseline` seed 1: failed at step 120 of 300; in no comparison." in twin


def test_tiers_are_ranked_by_the_recipe_with_all_changes(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", tiers=("basic", "mid"), seeds=1, ladder=load_ladder("factorial"))
    twin = render_markdown(make_document(read_ladder([folder])))
    assert CELLS[-1] != "packed" and "Ranked by the final loss of packed at context 128" in twin


def test_what_the_whole_recipe_loses_without_each_change(tmp_path: Path) -> None:
    ladder = Ladder.model_validate(load_ladder("classic").model_dump() | {"design": "leave-one-out"})
    folder = write_ladder(tmp_path / "ladder", ladder=ladder)
    view = read_ladder([folder])
    said = summary(view)
    assert [(each["evidence"]["before"], each["evidence"]["after"]) for each in said["effects"]] == [
        ("without-init", "whole"), ("without-cosine", "whole"), ("without-packed", "whole"), ("baseline", "whole"),
    ]  # fmt: skip
    assert said["effects"][0]["sentence"].startswith(
        "`init` improved the whole recipe: with it the loss on `stream` is lower by 1.8"
    )
    twin = render_markdown(make_document(view))
    assert "### Every recipe" in twin and "whole against without-init" in twin
    opening = twin.split('<a id="')[0]
    assert "Each change against the whole recipe without it" in opening
    assert "`init` **helps**: lower by 1.8" in opening and "`whole` **helps**" not in opening


def test_tiers_are_asked_whether_a_change_does_more_on_the_larger(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", tiers=("basic", "mid"))
    view = read_ladder([folder])
    for line in summary(view)["effects"]:
        if line["evidence"]["design"] != "tiers":
            continue
        assert line["kind"] == "interaction" and line["evidence"]["tiers"] == ["basic", "mid"]
        mean = line["evidence"]["protocols"]["stream"]["mean"]
        told = line["evidence"]["protocols"]["stream"]
        assert mean == pytest.approx(told["together"] - told["apart"])
    twin = render_markdown(make_document(view))
    assert "How effects differ between the tiers" in twin
    assert "**No evidence** that `packed` does another thing on `mid` than on `basic`" in twin


def test_without_stories_on_record_no_interval_over_them(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", seeds=2)
    (folder / "runs" / "basic" / "init" / "seed-1" / "evaluations.jsonl").unlink()
    said = {
        each["evidence"]["after"]: each["evidence"]["protocols"]["stream"]
        for each in summary(read_ladder([folder]))["effects"]
    }
    assert said["init"]["stories_interval"] is None and said["packed"]["stories_interval"] is not None
    assert json.dumps(said)


def with_times(folder: Path, workers: int | None, waiting: float | None, **seconds: float) -> str:
    """What the numbers of a ladder say at equal time, after its times were changed."""
    plan = json.loads((folder / "ladder.json").read_text())
    (folder / "ladder.json").write_text(json.dumps(plan | {"workers": workers}))
    for run in (folder / "runs").rglob("run.json"):
        info = json.loads(run.read_text())
        info["timings"]["waiting_seconds"] = None if waiting is None else waiting * info["timings"]["total_seconds"]
        info["timings"]["training_seconds"] *= seconds.get(run.parent.parent.name, 1.0)
        run.write_text(json.dumps(info))
    return render_markdown(make_document(read_ladder([folder]))).split("### At equal time")[1].split("###")[0]


@pytest.mark.long
def test_equal_time_only_where_the_times_may_be_believed(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", seeds=2)
    assert "it was not recorded how many runs shared the machine" in with_times(folder, None, 0.0)
    assert "2 runs shared the machine" in with_times(folder, 2, 0.0)
    assert "it was not recorded whether other work ran beside the runs" in with_times(folder, 1, None)
    assert "other work ran beside: a run waited for a processor for up to 45.0 % of its time" in with_times(
        folder, 1, 0.45
    )
    assert "equal positions took equal time" in with_times(folder, 1, 0.001)
    first, *_, last = sorted((folder / "runs").rglob("run.json"))
    for path, machines in ((first, [("a", 8)]), (last, [("b", 8)])):
        kinds = [{"host": host, "processor": f"Chip {cores}", "cores": cores} for host, cores in machines]
        path.write_text(json.dumps({**json.loads(path.read_text()), "machines": kinds}))
    assert "equal positions took equal time" in with_times(folder, 1, 0.001), "another name is another like machine"
    moved = [{"host": "a", "processor": "Chip", "cores": 8}, {"host": "c", "processor": "Chip", "cores": 2}]
    last.write_text(json.dumps({**json.loads(last.read_text()), "machines": moved}))
    unlike = with_times(folder, 1, 0.001)
    assert (
        "the runs were made on unlike machines (Chip 8, 8 cores: 1 run, " in unlike and "Chip, 2 cores: 1 run" in unlike
    )
    plan = json.loads((folder / "ladder.json").read_text())
    (folder / "ladder.json").write_text(json.dumps(plan | {"on": "ray"}))
    assert "shared out by ray, which may have put several on one machine" in with_times(folder, 1, 0.0)
    (folder / "ladder.json").write_text(json.dumps(plan))
    for path in (first, last):
        path.write_text(json.dumps({**json.loads(path.read_text()), "machines": None}))
    told = with_times(folder, 1, 0.001, init=0.5)
    assert "After 3.0 s of training" in told and "**cosine** against init" in told


def test_the_choice_of_a_learning_rate_is_told(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder")
    plan = json.loads((folder / "ladder.json").read_text())
    plan["brackets"] = [
        {
            "tier": "basic", "phase": "init", "split": "tune", "seed": 0, "multiples": [0.5, 1.0, 2.0],
            "peaks": [2.5e-4, 5e-4, 1e-3], "losses": [4.1, 4.0, None], "taken": 1.0,
        },
        {
            "tier": "basic", "phase": "packed", "split": "tune", "seed": 0, "multiples": [1.0, 2.0],
            "peaks": [5e-4, 1e-3], "losses": [4.0, 3.9], "taken": 2.0,
        },
    ]  # fmt: skip
    (folder / "ladder.json").write_text(json.dumps(plan))
    told = render_markdown(make_document(read_ladder([folder]))).split("### Learning rates chosen")[1].split("###")[0]
    init, packed = (line for line in told.splitlines() if line.startswith("| **"))
    assert "**0.0005**" in init and "0.00025: 4.100 · 0.0005: 4.000 · 0.001: not finite" in init
    assert "at an end of its bracket" in packed and "at an end" not in init


def test_names_at_one_place_do_not_cover_each_other(ladder: LadderView) -> None:
    """Four recipes begin with a wrong loss: one name at step 0 for all of them, and a mark for each."""
    bands = finding_bands(ladder.tiers[0], found_groups(ladder), ["initial_loss_off"])
    assert [band["label"] for band in bands if band["label"]] == ["initial loss off, 4 phases"]
    assert len({band["anchor"] for band in bands}) == 4
