"""Columns that say how fast a training was and how much memory it took, in whatever unit.

Only how they change is asked of them, so a column whose cells cannot be read is left out and not refused.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from fabula.record.content.columns import Columns
from fabula.record.foreign.lines.numbers import is_missing
from fabula.record.foreign.names import WRAPPING, normalized

_BEFORE = re.compile(
    r"^(?:(?:train|training|perf|performance|speed|timing|timings|timer|time|system|device|trainer|profile)_)+(?=\w)"
)
_A_SECOND = r"_(?:per_)?(?:sec(?:ond)?s?|s)"
_STEP = r"(?:step|iter|iteration|it|batch|update)"
_SIZE = r"(?:_?(?:bytes|[kmg]i?b|used|usage|allocated|alloc|reserved|peak|max|avg|mean|total_used|current|in_use|pct))*"
NAMES: dict[str, tuple[str, ...]] = {
    "tokens_per_second": (
        rf"(?:num_)?(?:tok|toks|tokens?|words?){_A_SECOND}(?:_per_(?:gpu|device))?|tps|wps|tgs|tok_throughput",
        rf"(?:samples?|seqs?|sequences?|examples?|stories){_A_SECOND}",
        rf"(?:{_STEP}s?|batches|updates|ups){_A_SECOND}|ups",
        r"(?:device_)?throughput(?:_(?!total)\w+)?|tokens_throughput|speed|mfu|t?flops(?:_\w+)?",
    ),
    "seconds_per_step": (
        rf"(?:seconds?|secs?|s|ms|msec|time|duration)_(?:per_)?{_STEP}(?:_(?:ms|s|sec|seconds))?",
        rf"(?:elapsed_)?(?:time|duration)_per_{_STEP}(?:_(?:ms|s|sec|seconds))?",
        rf"{_STEP}_(?:time|ms|msec|duration|seconds?|secs?|dt|latency)(?:_(?:ms|s|sec|seconds))?|dt(?:_(?:ms|s))?",
    ),
    "memory": (
        rf"(?:(?:gpu|cuda|cpu|process|host|proc|device|ram|vram|rss)_?\d*_)*(?:mem|memory|vram|rss|ram){_SIZE}"
        r"|(?:allocated|used)_(?:gpu_)?mem(?:ory)?(?:_[kmg]i?b)?",
        rf"(?:max|peak|cuda_max|reserved|active|total|gpu_max|gpu_peak)_(?:\w*_)??(?:mem|memory|vram|rss|ram){_SIZE}"
        r"|(?:mem|memory)_(?:max|peak)_\w+|(?:max|peak)_(?:mem|memory)_\w+",
    ),
}
"""What it is -> patterns of its names as `normalized` writes them, the best first."""
_PATTERNS = {what: tuple(re.compile(each) for each in given) for what, given in NAMES.items()}
_CELL = re.compile(r"\s*([-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+(?:[eE][-+]?\d+)?))\s*([A-Za-z/]*)\s*")
_UNITS = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024.0,
          "MiB": 1024.0**2, "GiB": 1024.0**3, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0}  # fmt: skip


def is_of_the_machine(name: str) -> str | None:
    """What a column tells of the machine, by its name.

    >>> is_of_the_machine("train/tokens_per_sec"), is_of_the_machine("step_time_ms"), is_of_the_machine("gpu_mem_gb")
    ('tokens_per_second', 'seconds_per_step', 'memory')
    >>> is_of_the_machine("loss"), is_of_the_machine("eval_samples_per_second")
    (None, None)
    """
    found = _place(name)
    return None if found is None else found[0]


@lru_cache(maxsize=4096)
def _place(name: str) -> tuple[str, int] | None:
    short = WRAPPING.sub("", normalized(name))
    for spelt in (short, _BEFORE.sub("", short)):
        for what, patterns in _PATTERNS.items():
            for place, pattern in enumerate(patterns):
                if pattern.fullmatch(spelt):
                    return what, place
    return None


def machine_of(cells: Mapping[str, Any], taken: Collection[str]) -> tuple[Columns, dict[str, str]]:
    """The columns by what they tell, and which of the log's each is; of several the best that can be read."""
    found: dict[str, tuple[int, str]] = {}
    columns: Columns = {}
    for name, given in cells.items():
        place = None if name in taken else _place(name)
        if place is None or (place[0] in found and found[place[0]][0] <= place[1]):
            continue
        values = _values(given)
        if np.isfinite(values).sum() > 1:
            found[place[0]], columns[place[0]] = (place[1], name), values
    return columns, {what: name for what, (_, name) in found.items()}


def _values(cells: Iterable[Any]) -> np.ndarray:
    """Numbers, NaN for all cells where one cannot be read."""
    values = [_value(cell) for cell in cells]
    if any(value is None for value in values):
        return np.full(len(values), np.nan)
    return np.array(values, dtype=np.float64)


def _value(cell: Any) -> float | None:
    if is_missing(cell):
        return np.nan
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return float(cell) if abs(cell) < 1e300 else np.nan
    match = _CELL.fullmatch(cell) if isinstance(cell, str) else None
    if match is None:
        return np.nan if isinstance(cell, str) and cell.strip().lower() in ("nan", "inf", "-inf") else None
    return float(match[1].replace(",", "")) * _UNITS.get(match[2], 1.0)
