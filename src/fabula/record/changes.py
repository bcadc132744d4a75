"""Where a column of a log says that the data or the phase of a curriculum changes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

WORDS = (
    *("phase", "stage", "curriculum", "dataset", "datasets", "data", "corpus", "source", "domain", "task", "mixture"),
    *("mix", "difficulty", "seq", "seqlen", "sequence", "context", "ctx", "blocksize", "block", "bsz", "batchsize"),
)
"""A column whose name has one of these says what the run is trained on: `phase`, `data_source`, `seq_len`."""
TOGETHER = ("batch_size", "bs", "global_batch", "micro_batch_size")
NOT_THESE = {"time", "seconds", "sec", "ms", "wait", "loss", "tokens", "epoch", "step", "num", "idx", "index"}
"""`data_time` and `data_loading_seconds` are measurements, `source_idx` and `data_step` counters."""
MOST = 12
"""More changes than a dozen are a mixture that differs from batch to batch, and no phases."""
SHORTEST = 3
"""Lines that a phase takes, at least, on average."""


def says_what_is_trained_on(name: str) -> bool:
    plain = re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")
    parts = set(plain.split("_"))
    return not parts & NOT_THESE and (bool(parts & set(WORDS)) or plain in TOGETHER)


def changes_of(columns: Mapping[str, Sequence[Any]], steps: Iterable[float]) -> list[dict[str, Any]]:
    """`{"step", "column", "before", "after"}` for each change, in order: `step` is the first that has the new value.

    `columns`: name -> a value a line; None, NaN and "" where a line has none, which says nothing.
    """
    at = list(steps)
    found = []
    for name, cells in columns.items():
        if not says_what_is_trained_on(name):
            continue
        said = [(step, cell) for step, cell in zip(at, map(_text, cells), strict=True) if cell and step == step]
        pairs = pairwise(said)
        here = [(int(step), before, after) for (_, before), (step, after) in pairs if before != after]
        if 0 < len(here) <= MOST and len(said) >= SHORTEST * (len(here) + 1):
            found += [{"step": step, "column": name, "before": old, "after": new} for step, old, new in here]
    return sorted(found, key=lambda each: each["step"])


def _text(cell: Any) -> str:
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return f"{cell:g}" if isinstance(cell, (int, float)) else " ".join(str(cell).split())[:60]
