"""The yardstick: every target once, by hand; what its numbers are divided by; when two numbers may be ranked."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.data.data import EOT, split_of
from torch import Tensor

from fabula.data.batches import IGNORE
from fabula.data.dataset import Split
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Initialization, Model
from fabula.score.held_out import Score, evaluate, score
from fabula.score.rulers import COMMON_CONTEXT, Protocol, Ruler, make_rulers
from fabula.train.engine import loss_functions

CPU = torch.device("cpu")
STORIES = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [11, 12]]


def tiny_model(vocabulary: int, context: int) -> Decoder:
    model = Decoder(Model(layers=2, width=16, heads=2, context=context), vocabulary)
    initialize(model, Initialization(std=0.3), 0)
    return model


def one_nat_each(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
    return (targets_BT != IGNORE).float()


def nats_of(model: Decoder, row: list[int], first: int) -> float:
    """-log p of row[first:], each token given all of the row before it, one token at a time, in float64."""
    total = 0.0
    with torch.no_grad():
        for place in range(first, len(row)):
            logits_V = model(torch.tensor([row[:place]]))[0, -1].double()
            total -= float(logits_V.log_softmax(-1)[row[place]])
    return total


@pytest.mark.parametrize("context", [4, 5, 64])
def test_the_stream_scores_every_target_once_given_its_window(context: int) -> None:
    model = tiny_model(16, context)
    stream = [EOT]
    for story in STORIES:
        stream += [*story, EOT]
    by_hand = sum(
        nats_of(model, stream[start : start + context + 1], 1) for start in range(0, len(stream) - 1, context)
    )
    _, token_losses = loss_functions(model, False)
    scored = score(token_losses, Ruler(split_of(STORIES), "stream", context), EOT, CPU)
    assert scored.targets == len(stream) - 1 == sum(map(len, STORIES)) + len(STORIES)
    assert scored.nats == pytest.approx(by_hand, rel=1e-6)
    assert scored.loss == pytest.approx(by_hand / 16, rel=1e-6)


def test_a_story_is_scored_from_its_beginning_and_cut_at_the_context() -> None:
    model = tiny_model(16, 5)
    by_hand = sum(nats_of(model, [EOT, *story, EOT][:6], 1) for story in STORIES)
    _, token_losses = loss_functions(model, False)
    scored = score(token_losses, Ruler(split_of(STORIES), "story", 5), EOT, CPU)
    assert scored.targets == 4 + 2 + 5 + 3
    assert scored.nats == pytest.approx(by_hand, rel=1e-6)
    assert scored.gpt2_targets is None  # what was cut off is in no count


@pytest.mark.parametrize("context", [4, 64])
@pytest.mark.parametrize("protocol", ["stream", "story"])
def test_the_total_falls_to_the_stories_whose_tokens_they_are(protocol: Protocol, context: int) -> None:
    def token_is_its_loss(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        return torch.where(targets_BT == EOT, 0.5, targets_BT).where(targets_BT != IGNORE, 0).float()

    scored = score(token_is_its_loss, Ruler(split_of(STORIES), protocol, context), EOT, CPU)
    cut = context if protocol == "story" else 99
    rows = [[*story, 0.5][:cut] for story in STORIES]
    assert scored.story_targets_S.tolist() == [len(row) for row in rows]
    assert scored.story_nats_S.tolist() == [sum(row) for row in rows]
    assert scored.nats == sum(map(sum, rows)) and scored.targets == sum(map(len, rows))


def test_stories_add_up_to_the_evaluation() -> None:
    _, token_losses = loss_functions(tiny_model(16, 32), False)
    fields, stories = evaluate(token_losses, make_rulers(DATA, 32), EOT, CPU, full=True)
    assert [line["protocol"] for line in stories] == ["stream", "story"]
    for line, field in zip(stories, ("val_loss", "val_loss_story"), strict=True):
        assert line["split"] == SPLITS["validation"].name and len(line["nats"]) == 20
        assert sum(line["nats"]) / sum(line["tokens"]) == pytest.approx(fields[field], abs=1e-6)
    assert evaluate(token_losses, make_rulers(DATA, 32), EOT, CPU, full=False).stories == []


def test_only_the_chosen_stories_are_scored() -> None:
    ruler = Ruler(split_of(STORIES), "stream", 4, np.array([1, 3]))
    seen = []

    def note(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        seen.extend(targets_BT[targets_BT != IGNORE].tolist())
        return one_nat_each(inputs_BT, targets_BT)

    assert score(note, ruler, EOT, CPU).targets == 5
    assert seen == [4, EOT, 11, 12, EOT]


@pytest.mark.usefixtures("as_other_processes")
def test_every_batch_has_one_shape() -> None:
    shapes = set()

    def note(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        shapes.add((tuple(inputs_BT.shape), tuple(targets_BT.shape)))
        return one_nat_each(inputs_BT, targets_BT)

    stories = [[1] * 3000, [2] * 3000, [3] * 100]
    for protocol in ("stream", "story"):
        score(note, Ruler(split_of(stories), protocol, 128), EOT, CPU)
    assert shapes == {((32, 128), (32, 128))}


def test_the_three_losses_by_their_formulas() -> None:
    stories = np.array([100.0]), np.array([50])
    scored = Score(100.0, 50, 40, 200, *stories)
    assert scored.loss == 2.0 and scored.loss_gpt2 == 2.5
    assert scored.bits_per_byte == pytest.approx(100 / math.log(2) / 200)
    assert replace(scored, gpt2_targets=None).loss_gpt2 is None
    # A model that gives each bit of each byte an even chance needs 8 bits a byte.
    assert Score(10 * math.log(256), 10, None, 10, *stories).bits_per_byte == pytest.approx(8)


def stories_of(seed: int, num: int = 20) -> Split:
    generator = np.random.default_rng(seed)
    stories = [generator.integers(1, 16, generator.integers(20, 300)).tolist() for _ in range(num)]
    return split_of(stories, gpt2_lengths=generator.integers(1, 99, num).tolist())


SPLITS = {"train": stories_of(0), "tune": stories_of(1), "validation": stories_of(2)}
DATA: Any = SimpleNamespace(split=SPLITS.__getitem__)


@pytest.mark.parametrize("context", [32, COMMON_CONTEXT, 200])
def test_the_counts_behind_an_evaluation(context: int) -> None:
    """With one nat a target, each field shows what it is divided by."""
    held_out = SPLITS["validation"]
    assert held_out.gpt2_lengths is not None
    num_targets = held_out.num_tokens + held_out.num_stories
    rulers = make_rulers(DATA, context)
    fields = evaluate(one_nat_each, rulers, EOT, CPU, full=True).fields
    ones = {"train_loss", "val_loss_subset", "val_loss", "val_loss_story", "val_loss_at_128", "val_loss_story_at_128"}
    assert {name: fields[name] for name in ones} == dict.fromkeys(ones, 1.0)
    ratio = num_targets / (int(held_out.gpt2_lengths.sum()) + held_out.num_stories)
    assert fields["val_loss_gpt2"] == fields["val_loss_gpt2_at_128"] == pytest.approx(ratio)
    assert fields["val_bits_per_byte"] == pytest.approx(num_targets / math.log(2) / int(held_out.num_bytes.sum()))
    part = evaluate(one_nat_each, rulers, EOT, CPU, full=False).fields
    assert set(part) == {"train_loss", "val_loss_subset", "val_loss", "val_loss_gpt2", "val_bits_per_byte"}


def test_between_full_evaluations_the_subset_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabula.score.rulers.SUBSET_BYTES", 500)
    rulers = make_rulers(DATA, 32)
    assert rulers.stream_subset.counts.num_stories < rulers.stream.counts.num_stories
    _, token_losses = loss_functions(tiny_model(16, 32), False)
    part = evaluate(token_losses, rulers, EOT, CPU, full=False).fields
    whole = evaluate(token_losses, rulers, EOT, CPU, full=True).fields
    assert part["val_loss"] == part["val_loss_subset"] == whole["val_loss_subset"] != whole["val_loss"]


def test_a_rulers_hash_changes_with_text_rule_and_context_and_with_nothing_else() -> None:
    split = split_of(STORIES)
    hash_of = Ruler(split, "stream", 8).hash
    same_text = replace(
        split, name="tune", tokens=split.tokens + 1, offsets=split.offsets, gpt2_lengths=np.ones(4, np.int32)
    )
    protocols: tuple[Protocol, ...] = ("stream", "story")
    assert Ruler(same_text, "stream", 8).hash == hash_of
    assert Ruler(split, "stream", 8, np.arange(4)).hash == hash_of  # all stories, said in another way
    others = [
        Ruler(split, "story", 8).hash,
        Ruler(split, "stream", 9).hash,
        Ruler(split_of([*STORIES[:3], [11, 13]]), "stream", 8).hash,
        Ruler(split_of(STORIES[::-1]), "stream", 8).hash,
        Ruler(split_of(STORIES[:3]), "stream", 8).hash,
        *(Ruler(split, protocol, 8, np.array([0, 2])).hash for protocol in protocols),
    ]
    assert len({hash_of, *others}) == 1 + len(others)


def test_rulers_of_a_run() -> None:
    small, large = make_rulers(DATA, 32), make_rulers(DATA, 256)
    assert small.stream_at_128.context == 32 and large.stream_at_128.context == COMMON_CONTEXT
    assert small.hashes["stream_at_128"] == small.hashes["stream"]
    assert large.hashes["stream_at_128"] == make_rulers(DATA, 128).hashes["stream"] != large.hashes["stream"]
    assert list(small.hashes) == ["stream", "story", "stream_subset", "stream_at_128", "story_at_128", "train_sample"]
    on_tune = make_rulers(DATA, 32, "tune").hashes
    assert on_tune["stream"] != small.hashes["stream"] and on_tune["train_sample"] == small.hashes["train_sample"]
