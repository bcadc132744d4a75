"""A run that is made longer is the run that the longer recipe would have made."""

from pathlib import Path

import pytest
from tests.train.tiny import StopAfter, metrics, same_tensors, tensors, tiny, tiny_run, tiny_training

from fabula.errors import InputError
from fabula.findings.diagnosis import diagnose
from fabula.recipe.schedule import learning_rates
from fabula.recipe.schema import Recipe
from fabula.record.checkpoint import checkpoint_steps, remove_checkpoint
from fabula.record.reader import read_run
from fabula.train.life.length.extension import last_shared_step, with_more_steps
from fabula.train.life.run import resume_run, start_run, stored_recipe


@pytest.mark.parametrize("decay", [0.1, 0.2, 0.25, 1 / 3, 0.5, 0.6, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("unit", ["step", "micro_step"])
def test_up_to_where_two_lengths_have_the_same_rates(decay: float, unit: str) -> None:
    for steps in (1, 2, 7, 12, 100, 999):
        recipe = tiny(
            steps=steps, schedule__kind="warmdown", schedule__decay=decay, schedule__unit=unit, batch__accumulation=2
        )
        last, rates = last_shared_step(recipe), learning_rates(recipe)
        assert last <= max(steps * (1 - decay) + 1e-6, 2)
        for longer in (steps + 1, 2 * steps, 10 * steps):
            other = learning_rates(with_more_steps(recipe, longer, Path("run")))
            assert rates[: last + 1] == other[: last + 1]
        assert rates[last + 1 : last + 2] != learning_rates(recipe.with_values(steps=10 * steps))[last + 1 : last + 2]


def same_run(one: Path, other: Path, without: int = -1) -> None:
    """But for the evaluation at the step `without`, where the shorter run ended."""
    lines = [line for line in metrics(one, events=False) if (line["kind"], line["step"]) != ("eval", without)]
    assert lines == metrics(other, events=False)
    assert same_tensors(tensors(one), tensors(other))


def warmdown(steps: int = 12) -> Recipe:
    return tiny(steps=steps, schedule__kind="warmdown", schedule__decay=0.4, checkpoint__keep=1)


@pytest.mark.parametrize("stop", [None, pytest.param(5, marks=pytest.mark.slow), 10])
def test_a_warmdown_goes_on_from_before_its_decay(stop: int | None, grammar_folder: Path, tmp_path: Path) -> None:
    long = tiny_run(grammar_folder, tmp_path / "long", warmdown(20))
    run = tmp_path / "run"
    if stop is None:
        tiny_run(grammar_folder, run, warmdown())
        assert checkpoint_steps(run) == [7, 12], "one is kept for this"
    else:
        start_run(tiny_training(grammar_folder, warmdown(), observer=StopAfter(stop)), run)
    assert resume_run(tiny_training(grammar_folder, warmdown(20)), run) == "finished"
    same_run(run, long)
    record = read_run(run)
    (event,) = [each for each in record.events if each["event"] == "extended"]
    at = 5 if stop == 5 else 7
    assert (event["step"], event["steps_before"], event["steps"]) == (at, 12, 20)
    assert record.info["segments"] == [{"from_step": 0, "steps": 12}, {"from_step": at, "steps": 20}]
    assert stored_recipe(run) == warmdown(20).with_values(**{"model.vocabulary": 512})
    found = diagnose(record)
    assert not found.of("lr_jump_on_resume", "lr_rising", "interrupted", "lr_peak_not_reached", "divergence")


def test_a_constant_rate_goes_on_from_the_end(grammar_folder: Path, tmp_path: Path) -> None:
    short, longer = (tiny(steps=steps, schedule__kind="constant") for steps in (6, 9))
    run = tiny_run(grammar_folder, tmp_path / "run", short)
    assert resume_run(tiny_training(grammar_folder, longer), run) == "finished"
    same_run(run, tiny_run(grammar_folder, tmp_path / "whole", longer), without=6)
    assert not (run / "metrics.discarded.jsonl").exists()


def test_what_cannot_be_made_longer_is_refused(grammar_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run cannot be made longer: its cosine falls"):
        with_more_steps(tiny(), 20, Path("run"))
    with pytest.raises(InputError, match="no run is made shorter"):
        with_more_steps(warmdown(), 11, Path("run"))
    assert with_more_steps(tiny(), 12, Path("run")) == tiny()
    run = tiny_run(grammar_folder, tmp_path / "run", warmdown())
    remove_checkpoint(run, 7)
    before = (run / "run.json").read_bytes()
    with pytest.raises(InputError, match="no checkpoint from before its learning rate began to fall, after step 7"):
        resume_run(tiny_training(grammar_folder, warmdown(20)), run)
    assert (run / "run.json").read_bytes() == before
