"""A ladder's folder, and the carrying out of its plan: what is missing is made, what is there is kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.tiny import StopAfter, data_in, metrics, same_tensors, tensors, tiny, tiny_file, tiny_run

from fabula.data.dataset import open_dataset
from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError
from fabula.findings.diagnosis import diagnose
from fabula.ladder.brackets import choose_rates, rates_of
from fabula.ladder.estimate import probe_phases
from fabula.ladder.execute import carry_out, carry_out_run
from fabula.ladder.folder import describe, how_it_ended, open_folder, with_earlier
from fabula.model.load import load_model
from fabula.recipe.ladder import Ladder, Phase, PlannedRun, plan_runs
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import find_runs, read_run
from fabula.train.loop import TrainingFailed
from fabula.train.observer import Observer

PHASES = tuple(Phase(name=name, change=f"the {name} one", set={}) for name in ("first", "second", "third"))
LADDER = Ladder(name="mine", tiers=("small.toml", "large.toml"), phases=PHASES)
QUICK = {"steps": 3, "evaluation__every": 3, "evaluation__sample_tokens": 0}


def planned(phase: str = "first", tier: str = "small", seed: int = 0, **values: object) -> PlannedRun:
    return PlannedRun(tier, phase, seed, tiny(**{**QUICK, **values, "name": f"{tier}/{phase}"}))


def description(*runs: PlannedRun, num_seeds: int = 1, scale: float = 1.0) -> dict[str, Any]:
    return describe(LADDER, runs, num_seeds, scale, "fabula ladder mine.toml")


def ladder_json(out: Path) -> dict[str, Any]:
    return json.loads((out / "ladder.json").read_text())


def add(out: Path, new: dict[str, Any]) -> None:
    open_folder(out, with_earlier(out, new, LADDER))


def test_the_folder_says_what_was_asked_for(tmp_path: Path) -> None:
    add(tmp_path / "out", description(planned("second"), planned("first")))
    assert ladder_json(tmp_path / "out") == {
        "format": 1, "name": "mine", "design": "path", "tiers": ["small"], "seeds": 1, "scale": 1.0,
        "phases": [
            {"name": "second", "change": "the second one", "includes": ["first", "second"]},
            {"name": "first", "change": "the first one", "includes": ["first"]},
        ],
        "workers": 1, "command": "fabula ladder mine.toml",
    }  # fmt: skip


def test_tiers_phases_and_seeds_are_added_in_the_ladders_order(tmp_path: Path) -> None:
    add(tmp_path, description(planned("third", "large"), num_seeds=3))
    add(tmp_path, description(planned("first"), planned("second", "small"), num_seeds=2))
    merged = ladder_json(tmp_path)
    assert merged["tiers"] == ["small", "large"] and merged["seeds"] == 3
    assert [phase["name"] for phase in merged["phases"]] == ["first", "second", "third"]


def test_a_ladder_of_an_earlier_name_is_the_same(tmp_path: Path) -> None:
    add(tmp_path, description(planned()) | {"name": "seeds"})
    add(tmp_path, description(planned()) | {"name": "classic"})
    assert ladder_json(tmp_path)["name"] == "classic"


def test_another_ladder_or_anything_else_is_left_alone(tmp_path: Path) -> None:
    add(tmp_path, description(planned()))
    before = (tmp_path / "ladder.json").read_bytes()
    with pytest.raises(InputError, match=r"holds a ladder with scale 1\.0, not 0\.5; choose another --out"):
        add(tmp_path, description(planned(), scale=0.5))
    with pytest.raises(InputError, match="holds a ladder with name mine, not other"):
        add(tmp_path, description(planned()) | {"name": "other"})
    assert (tmp_path / "ladder.json").read_bytes() == before
    for content in (b"{", b"[]", b'{"name": "mine"}', b"\xff"):
        (tmp_path / "ladder.json").write_bytes(content)
        with pytest.raises(InputError, match=r"ladder\.json is damaged"):
            add(tmp_path, description(planned()))
    (tmp_path / "ladder.json").unlink()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not a ladder; choose another --out"):
        add(tmp_path, description(planned()))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_missing_is_made_and_what_is_interrupted_goes_on(grammar_folder: Path, tmp_path: Path) -> None:
    runs = [planned("first"), planned("second", batch__layout="padded")]
    data = data_in(grammar_folder)
    assert not any(how_it_ended(run, tmp_path, data) for run in runs)
    announced: list[tuple[int, str]] = []

    def started(number: int, run: PlannedRun) -> None:
        announced.append((number, run.phase))

    statuses = carry_out(runs, grammar_folder, tmp_path, StopAfter(2), started)
    assert statuses == {runs[0]: "interrupted"} and announced == [(1, "first")]
    folder = tmp_path / runs[0].folder
    assert checkpoint_steps(folder) == [2] and how_it_ended(runs[0], tmp_path, data) is None
    assert set(carry_out(runs, grammar_folder, tmp_path, Observer(), started).values()) == {"finished"}
    assert announced[1:] == [(1, "first"), (2, "second")]
    assert all(how_it_ended(run, tmp_path, data) == "finished" for run in runs)
    assert find_runs(tmp_path) == [tmp_path / "runs/small/first/seed-0", tmp_path / "runs/small/second/seed-0"]
    alone = tiny_run(grammar_folder, tmp_path / "alone", runs[0].recipe)
    assert metrics(folder, events=False) == metrics(alone, events=False)
    assert same_tensors(tensors(folder), tensors(alone))


def test_a_stop_between_two_runs_begins_no_other(grammar_folder: Path, tmp_path: Path) -> None:
    runs = [planned("first"), planned("second")]
    statuses = carry_out(runs, grammar_folder, tmp_path, StopAfter(3), lambda *_: None)
    assert statuses == {runs[0]: "finished"}  # the wish came with its last step
    assert not (tmp_path / runs[1].folder).exists()
    assert carry_out_run(runs[1], grammar_folder, tmp_path, StopAfter(0)) == "interrupted"
    assert not (tmp_path / runs[1].folder).exists()


def test_a_finished_run_of_another_recipe_or_other_stories_is_refused(grammar_folder: Path, tmp_path: Path) -> None:
    data = data_in(grammar_folder)
    run = planned()
    tiny_run(grammar_folder, tmp_path / run.folder, run.recipe)
    assert how_it_ended(run, tmp_path, data) == "finished"
    with pytest.raises(InputError, match="was made with another recipe; choose another --out"):
        how_it_ended(replace(run, recipe=tiny(**QUICK, name="small/first", schedule__peak=0.5)), tmp_path, data)
    info = json.loads((tmp_path / run.folder / "run.json").read_text())
    info["data"]["text_hashes"]["train"] = "other"
    (tmp_path / run.folder / "run.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match="was made with other stories"):
        how_it_ended(run, tmp_path, data)


def test_a_tokenizer_with_fewer_tokens_than_its_name_says_serves_a_run_and_a_ladder(tmp_path: Path) -> None:
    prepare("builtin", tmp_path / "data", tokenizer="bpe:8192", limit=60)
    data = open_dataset(tmp_path / "data", "bpe:8192")
    held = data.tokenizer.vocabulary
    assert held < 8192
    run = planned(tokenizer="bpe:8192")
    assert carry_out_run(run, tmp_path / "data", tmp_path, Observer()) == "finished"
    assert how_it_ended(run, tmp_path, data) == "finished"  # the plan says 8,192, the run what the data has
    model, recipe, _ = load_model(tmp_path / run.folder)
    assert model.vocabulary == recipe.vocabulary == held
    assert not [each.kind for each in diagnose(read_run(tmp_path / run.folder)).findings if "initial" in each.kind]


def test_a_run_that_fails_stops_no_other(grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Notes(Observer):
        def __init__(self) -> None:
            self.told: list[str] = []

        def notice(self, text: str) -> None:
            self.told.append(text)

    def fails(training: object, out: Path) -> str:
        if "first" in str(out):
            raise TrainingFailed("20 steps in a row were not finite")
        return "finished"

    monkeypatch.setattr("fabula.ladder.execute.start_run", fails)
    runs, notes = [planned("first"), planned("second")], Notes()
    statuses = carry_out(runs, grammar_folder, tmp_path, notes, lambda *_: None)
    assert list(statuses.values()) == ["failed", "finished"]
    assert notes.told == ["runs/small/first/seed-0 failed: 20 steps in a row were not finite"]


def test_a_run_whose_loss_did_not_stay_finite_is_not_repeated(grammar_folder: Path, tmp_path: Path) -> None:
    """The same steps would come to the same numbers; a run that an error stopped goes on."""
    run, data = planned(), data_in(grammar_folder)
    folder = tmp_path / run.folder
    assert carry_out_run(run, grammar_folder, tmp_path, StopAfter(2)) == "interrupted"
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**info, "status": "failed", "error": "OSError('disk full')"}))
    assert how_it_ended(run, tmp_path, data) is None
    with open(folder / "metrics.jsonl", "a") as file:
        file.write('{"kind": "event", "step": 2, "event": "failed", "reason": "not finite"}\n')
    assert how_it_ended(run, tmp_path, data) == "failed"


@pytest.mark.slow
@pytest.mark.usefixtures("as_other_processes")
def test_workers_make_the_same_runs(grammar_folder: Path, tmp_path: Path) -> None:
    runs = [planned("first"), planned("first", seed=1), planned("second", batch__layout="padded")]
    numbers: list[int] = []
    statuses = carry_out(runs, grammar_folder, tmp_path, Observer(), lambda number, _: numbers.append(number), 2)
    assert statuses == dict.fromkeys(runs, "finished") and numbers == [1, 2, 3]
    num_threads = torch.get_num_threads()
    torch.set_num_threads(max(1, num_threads // 2))  # a worker's share: sums are split among threads
    try:
        alone = tiny_run(grammar_folder, tmp_path / "alone", runs[1].recipe, seed=1)
    finally:
        torch.set_num_threads(num_threads)
    assert metrics(tmp_path / runs[1].folder) == metrics(alone)


@pytest.mark.slow
def test_workers_stop_with_a_checkpoint_and_go_on(grammar_folder: Path, tmp_path: Path) -> None:
    class StopsSoon(Observer):
        def stopping(self) -> bool:
            return any((run / "metrics.jsonl").stat().st_size > 2000 for run in find_runs(tmp_path))

    runs = [planned("first", steps=20_000), planned("second", steps=20_000), planned("third", steps=20_000)]
    statuses = carry_out(runs, grammar_folder, tmp_path, StopsSoon(), lambda *_: None, 2)
    assert set(statuses.values()) == {"interrupted"}
    begun = find_runs(tmp_path)
    assert begun and all(read_run(run).status == "interrupted" and checkpoint_steps(run) for run in begun)


@pytest.mark.slow
def test_an_error_in_a_worker_does_not_wait_for_the_others(grammar_folder: Path, tmp_path: Path) -> None:
    runs = [planned("first", steps=200_000), planned("second", model__vocabulary=7)]
    with pytest.raises(InputError, match="vocabulary"):
        carry_out(runs, grammar_folder, tmp_path, Observer(), lambda *_: None, 2)
    assert all(read_run(run).status == "interrupted" for run in find_runs(tmp_path))


def test_a_probe_a_kind_of_step(grammar_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fabula.ladder import estimate

    num_probes = 0
    plain = estimate.set_up_training

    def counted(*arguments: object) -> object:
        nonlocal num_probes
        num_probes += 1
        training = plain(*arguments)  # type: ignore[arg-type]
        training.engine.step_seconds = 0.5
        return training

    monkeypatch.setattr(estimate, "set_up_training", counted)
    runs = [
        planned("first"), planned("first", seed=1), planned("second", steps=30),
        planned("third", batch__accumulation=2), planned("first", tier="large", model__layers=2),
    ]  # fmt: skip
    costs = probe_phases(runs, grammar_folder, Observer())
    assert [(cost.run.tier, cost.run.phase, cost.num_runs, cost.positions) for cost in costs] == [
        ("small", "first", 2, 384), ("small", "second", 1, 3840), ("small", "third", 1, 768),
        ("large", "first", 1, 384),
    ]  # fmt: skip
    assert num_probes == 2, "the number of steps, the layout and the accumulation leave a position's cost as it is"
    training = [cost.run.recipe.steps * 0.5 * (2 if cost.run.phase == "third" else 1) for cost in costs]
    evaluation = [cost.seconds - each for cost, each in zip(costs, training, strict=True)]
    assert all(each > 0 for each in evaluation)
    assert evaluation[0] == pytest.approx(evaluation[2], rel=1e-6)  # the same evaluations cost the same


BRACKETED = Ladder(
    name="mine",
    tiers=("small.toml",),
    phases=(
        Phase(name="first", change="as it is", set={}),
        Phase(name="second", change="padded", set={"batch.layout": "padded"}, bracket=(2.0, 0.01, 1.0)),
        Phase(name="third", change="less clipping", set={"optimizer.clip": 5.0}),
    ),
)


def test_a_learning_rate_is_chosen_on_tune_before_the_phases_runs(
    grammar_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest loss on `tune` is taken, for this phase and those after it; what was tried is not tried again."""
    tiny_file(tmp_path, **QUICK)
    (tmp_path / "tiny.toml").rename(tmp_path / "small.toml")
    monkeypatch.chdir(tmp_path)
    asked = BRACKETED, ["small.toml"], ["third"], 1.0, grammar_folder, tmp_path / "out"
    choices = choose_rates(*asked, Observer())
    assert choices is not None
    (choice,) = choices
    assert (choice.phase, choice.multiples, choice.peaks) == ("second", (0.01, 1.0, 2.0), (1e-4, 1e-2, 2e-2))
    runs = [tmp_path / "out/brackets/small/second" / f"times-{each:g}" for each in choice.multiples]
    losses = [read_run(run).full_evals()["val_loss"][-1] for run in runs]
    assert choice.losses == tuple(losses) and choice.taken == choice.multiples[losses.index(min(losses))] != 0.01
    assert all('split = "tune"' in (run / "recipe.toml").read_text() for run in runs)
    assert read_run(runs[0]).stories["stream"].split == "tune"
    before = [(run / "run.json").read_bytes() for run in runs]
    assert choose_rates(*asked, Observer()) == choices
    assert [(run / "run.json").read_bytes() for run in runs] == before
    rates = rates_of(choices)
    recipes = {
        run.phase: run.recipe
        for run in plan_runs(BRACKETED, ["small.toml"], ["first", "second", "third"], 1, 1.0, rates)
    }
    assert recipes["first"].schedule.peak == 1e-2
    assert recipes["second"].schedule.peak == recipes["third"].schedule.peak == choice.taken * 1e-2
    assert recipes["third"].schedule.floor == choice.taken * 1e-3
    assert recipes["third"].evaluation.split == "validation"
    assert find_runs(tmp_path / "out") == sorted(runs), "the ladder's own runs are elsewhere"


def test_a_rate_whose_loss_does_not_stay_finite_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([[float("inf"), 3.0, 2.5], [float("inf")] * 3])
    monkeypatch.setattr("fabula.ladder.brackets._losses_of", lambda *_: next(losses))
    monkeypatch.chdir(tmp_path)
    tiny_file(tmp_path, **QUICK)
    (tmp_path / "tiny.toml").rename(tmp_path / "small.toml")
    asked = BRACKETED, ["small.toml"], ["second"], 1.0, tmp_path, tmp_path / "out"
    (choice,) = choose_rates(*asked, Observer()) or []
    assert choice.taken == 2.0 and choice.as_json()["losses"] == [None, 3.0, 2.5]
    with pytest.raises(InputError, match="no learning rate in the bracket of second stays finite"):
        choose_rates(*asked, Observer())


def test_a_ladder_of_before_says_that_its_workers_are_not_known(tmp_path: Path) -> None:
    add(tmp_path, description(planned()))
    assert ladder_json(tmp_path)["workers"] == 1
    old = {key: value for key, value in ladder_json(tmp_path).items() if key not in ("workers", "design")}
    (tmp_path / "ladder.json").write_text(json.dumps(old))
    add(tmp_path, description(planned()))
    assert ladder_json(tmp_path)["workers"] is None
