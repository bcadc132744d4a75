"""Rows and windows: which tokens form which batch, as a pure function of (data, layout, seed, step).

End-of-text (EOT) closes every story and opens every row. A padded row is `EOT story EOT` cut to T + 1 tokens, the
rest masked. The packed stream is one EOT, then each story followed by EOT, for ever; window w is its targets
[w T, (w + 1) T), whichever epochs they fall in. (Without EOTs, as the original Gemma had it, the stream is the stories
alone, and its first token no target.) Both layouts take the stories in one order, permuted afresh for each
(data, seed, epoch): row r of a run is story r of that order in the one, window r in the other, and step s takes rows
(s - 1) R A .. s R A - 1.

Shapes: B rows of a batch (R asked for), T context, A accumulation, S stories.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fabula.data.dataset import Dataset, Split

IGNORE = -100  # the default of torch.nn.functional.cross_entropy(ignore_index=...)
Layout = Literal["padded", "packed"]
IntArray = npt.NDArray[np.int64]

HIDDEN = -1
"""Stands for an input token that the model is not to see."""

# Names of random streams, so that no other use of a run's seed can share this one's numbers.
ORDER_STREAM = 0x6F72646572  # "order"
HIDING_STREAM = 0x6869646465  # "hidde"


class Batch(NamedTuple):
    inputs_BT: IntArray
    """HIDDEN where the token is not to be seen."""
    targets_BT: IntArray
    """IGNORE where masked."""
    of_all: int | None = None
    """Where these are one process's rows of a batch: the tokens of all of its rows."""

    @property
    def num_targets(self) -> int:
        """Tokens that count in the loss."""
        return int(np.count_nonzero(self.targets_BT != IGNORE)) if self.of_all is None else self.of_all

    def share(self, place: int, size: int) -> "Batch":
        """The rows of the process at `place`, of `size` that share them."""
        if size == 1:
            return self
        rows = len(self.inputs_BT)
        own = slice(place * rows // size, (place + 1) * rows // size)
        return Batch(self.inputs_BT[own], self.targets_BT[own], self.num_targets)


class Source(Protocol):
    """Where a training takes its batches from: each depends on nothing but its number, from 1, and micro-step, from
    0."""

    def batch(self, step: int, micro_step: int = 0) -> Batch: ...

    def statistics(self, steps: int) -> "LayoutStatistics": ...


def permutation(data_seed: int, seed: int, epoch: int, num_stories: int) -> IntArray:
    """The order of the stories in an epoch: the ranks of raw 64-bit draws.

    Raw draws of a named bit generator are the part of numpy's random numbers that never changes between versions
    (NEP 19); `Generator.permutation` is not.
    """
    stream = np.random.PCG64(np.random.SeedSequence([ORDER_STREAM, data_seed, seed, epoch]))
    return np.argsort(stream.random_raw(num_stories), kind="stable")


class _Epoch(NamedTuple):
    order_S: IntArray
    ends_S: IntArray
    """Targets of this epoch up to and with the k-th story of its order, EOTs counted."""


class StoryOrder:
    """The endless sequence of stories of one (data, seed), and where each lies in the packed stream.

    Without `ends` no EOT stands between the stories.
    """

    def __init__(self, split: Split, data_seed: int, seed: int, ends: bool = True) -> None:
        assert split.num_stories > 0, "a split to train on has stories"
        self.split = split
        self.num_stories = split.num_stories
        self.ends = int(ends)
        self.epoch_targets = split.num_tokens + split.num_stories * self.ends
        self._seeds = (data_seed, seed)
        self._lengths = split.lengths
        self._epochs: OrderedDict[int, _Epoch] = OrderedDict()

    def epoch(self, number: int) -> _Epoch:
        if number not in self._epochs:
            order = permutation(*self._seeds, number, self.num_stories)
            self._epochs[number] = _Epoch(order, np.cumsum(self._lengths[order] + self.ends))
            while len(self._epochs) > 2:  # a batch touches two at most, unless an epoch is shorter than it
                self._epochs.popitem(last=False)
        self._epochs.move_to_end(number)
        return self._epochs[number]

    def story(self, row: int) -> int:
        """The story at place `row` of the endless order."""
        epoch, place = divmod(row, self.num_stories)
        return int(self.epoch(epoch).order_S[place])

    def targets(self, start: int, stop: int, eot: int, out: IntArray) -> None:
        """Write targets [start, stop) of the endless packed stream into `out`."""
        position = start
        while position < stop:
            number, within = divmod(position, self.epoch_targets)
            order_S, ends_S = self.epoch(number)
            place = int(np.searchsorted(ends_S, within, side="right"))
            while position < stop and place < self.num_stories:
                tokens = self.split.story(int(order_S[place]))
                skip = within - (int(ends_S[place]) - len(tokens) - self.ends)
                piece = tokens[skip : skip + stop - position]
                at = position - start
                out[at : at + len(piece)] = piece
                position += len(piece)
                if position < stop and self.ends:
                    out[position - start] = eot
                    position += 1
                place += 1
                within = position - number * self.epoch_targets


@dataclass(frozen=True)
class LayoutStatistics:
    """What a number of steps feeds to the model: exact, from the lengths alone; None: not known."""

    positions: int
    """Rows x context, padding included: what compute pays for."""
    tokens: int | None = None
    """Targets that count in the loss."""
    padding_share: float | None = None
    """Of the positions, those that are padding."""
    story_tokens_cut_share: float | None = None
    """Of the tokens of the stories taken, those cut off at the row's end. In a packed stream nothing is."""
    distinct_story_tokens: int | None = None
    """Different tokens of the split that were targets at least once, EOTs not counted."""
    epochs: float | None = None


class BatchSource:
    """Training batches of one run. `batch(step, micro_step)` depends on nothing but its arguments."""

    def __init__(
        self,
        data: Dataset,
        *,
        layout: Layout,
        rows: int,
        context: int,
        seed: int,
        accumulation: int = 1,
        end_of_text: bool = True,
        hidden_tokens: float = 0.0,
        split: Literal["train", "tune", "validation"] = "train",
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """`share`: the place of this process, and how many share the rows of each batch."""
        assert end_of_text or layout == "packed", "a padded row begins and ends with EOT"
        assert layout in ("padded", "packed") and rows > 0 and context > 0 and accumulation > 0
        self.layout = layout
        self.rows = rows
        self.context = context
        self.accumulation = accumulation
        self.hidden_tokens = hidden_tokens
        self.share = share
        self.eot = data.tokenizer.eot
        self._seeds = (data.seed, seed)
        self._split = data.split(split)
        self._order = StoryOrder(self._split, data.seed, seed, end_of_text)
        assert self._order.epoch_targets > 0, "stories without tokens need their EOTs"

    def batch(self, step: int, micro_step: int = 0) -> Batch:
        """Batch of micro-step `micro_step` (from 0) of `step` (from 1): inputs and targets [R, T], of the rows R those
        that are this process's share."""
        assert step >= 1 and 0 <= micro_step < self.accumulation
        micro_steps = (step - 1) * self.accumulation + micro_step
        first = micro_steps * self.rows
        if self.layout == "packed":
            batch = self._windows(first)
        else:
            stories = [self._split.story(self._order.story(row)) for row in range(first, first + self.rows)]
            batch = _padded(stories, self.context, self.eot)
        if self.hidden_tokens:
            batch = hide(batch, self.hidden_tokens, (*self._seeds, micro_steps))
        return batch.share(*self.share)

    def _windows(self, first: int) -> Batch:
        start = first * self.context
        stop = start + self.rows * self.context
        stream = np.empty(stop - start + 1, np.int64)
        if not self._order.ends:  # no EOT precedes the stream: its first token is the first input
            self._order.targets(start, stop + 1, self.eot, stream)
        elif start == 0:
            stream[0] = self.eot
            self._order.targets(start, stop, self.eot, stream[1:])
        else:
            self._order.targets(start - 1, stop, self.eot, stream)
        return Batch(stream[:-1].reshape(self.rows, self.context), stream[1:].reshape(self.rows, self.context))

    def epochs_after(self, steps: int) -> float:
        """Passes over the stories that are complete after `steps` steps, as a fraction."""
        num_rows = steps * self.accumulation * self.rows
        if self.layout == "packed":
            return num_rows * self.context / self._order.epoch_targets
        return num_rows / self._order.num_stories

    def statistics(self, steps: int) -> LayoutStatistics:
        num_rows = steps * self.accumulation * self.rows
        positions = num_rows * self.context
        lengths = self._split.lengths
        if self.layout == "packed":
            return LayoutStatistics(
                positions, positions, 0.0, 0.0, self._distinct_packed(positions), self.epochs_after(steps)
            )
        kept = np.minimum(lengths, self.context)
        targets = np.minimum(lengths + 1, self.context)
        epochs, rest = divmod(num_rows, self._order.num_stories)
        last = self._order.epoch(epochs).order_S[:rest] if rest else np.zeros(0, np.int64)

        def total(values: IntArray) -> int:
            return epochs * int(values.sum()) + int(values[last].sum())

        tokens = total(targets)
        story_tokens = total(lengths)
        return LayoutStatistics(
            positions=positions,
            tokens=tokens,
            padding_share=1 - tokens / positions if positions else 0.0,
            story_tokens_cut_share=1 - total(kept) / story_tokens if story_tokens else 0.0,
            distinct_story_tokens=int(kept.sum()) if epochs else int(kept[last].sum()),
            epochs=self.epochs_after(steps),
        )

    def _distinct_packed(self, positions: int) -> int:
        if positions >= self._order.epoch_targets:
            return self._split.num_tokens
        ends_S = self._order.epoch(0).ends_S
        if not self._order.ends:
            return min(positions, self._split.num_tokens - 1)  # the first token is an input only
        num_whole = int(np.searchsorted(ends_S, positions, side="right"))
        return positions - num_whole  # each whole story has brought one EOT


def hide(batch: Batch, share: float, seeds: tuple[int, int, int]) -> Batch:
    """The batch with about that share of its inputs hidden. `seeds`: of the data, of the run, and how many micro-steps
    came before this one."""
    stream = np.random.PCG64(np.random.SeedSequence([HIDING_STREAM, *seeds]))
    draws_BT = stream.random_raw(batch.inputs_BT.size).reshape(batch.inputs_BT.shape)
    hidden_BT = draws_BT < np.uint64(share * 2**64)
    return batch._replace(inputs_BT=np.where(hidden_BT, HIDDEN, batch.inputs_BT))


def _padded(stories: list[npt.NDArray[np.integer]], context: int, eot: int) -> Batch:
    inputs_BT = np.full((len(stories), context), eot, np.int64)
    targets_BT = np.full((len(stories), context), IGNORE, np.int64)
    for row, story in enumerate(stories):
        inputs_BT[row, 1 : len(story) + 1] = story[: context - 1]
        targets_BT[row, : len(story)] = story[:context]
        if len(story) < context:
            targets_BT[row, len(story)] = eot
    return Batch(inputs_BT, targets_BT)


def stream_windows(
    split: Split, indices: npt.ArrayLike | None, *, context: int, rows: int, eot: int
) -> Iterator[Batch]:
    """The packed stream of the stories at `indices` (all by default), in that order and unpermuted.

    Yields batches of up to `rows` windows of `context` targets. Every target is scored once; the last window is as
    short as what is left, the rest of its row masked.
    """
    chosen = range(split.num_stories) if indices is None else np.asarray(indices, np.int64).tolist()
    size = rows * context
    waiting = [np.array([eot], np.int64)]  # its first token is the input before the first target
    num_waiting = 1
    for index in chosen:
        waiting += [split.story(index).astype(np.int64), np.array([eot], np.int64)]
        num_waiting += len(waiting[-2]) + 1
        if num_waiting > size:
            stream = np.concatenate(waiting)
            while len(stream) > size:
                yield Batch(stream[:size].reshape(rows, context), stream[1 : size + 1].reshape(rows, context))
                stream = stream[size:]
            waiting, num_waiting = [stream], len(stream)
    stream = np.concatenate(waiting)
    num_targets = len(stream) - 1
    if num_targets:
        num_rows = -(-num_targets // context)
        inputs = np.full(num_rows * context, eot, np.int64)
        targets = np.full(num_rows * context, IGNORE, np.int64)
        inputs[:num_targets] = stream[:-1]
        targets[:num_targets] = stream[1:]
        yield Batch(inputs.reshape(num_rows, context), targets.reshape(num_rows, context))


def story_rows(split: Split, indices: npt.ArrayLike | None, *, context: int, rows: int, eot: int) -> Iterator[Batch]:
    """Padded rows of the stories at `indices` (all by default), in that order, up to `rows` a batch."""
    chosen = list(range(split.num_stories)) if indices is None else np.asarray(indices, np.int64).tolist()
    for start in range(0, len(chosen), rows):
        yield _padded([split.story(index) for index in chosen[start : start + rows]], context, eot)
