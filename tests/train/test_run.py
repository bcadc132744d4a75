"""Whole runs: their folder, their repeatability, and going on where they were stopped."""

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from tests.train.tiny import (
    StopAfter,
    checkpoints_written,
    data_in,
    metrics,
    same_tensors,
    samples,
    tensors,
    tiny,
    tiny_run,
    tiny_training,
)  # fmt: skip

from fabula.errors import InputError
from fabula.recipe.schedule import learning_rate
from fabula.recipe.schema import Optimizer, Recipe
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import read_run
from fabula.train.life.run import resume_run, set_up_training, start_run, stored_recipe
from fabula.train.observer import Observer


@pytest.fixture(scope="module")
def run(grammar_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe, trained once to its end."""
    return tiny_run(grammar_folder, tmp_path_factory.mktemp("runs") / "run")


def test_the_folder_says_all_that_the_contract_asks(run: Path, grammar_folder: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    data = data_in(grammar_folder)
    assert info["status"] == "finished" and info["steps_done"] == info["steps"] == 12
    assert info["recipe"] == "tiny" and info["seed"] == 0 and info["format"] == 1
    assert info["parameters"]["total"] == sum(
        tensor.numel() for name, tensor in tensors(run).items() if "/" not in name
    )
    assert info["data"]["tokenizer_hash"] == data.tokenizer.hash and info["data"]["source"] == "grammar"
    assert set(info["data"]["text_hashes"]) == {"train", "tune", "validation"}
    assert 0 < info["data"]["entropy_floor"] < 3
    assert set(info["rulers"]) == {
        "stream", "story", "stream_subset", "stream_at_128", "story_at_128", "train_sample",
    }  # fmt: skip
    assert info["layout"] == {
        "positions": 12 * 128, "padding_share": 0.0, "truncated_share": 0.0,
        "distinct_story_tokens": info["layout"]["distinct_story_tokens"], "epochs": info["layout"]["epochs"],
    }  # fmt: skip
    for choice in info["choices"].values():
        assert choice["value"] and choice["reason"]
    assert {"device", "threads", "versions", "started"} <= set(info)
    assert set(info["timings"]) == {
        "training_seconds", "evaluation_seconds", "compile_seconds", "total_seconds", "waiting_seconds",
    }  # fmt: skip
    waited = info["timings"]["waiting_seconds"]
    assert waited is None or 0 <= waited <= info["timings"]["total_seconds"]
    assert (run / "tokenizer.json").read_text() == data.tokenizer.to_json()
    stored = stored_recipe(run)
    assert stored == tiny(model__vocabulary=512)


def test_the_record_has_a_line_an_update_and_full_evaluations_at_both_ends(run: Path) -> None:
    record, recipe = read_run(run), stored_recipe(run)
    assert record.train["step"].tolist() == list(range(1, 13))
    assert record.train["tokens"].tolist() == record.train["positions"].tolist() == [128 * s for s in range(1, 13)]
    expected = [learning_rate(recipe.schedule, step, 12) for step in range(1, 13)]
    assert record.train["learning_rate"] == pytest.approx(expected, rel=1e-6)
    assert record.evals["step"].tolist() == [0, 5, 10, 12]
    assert record.evals["full"].tolist() == [1, 0, 0, 1]
    assert record.evals["tokens"].tolist() == [0, 640, 1280, 1536]
    assert abs(record.evals["val_loss"][0] - np.log(512)) < 0.05, "N(0, 0.02) gives every token the same chance"
    assert record.evals["val_loss"][-1] < record.evals["val_loss"][0] - 0.2, "it learns"
    assert [event["event"] for event in record.events] == ["started", "finished"]
    assert {"seconds", "tokens_per_second", "grad_norm", "loss"} <= set(record.train)
    assert {"train_loss", "val_loss_subset", "val_bits_per_byte", "val_loss_story", "val_loss_at_128"} <= set(
        record.evals
    )
    assert (np.diff(record.train["seconds"]) > 0).all()


def test_the_final_evaluation_is_kept_story_by_story(run: Path, grammar_folder: Path) -> None:
    record = read_run(run)
    (last,) = (i for i, step in enumerate(record.evals["step"]) if step == 12)
    for protocol, field in (("stream", "val_loss"), ("story", "val_loss_story")):
        stories = record.stories[protocol]
        assert len(stories.nats_S) == data_in(grammar_folder).split("validation").num_stories
        assert stories.split == "validation" and stories.ruler == record.info["rulers"][protocol]
        assert stories.nats_S.sum() / stories.tokens_S.sum() == pytest.approx(record.evals[field][last], rel=1e-6)


def test_one_prompt_is_completed_at_each_evaluation_and_all_at_the_end(run: Path) -> None:
    lines = samples(run)
    assert [(line["step"], line["prompt"], line["final"]) for line in lines] == [
        (0, "Once upon a time", False), (5, "Once upon a time", False), (10, "Once upon a time", False),
        (12, "Once upon a time", True), (12, "One day", True),
    ]  # fmt: skip
    assert all(line["completion"] for line in lines)


def test_checkpoints_stand_where_the_recipe_says(run: Path) -> None:
    assert checkpoint_steps(run) == [4, 8, 12]
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints", "evaluations.jsonl", "metrics.jsonl", "recipe.toml", "run.json", "samples.jsonl",
        "tokenizer.json",
    ]  # fmt: skip
    assert not same_tensors(tensors(run, 4), tensors(run, 8))


def test_the_same_recipe_and_seed_give_the_same_run(run: Path, grammar_folder: Path, tmp_path: Path) -> None:
    again = tiny_run(grammar_folder, tmp_path / "again")
    assert metrics(again) == metrics(run)
    assert samples(again) == samples(run)
    assert same_tensors(tensors(again), tensors(run))


def test_another_seed_gives_another_run(run: Path, grammar_folder: Path, tmp_path: Path) -> None:
    other = tiny_run(grammar_folder, tmp_path / "other", tiny(steps=3), seed=1)
    first, second = metrics(run), metrics(other)
    assert first[1]["val_loss"] != second[1]["val_loss"]  # other weights
    assert first[2]["loss"] != second[2]["loss"]
    assert first[1]["step"] == second[1]["step"] == 0


@pytest.mark.slow
def test_a_compiled_run_repeats_itself_and_agrees_with_the_plain_one(
    run: Path, grammar_folder: Path, tmp_path: Path
) -> None:
    recipe = tiny(compute__compile="on")
    runs = [tiny_run(grammar_folder, tmp_path / name, recipe) for name in ("a", "b")]
    assert read_run(runs[0]).info["choices"]["compile"]["value"] == "on"
    assert metrics(runs[0]) == metrics(runs[1])
    assert same_tensors(tensors(runs[0]), tensors(runs[1]))
    assert read_run(runs[0]).train["loss"] == pytest.approx(read_run(run).train["loss"], abs=2e-3)


def interrupted_and_resumed(folder: Path, out: Path, recipe: Recipe, stops: list[int]) -> Path:
    """A run that is stopped after each of `stops`, each time continued by a new process's training."""
    assert start_run(tiny_training(folder, recipe, observer=StopAfter(stops[0])), out) == "interrupted"
    for stop in stops[1:]:
        assert resume_run(tiny_training(folder, recipe, observer=StopAfter(stop)), out) == "interrupted"
    assert read_run(out).status == "interrupted"
    assert resume_run(tiny_training(folder, recipe), out) == "finished"
    return out


@pytest.mark.parametrize("kind", get_args(Optimizer.model_fields["kind"].annotation))
def test_each_optimizer_goes_on_where_it_was(kind: str, grammar_folder: Path, tmp_path: Path) -> None:
    recipe = tiny(
        optimizer__kind=kind, optimizer__embedding_rate=10.0, schedule__kind="warmdown", model__value_embeddings=True,
        model__previous_token=True, model__embedding_norm=True, model__tied=False, model__positions="rope",
        initialization__scheme="zero_writers",
    )  # fmt: skip
    whole = tiny_run(grammar_folder, tmp_path / "whole", recipe)
    resumed = interrupted_and_resumed(grammar_folder, tmp_path / "resumed", recipe, [5])
    assert same_tensors(tensors(resumed), tensors(whole))
    assert len(tensors(whole)) > 30


def test_interrupted_and_resumed_is_uninterrupted(run: Path, grammar_folder: Path, tmp_path: Path) -> None:
    """Stopped between checkpoints, at an evaluation, and right after resuming."""
    resumed = interrupted_and_resumed(grammar_folder, tmp_path / "resumed", tiny(), [3, 5, 6])
    assert metrics(resumed, events=False) == metrics(run, events=False)
    assert samples(resumed) == samples(run)
    assert (resumed / "evaluations.jsonl").read_bytes() == (run / "evaluations.jsonl").read_bytes()
    assert same_tensors(tensors(resumed), tensors(run))
    record = read_run(resumed)
    assert [(event["step"], event["event"]) for event in record.events] == [
        (0, "started"), (3, "interrupted"), (3, "resumed"), (5, "interrupted"), (5, "resumed"), (6, "interrupted"),
        (6, "resumed"), (12, "finished"),
    ]  # fmt: skip
    assert record.status == "finished" and record.info["steps_done"] == 12
    assert (np.diff(record.train["seconds"]) > 0).all(), "seconds of training go on"
    assert not (resumed / "metrics.discarded.jsonl").exists()


@pytest.mark.long
@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_resumed_at_and_across_the_edge_of_an_epoch(layout: str, grammar_folder: Path, tmp_path: Path) -> None:
    num_stories = data_in(grammar_folder).split("train").num_stories
    rows = {"padded": num_stories // 3, "packed": 128}[layout]
    recipe = tiny(batch__layout=layout, batch__rows=rows, steps=8, evaluation__every=8, evaluation__sample_tokens=0)
    training = tiny_training(grammar_folder, recipe)
    edge = next(step for step in range(1, 8) if training.source.epochs_after(step) >= 1)  # the last one of epoch 0
    assert 2 <= edge <= 6
    start_run(training, tmp_path / "whole")
    resumed = interrupted_and_resumed(grammar_folder, tmp_path / "resumed", recipe, [edge - 1, edge, edge + 1])
    assert metrics(resumed, events=False) == metrics(tmp_path / "whole", events=False)
    assert same_tensors(tensors(resumed), tensors(tmp_path / "whole"))


class Killed(Observer):
    """Keeps the folder as a crash after update `step` would leave it."""

    def __init__(self, step: int, run: Path, kept: Path) -> None:
        self.step, self.run, self.kept = step, run, kept

    def stepped(self, line: dict[str, Any]) -> None:
        if line["step"] == self.step:
            checkpoints_written()
            shutil.copytree(self.run, self.kept)


def test_after_a_crash_the_record_is_cut_back_and_kept(run: Path, grammar_folder: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    observer = Killed(11, tmp_path / "whole", crashed)
    start_run(tiny_training(grammar_folder, observer=observer), tmp_path / "whole")
    assert read_run(crashed).status == "interrupted" and checkpoint_steps(crashed) == [4, 8]
    with open(crashed / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind": "train", "step": 12, "lo')
    half = crashed / "checkpoints" / ".step-00000012.4711.partial"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half")
    assert resume_run(tiny_training(grammar_folder), crashed) == "finished"
    assert metrics(crashed, events=False) == metrics(run, events=False)
    assert same_tensors(tensors(crashed), tensors(run))
    assert samples(crashed) == samples(run)
    discarded = (crashed / "metrics.discarded.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in discarded[:-1]]
    assert [(line["kind"], line["step"]) for line in kept] == [
        ("train", 9), ("train", 10), ("eval", 10), ("train", 11),
    ]  # fmt: skip
    assert discarded[-1] == '{"kind": "train", "step": 12, "lo'
    (sample,) = (crashed / "samples.discarded.jsonl").read_text().splitlines()
    assert json.loads(sample)["step"] == 10


def test_a_crash_before_the_first_checkpoint_starts_over(run: Path, grammar_folder: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    observer = Killed(2, tmp_path / "whole", crashed)
    start_run(tiny_training(grammar_folder, observer=observer), tmp_path / "whole")
    assert not checkpoint_steps(crashed)
    assert resume_run(tiny_training(grammar_folder), crashed) == "finished"
    assert metrics(crashed) == metrics(run)
    assert same_tensors(tensors(crashed), tensors(run))


def test_a_checkpoint_of_skipped_steps_alone_can_be_resumed(grammar_folder: Path, tmp_path: Path) -> None:
    training = tiny_training(grammar_folder, observer=StopAfter(1))
    plain = training.engine.loss_sum
    training.engine.loss_sum = lambda inputs_BT, targets_BT: plain(inputs_BT, targets_BT) * float("nan")
    assert start_run(training, tmp_path / "run") == "interrupted"
    assert resume_run(tiny_training(grammar_folder), tmp_path / "run") == "finished"


def test_what_belongs_to_another_run_is_not_resumed(run: Path, grammar_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = (copy / "run.json").read_bytes()
    with pytest.raises(InputError, match=r"was made with seed 0, not 3; give that one"):
        resume_run(tiny_training(grammar_folder, seed=3), copy)
    info = json.loads(before)
    for change, message in (
        ({"data": info["data"] | {"tokenizer_hash": "x"}}, "was made with another tokenizer than"),
        ({"data": info["data"] | {"text_hashes": {}}}, "was made with other stories than"),
        ({"data": None}, r"run\.json lacks fields of a run"),
    ):
        (copy / "run.json").write_text(json.dumps(info | change))
        with pytest.raises(InputError, match=message) as error:
            resume_run(tiny_training(grammar_folder), copy)
        assert "\n" not in str(error.value)
    (copy / "run.json").write_bytes(before)
    shutil.rmtree(copy / "checkpoints" / "step-00000012")
    (copy / "run.json").write_text(json.dumps(info | {"status": "running"}))
    assert resume_run(tiny_training(grammar_folder), copy) == "finished"
    assert same_tensors(tensors(copy), tensors(run))


def test_the_error_of_a_failed_run_is_gone_once_it_has_finished(grammar_folder: Path, tmp_path: Path) -> None:
    class Fails(Observer):
        def stepped(self, line: dict[str, Any]) -> None:
            if line["step"] == 6:
                raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk"):
        start_run(tiny_training(grammar_folder, observer=Fails()), tmp_path / "run")
    assert "disk" in read_run(tmp_path / "run").info["error"] and read_run(tmp_path / "run").status == "failed"
    assert resume_run(tiny_training(grammar_folder), tmp_path / "run") == "finished"
    assert "error" not in read_run(tmp_path / "run").info


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model__vocabulary": 100}, r"vocabulary \(100\) is smaller than that of .*512"),
        ({"model__context": 4, "model__heads": 1}, r'"Once upon a time" is \d+ tokens long .* the context is 4'),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused_before_anything_is_written(
    values: dict[str, Any], message: str, grammar_folder: Path
) -> None:
    with pytest.raises(InputError, match=message) as error:
        tiny_training(grammar_folder, tiny(**values))
    assert "\n" not in str(error.value)


def test_the_best_checkpoint_outlives_the_latest_ones(grammar_folder: Path, tmp_path: Path) -> None:
    recipe = tiny(checkpoint__keep=1, checkpoint__every=2, evaluation__every=2, evaluation__sample_tokens=0, steps=8)
    training = tiny_training(grammar_folder, recipe)
    losses = iter([5.0, 3.0, 1.0, 2.0, 2.5])  # at steps 0, 2, 4, 6, 8
    plain = training.note_best
    training.note_best = lambda loss: plain(next(losses))  # type: ignore[method-assign]
    start_run(training, tmp_path / "run")
    assert checkpoint_steps(tmp_path / "run") == [4, 8]


def test_a_larger_vocabulary_than_the_tokenizers_is_allowed(grammar_folder: Path) -> None:
    training = tiny_training(grammar_folder, tiny(model__vocabulary=600))
    assert training.engine.model.embedding.weight.shape == (600, 16)


def test_the_probe_leaves_no_trace_in_what_is_drawn_or_remembered(grammar_folder: Path) -> None:
    first, second = tiny_training(grammar_folder), tiny_training(grammar_folder)
    assert not first.engine.optimizer.state
    assert torch.equal(first.engine.model.embedding.weight, second.engine.model.embedding.weight)
    with torch.no_grad():
        assert not first.engine.model.stack[0].attention.out.bias.any(), "biases start at zero"


def test_without_end_of_text_a_run_trains_and_is_scored_with_it(grammar_folder: Path, tmp_path: Path) -> None:
    recipe = tiny(batch__end_of_text=False, steps=3)
    run = tiny_run(grammar_folder, tmp_path / "run", recipe)
    with_ends = set_up_training(tiny(steps=3), data_in(grammar_folder), 0, Observer())
    assert read_run(run).info["data"]["end_of_text"] is False
    assert read_run(run).info["rulers"] == with_ends.rulers.hashes
