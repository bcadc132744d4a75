"""`fabula plan`: what is chosen for a wish, what is said of it, what is refused. A made machine answers the probes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import fabula
import fabula.train.life.length.probing as probing
from fabula.cli import run as fabula_command
from fabula.errors import InputError
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES
from fabula.recipe.presets.shapes import Size, family_of
from fabula.recipe.schema import Recipe
from fabula.study.frontier import known
from fabula.study.frontier.known import kept_runs
from fabula.train.machine.pace import Pace, usual_seconds

CONTEXT = 128


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("plan") / "data"
    fabula.prepare("builtin", place, tokenizer="bpe:8192", limit=2000)
    return place


@pytest.fixture(scope="module")
def known_stories(data: Path) -> Path:
    """The same folder, which says that it holds stories of the kind that is known."""
    place = Path(shutil.copytree(data, data.with_name("known")))
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    manifest["source"], manifest["checksum"] = "stories/TinyStories", None
    (place / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return place


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Size]:
    """The sizes that were probed, on a machine that is half as fast as the known one, whatever the size."""
    asked: list[Size] = []

    def step_seconds(recipe: Recipe, *_: object) -> float:
        asked.append(Size(recipe.model.layers, recipe.model.width))
        return 2.0 * usual_seconds(family_of(recipe) or "", CONTEXT)[asked[-1]]

    monkeypatch.setattr(probing, "step_seconds", step_seconds)
    # The kept runs as if they had been made on a tenth of their stories, which is as many as these tests prepare.
    made = tuple(replace(run, unique=run.unique // 10) for run in kept_runs() if run.unique > 1e6)
    monkeypatch.setattr(known, "kept_runs", lambda: made)
    return asked


@pytest.mark.long
def test_more_time_more_steps_and_no_smaller_model(data: Path, probed: list[Size]) -> None:
    plans = [fabula.plan(data, minutes=minutes) for minutes in (1, 4, 16)]
    assert [plan.chosen.parameters for plan in plans] == sorted(plan.chosen.parameters for plan in plans)
    products = [plan.chosen.parameters * plan.chosen.tokens for plan in plans]
    assert products == sorted(products)
    for plan, minutes in zip(plans, (1, 4, 16), strict=True):
        assert 0.5 * 60 * minutes < plan.chosen.seconds <= 1.01 * 60 * minutes
        assert plan.chosen.size in probed, "what is chosen was timed here"
        assert plan.step_seconds == 2.0 * usual_seconds("modern", CONTEXT)[plan.chosen.size]


@pytest.mark.long
def test_of_stories_that_nobody_knows_no_loss_is_told(data: Path, probed: list[Size]) -> None:
    plan = fabula.plan(data, minutes=2)
    assert plan.expected is None and plan.doubt is not None and "too few runs on stories like these" in plan.doubt


def test_on_known_stories_the_loss_falls_with_time(known_stories: Path, probed: list[Size]) -> None:
    plan = fabula.plan(known_stories, minutes=3)
    assert plan.expected and plan.half and plan.twice and plan.faster
    assert plan.expected.low < plan.expected.loss < plan.expected.high
    assert plan.half.loss > plan.expected.loss > plan.twice.loss > plan.faster[1].loss


@pytest.mark.parametrize("minutes", [2, 8])
def test_each_family_has_its_own_plan(known_stories: Path, probed: list[Size], minutes: float) -> None:
    """`modern` has tables that `modern-portable` must do without: with as much time it is expected to be ahead."""
    usual, portable = (fabula.plan(known_stories, minutes=minutes, family=name) for name in FAMILIES)
    assert usual.recipe.name == "plan" and portable.recipe.name == "plan/modern-portable"
    assert family_of(usual.recipe) == "modern" and family_of(portable.recipe) == "modern-portable"
    assert usual.expected and portable.expected and usual.expected.loss < portable.expected.loss
    assert {run.family for run in portable.knowledge.runs} == {"modern-portable"}


def most_tokens(data: Path) -> int:
    """As many as can be planned on these stories."""
    with pytest.raises(InputError, match="too many to plan") as refused:
        fabula.plan(data, tokens=10**14)
    return int(str(refused.value).split("give ")[1].split()[0])


def test_a_long_time_ends_where_the_stories_do(known_stories: Path, probed: list[Size]) -> None:
    """So few stories come again too often long before the time is over: what is planned is shorter, and says why."""
    for minutes in (600, 1e7, 1e308):
        plan = fabula.plan(known_stories, minutes=minutes)
        assert plan.limit == "stories" and plan.twice is None and plan.chosen.seconds < 600 * 60
        assert plan.expected is not None


@pytest.mark.long
def test_a_wish_for_time_is_kept(known_stories: Path, probed: list[Size]) -> None:
    for minutes in (0.5, 1, 2, 5):
        assert fabula.plan(known_stories, minutes=minutes).chosen.seconds <= 60.001 * minutes


def test_other_wishes(known_stories: Path, probed: list[Size]) -> None:
    few, many = (fabula.plan(known_stories, tokens=tokens) for tokens in (200_000, most_tokens(known_stories)))
    assert few.chosen.parameters < many.chosen.parameters and few.limit is None and few.half is None
    assert few.chosen.tokens == pytest.approx(200_000, rel=0.02)
    small, large = (fabula.plan(known_stories, parameters=weights) for weights in (2_000_000, 8_000_000))
    assert small.total_parameters <= 2_000_000 < large.total_parameters <= 8_000_000
    assert 50 < small.recipe.steps <= large.recipe.steps, "as many tokens as are well spent on each"
    reached = fabula.plan(known_stories, minutes=5).expected
    assert reached is not None
    soonest = fabula.plan(known_stories, loss=reached.loss)
    assert soonest.expected is not None and soonest.expected.loss <= reached.loss + 1e-6
    assert soonest.chosen.seconds <= 5 * 60 * 1.05
    with pytest.raises(InputError, match="the lowest that can be planned is"):
        fabula.plan(known_stories, loss=0.3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing is asked for; give one of minutes, tokens, parameters, loss"),
        ({"minutes": 1, "loss": 2}, "minutes and loss are too much"),
        ({"minutes": -1}, "minutes -1: give a number above 0"),
        ({"minutes": float("nan")}, "give a number above 0"),
        ({"minutes": 0.001}, "too short for any size; give at least --minutes"),
        ({"loss": 2.0}, "which loss can be reached on these stories is not known"),
        (
            {"minutes": 1, "family": "basic"},
            'nothing is planned in the sizes of "basic"; give modern or modern-portable',
        ),
        ({"parameters": 10}, "the smallest model that is planned has"),
    ],
)
def test_refused(data: Path, probed: list[Size], options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fabula.plan(data, **options)


def test_the_command_writes_a_recipe_that_can_be_trained(
    data: Path, probed: list[Size], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.toml"
    assert fabula_command(["plan", "--data", str(data), "--minutes", "2", "--out", str(file)]) == 0
    shown = capsys.readouterr().out
    for word in ("model ", "training ", "time ", "loss ", "limit ", "rests on ", f"fabula train {file}"):
        assert word in shown
    recipe = load_recipe(str(file))
    assert recipe.name == "plan" and f"{recipe.steps:,} steps" in shown
    assert fabula_command(["plan", "--data", str(data), "--minutes", "2", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["steps"] == recipe.steps and values["recipe"]["model"]["width"] == recipe.model.width
    assert values["expected_loss"] is None and values["corpus"] == "TinyStories"


def test_what_programs_are_told(known_stories: Path, probed: list[Size], capsys: pytest.CaptureFixture[str]) -> None:
    assert fabula_command(["plan", "--data", str(known_stories), "--minutes", "4", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    expected = values["expected_loss"]
    low, high = expected["interval"]
    assert low < expected["mean"] < high and values["half_the_time"]["mean"] > expected["mean"]
    assert values["other_family"]["name"] == "modern-portable"


@pytest.mark.long
def test_a_plan_is_trained(data: Path, probed: list[Size], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["train", "plan", "--data", str(data), "--out", str(tmp_path / "run"), "--minutes", "2", "--dry-run"]
    assert fabula_command([*options, "--set", "compute.compile=off", "--set", "evaluation.sample_tokens=0"]) == 0
    told = capsys.readouterr()
    assert "rests on" in told.err and "plan: " in told.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "give --minutes, and no --steps"),
        (["--minutes", "2", "--steps", "5"], "give --minutes, and no --steps"),
        (["--minutes", "2", "--set", "model.width=64"], "model.width is what a plan chooses"),
        (["--minutes", "2", "--set", "evaluation.evry=5"], "unknown recipe field"),
        (["--minutes", "2", "--processes", "2"], "a plan is made for one process"),
        (["--minutes", "2", "--init-from", "there"], "a model that is there has its size"),
    ],
)
def test_a_training_that_cannot_be_planned_is_refused_before_a_step(
    data: Path, probed: list[Size], tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    options = ["train", "plan", "--data", str(data), "--out", str(tmp_path / "run"), *more]
    assert fabula_command(options) == 2
    assert said in capsys.readouterr().err and probed == [] and not (tmp_path / "run").exists()


def test_a_family_that_is_none_is_one_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        fabula_command(["train", "plan/basic", "--data", str(data), "--out", str(tmp_path / "run"), "--minutes", "2"])
        == 2
    )
    said = capsys.readouterr().err.strip()
    assert 'nothing is planned in the sizes of "basic"' in said and "\n" not in said


@pytest.mark.slow
def test_from_python_a_plan_is_trained_and_resumed(
    data: Path, probed: list[Size], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = probing.step_seconds
    monkeypatch.setattr(probing, "step_seconds", lambda *given: slow(*given) / 40)
    quick = {"compute.compile": "off", "evaluation.sample_tokens": 0}
    with pytest.raises(InputError, match="give minutes, and no steps"):
        fabula.train("plan", data=data, out=tmp_path / "run", set=quick)
    run = fabula.train("plan", data=data, out=tmp_path / "run", minutes=0.1, set=quick)
    assert run.info["recipe"] == "plan" and run.status == "finished" and probed
    asked = len(probed)
    assert fabula.train("plan", data=data, out=tmp_path / "run", resume=True).status == "finished"
    assert len(probed) == asked, "a run that goes on has its recipe"


def test_the_pace_between_two_sizes_lies_between() -> None:
    usual = {Size(1, 32): 0.1, Size(2, 64): 0.2, Size(3, 96): 0.4, Size(4, 128): 0.8}
    pace = Pace(usual, lambda size: {1: 0.3, 4: 0.8}[size.layers])
    pace.measure(Size(1, 32))
    assert pace.step_seconds(Size(4, 128)) == pytest.approx(3 * 0.8), "one size is known: all are so much slower"
    pace.measure(Size(4, 128))
    assert pace.step_seconds(Size(1, 32)) == 0.3 and pace.step_seconds(Size(4, 128)) == 0.8
    assert pace.step_seconds(Size(2, 64)) == pytest.approx(0.2 * (3 - 2 / 3))
    assert pace.step_seconds(Size(3, 96)) == pytest.approx(0.4 * (3 - 4 / 3))
    assert pace.middle(usual) == Size(3, 96)
