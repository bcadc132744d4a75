"""Validation loss by the yardstick.

Shapes: B rows, T context, S stories, N targets. Nats throughout, until the very end of a formula.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fabula.data.batches import IGNORE, Batch
from fabula.score.rulers import Ruler, Rulers

TokenLosses = Callable[[Tensor, Tensor], Tensor]
"""(inputs_BT, targets_BT) -> -log p of each target (B, T), 0 where it is IGNORE."""

Tell = Callable[[int, int], None]
"""(stories scored so far, stories to score in all); a story that is scored by two rulers counts twice."""

POSITIONS_PER_BATCH = 4096


class Scorers(NamedTuple):
    """The processes that share the batches of an evaluation, each scoring one in turn."""

    place: int = 0
    size: int = 1
    added_up: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]] = lambda nats_N: nats_N
    """The sum over all of them of what each has: 0 where it has scored nothing."""


ONE = Scorers()


@dataclass(frozen=True)
class Score:
    """Total nats over the targets of one ruler."""

    nats: float
    targets: int
    gpt2_targets: int | None
    text_bytes: int
    story_nats_S: npt.NDArray[np.float64]
    """The same total, story by story: a target belongs to the story that its token is of, end-of-text included."""
    story_targets_S: npt.NDArray[np.int64]

    @property
    def loss(self) -> float:
        """Nats per own token, end-of-text included."""
        return self.nats / self.targets

    @property
    def loss_gpt2(self) -> float | None:
        """Total nats over the GPT-2 tokens of the same text, end-of-texts counted."""
        return None if self.gpt2_targets is None else self.nats / self.gpt2_targets

    @property
    def bits_per_byte(self) -> float:
        """Total bits over the bytes of text: the nats of end-of-text count, its bytes are none."""
        return self.nats / math.log(2) / self.text_bytes


def rows_of_batch(context: int) -> int:
    """Rows that are scored at once."""
    return max(1, POSITIONS_PER_BATCH // context)


def score(
    token_losses: TokenLosses,
    ruler: Ruler,
    eot: int,
    device: torch.device,
    tell: Callable[[int], None] = lambda targets: None,
    scorers: Scorers = ONE,
) -> Score:
    """Score every target of `ruler` once; a token-weighted total in float64. `tell` hears after each batch how many
    targets are done.

    Batches all have one shape (short ones are filled with masked rows), so that a compiled model is compiled once. Each
    of several `scorers` calls `token_losses` equally often, which may have to be done together.
    """
    rows = rows_of_batch(ruler.context)

    def nats(batch: Batch) -> npt.NDArray[np.float64]:
        missing = rows - len(batch.inputs_BT)
        inputs = np.pad(batch.inputs_BT, ((0, missing), (0, 0)), constant_values=eot)
        wanted = np.pad(batch.targets_BT, ((0, missing), (0, 0)), constant_values=IGNORE)
        with torch.no_grad():
            losses_BT = token_losses(torch.from_numpy(inputs).to(device), torch.from_numpy(wanted).to(device))
        scored: npt.NDArray[np.float64] = losses_BT.double().cpu().numpy()[wanted != IGNORE]
        return scored

    losses: list[npt.NDArray[np.float64]] = []
    num_done = 0
    for batch in ruler.batches(rows, eot):
        mine = len(losses) % scorers.size == scorers.place
        losses.append(nats(batch) if mine else np.zeros(batch.num_targets))
        num_done += len(losses[-1])
        tell(num_done)
    if 0 < len(losses) % scorers.size <= scorers.place:  # idle in the last round
        nats(Batch(np.zeros((0, ruler.context), np.int64), np.zeros((0, ruler.context), np.int64)))
    losses_N = scorers.added_up(np.concatenate(losses))
    lengths_S = ruler.story_targets
    assert len(losses_N) == lengths_S.sum(), "every target is scored once, story by story"
    story_nats_S = np.add.reduceat(losses_N, np.cumsum(lengths_S) - lengths_S)
    counts = ruler.counts
    # Padded rows are cut, so the counts of the whole text hold for the stream only.
    gpt2_targets = counts.num_gpt2_targets if ruler.protocol == "stream" else None
    return Score(float(story_nats_S.sum()), len(losses_N), gpt2_targets, counts.num_bytes, story_nats_S, lengths_S)


class Evaluation(NamedTuple):
    """What one evaluation gives to the record (docs/run-folder.md)."""

    fields: dict[str, float | None]
    """The loss fields of its line."""
    stories: list[dict[str, Any]]
    """After a full one, the fields of a line of evaluations.jsonl a protocol: each story's targets and nats."""


def evaluate(
    token_losses: TokenLosses,
    rulers: Rulers,
    eot: int,
    device: torch.device,
    full: bool,
    tell: Tell = lambda done, total: None,
    scorers: Scorers = ONE,
) -> Evaluation:
    """Score the subset and the training sample, and where `full` the whole split by every protocol."""
    wanted = {"train_sample": rulers.train_sample, "subset": rulers.stream_subset}
    if full:
        wanted |= {"stream": rulers.stream, "story": rulers.story}
        if rulers.stream_at_128.context != rulers.stream.context:
            wanted |= {"stream_at_128": rulers.stream_at_128, "story_at_128": rulers.story_at_128}
    total = sum(len(ruler.story_targets) for ruler in wanted.values())
    scores: dict[str, Score] = {}
    num_scored = 0
    for name, ruler in wanted.items():
        ends_S = np.cumsum(ruler.story_targets)

        def told(targets: int, before: int = num_scored, ends_S: npt.NDArray[np.int64] = ends_S) -> None:
            tell(before + int(np.searchsorted(ends_S, targets, side="right")), total)

        scores[name] = score(token_losses, ruler, eot, device, told, scorers)
        num_scored += len(ends_S)
    subset = scores["subset"]
    stream = scores.get("stream", subset)
    fields: dict[str, float | None] = {
        "train_loss": scores["train_sample"].loss,
        "val_loss_subset": subset.loss,
        "val_loss": stream.loss,
        "val_loss_gpt2": stream.loss_gpt2,
        "val_bits_per_byte": stream.bits_per_byte,
    }
    stories = []
    if full:
        story = scores["story"]
        stream_at_128, story_at_128 = scores.get("stream_at_128", stream), scores.get("story_at_128", story)
        fields |= {
            "val_loss_story": story.loss,
            "val_loss_at_128": stream_at_128.loss,
            "val_loss_gpt2_at_128": stream_at_128.loss_gpt2,
            "val_loss_story_at_128": story_at_128.loss,
        }
        stories = [_story_fields(rulers.stream, stream), _story_fields(rulers.story, story)]
    return Evaluation(fields, stories)


def _story_fields(ruler: Ruler, scored: Score) -> dict[str, Any]:
    return {
        "protocol": ruler.protocol,
        "split": ruler.split.name,
        "ruler": ruler.hash,
        "tokens": scored.story_targets_S.tolist(),
        "nats": np.round(scored.story_nats_S, 4).tolist(),  # the noise of a story's loss begins before that digit
    }
