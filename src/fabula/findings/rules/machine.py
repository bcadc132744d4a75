"""Rules on what a training asks of its machine: how fast it is, and how much memory it takes."""

from collections.abc import Sequence

import numpy as np

from fabula.findings.curves.episodes import block_medians
from fabula.findings.facts import Curve, Facts
from fabula.findings.rule import Outcome, Silent, number, rule, share
from fabula.record.finding import Finding

MIN_POINTS = 20
"""Fewer values show no level and no trend."""
NUM_BLOCKS = 60
"""Medians of blocks: a step that waits for an evaluation or a checkpoint is one value among many."""
START = 0.05
"""The first steps compile, fill caches and take memory: the first twentieth, three values at least, is left out."""
SLOWER = 0.75
"""A quarter slower: what clocks, heat and neighbours do to a machine in passing is less."""
APART = 0.1
"""The fastest tenth after the fall is slower than the slowest tenth before it."""
LASTING = 0.1
"""What is slower takes a tenth of the run, and is its end."""
GROWN = 0.1
"""A tenth more memory than after the start; runs of fabula took 1 to 3 % more at their end."""
BYTES_FROM = 1e7
"""No training takes less than ten million bytes, or as many megabytes."""
STEADY = 0.9
"""Correlation of memory with time, and of its ranks: a leak grows all the time."""
STILL = 0.2
"""... and a fifth of the growth or more is in each of the last two thirds of the run: memory that is taken once levels
off, and a longest batch is followed by many that are shorter."""


@rule
def throughput(facts: Facts) -> Outcome:
    curve = facts.speed
    if curve is None or len(curve.finite) < MIN_POINTS:
        return Silent(f"needs the throughput (tokens per second, seconds per step) of {MIN_POINTS} steps or more")
    points = _after_the_start(curve)
    if (points.values <= 0).any():
        return []
    slow = curve.name == "seconds_per_step"
    speeds = 1.0 / points.values if slow else points.values
    at = _split(np.log(speeds))
    before, after = speeds[:at], speeds[at:]
    ratio = float(np.median(after) / np.median(before))
    least = max(3.0, LASTING * len(speeds))
    if ratio > SLOWER or min(len(before), len(after)) < least or np.median(speeds[-3:]) > SLOWER * np.median(before):
        return []
    if np.quantile(after, 1.0 - APART) >= np.quantile(before, APART):
        return []
    first, last = int(points.steps[at]), int(points.steps[-1])
    old, new = (float(np.median(part)) for part in (points.values[:at], points.values[at:]))
    unit = "seconds a step" if slow else "tokens a second"
    told = f"from about {_amount(old)} to {_amount(new)}" + ("" if _is_foreign(facts) else f" {unit}")
    return [
        Finding(
            kind="throughput_dropped",
            scope="run",
            severity="note",
            steps=(first, last),
            evidence={"before": old, "after": new, "ratio": round(ratio, 3), **_column(facts, curve)},
            sentence=f"From about step {first:,} on, the training was slower, to the end of the record: its "
            f"{_named(facts, curve, 'time for a step' if slow else 'throughput')} went {told}, so that a step took "
            f"{number(1.0 / ratio)} times as long.",
            alternatives=(
                *_changes(facts, first, points.spacing),
                "other programs use the same processor or GPU",
                "the machine runs hot and lowers its clock",
                "reading the data became slower, or memory ran short and is swapped",
            ),
            try_="look at what else runs on the machine, at its temperature and its memory while it trains",
        )
    ]


@rule
def memory(facts: Facts) -> Outcome:
    curve = facts.memory
    if curve is None or len(curve.finite) < MIN_POINTS:
        return Silent(f"needs the memory in use at {MIN_POINTS} steps or more (for example `record.internals`)")
    points = _after_the_start(curve)
    values = points.values
    if len(values) < MIN_POINTS // 2 or (values <= 0).any():
        return []
    parts = (values[:3], _around(values, 1 / 3), _around(values, 2 / 3), values[-3:])
    first, second, third, last = (float(np.median(part)) for part in parts)
    grown = last - first
    if grown < GROWN * first or min(last - third, third - second) < STILL * grown or _correlation(values) < STEADY:
        return []
    steps = (int(points.steps[0]), int(points.steps[-1]))
    return [
        Finding(
            kind="memory_growing",
            scope="run",
            severity="warning",
            steps=steps,
            evidence={"first": first, "last": last, "growth": round(grown / first, 4), **_column(facts, curve)},
            sentence=f"{_named(facts, curve, 'The memory in use')} grew all the time, from {_size(first)} "
            f"at step {steps[0]:,} to {_size(last)} at step {steps[1]:,} ({share(grown / first)} more), and was "
            "still growing at the end: a longer run may not find enough.",
            alternatives=(
                "losses or outputs are kept with their graph of gradients (`total += loss` instead of `loss.item()`)",
                "a list, a cache or a log in memory grows with every step",
                "batches become longer",
            ),
            try_="train a tenth of the steps with logging and evaluation switched off: if the memory stays level, what "
            "is kept there was the cause",
        )
    ]


def _after_the_start(curve: Curve) -> Curve:
    finite = curve.finite
    skipped = max(3, round(START * len(finite)))
    return block_medians(Curve(curve.name, finite.steps[skipped:], finite.values[skipped:]), NUM_BLOCKS)


def _split(values: np.ndarray) -> int:
    """Where two levels tell the values best, by least squares."""
    places = np.arange(1, len(values))
    left, right = np.cumsum(values)[:-1], np.cumsum(values[::-1])[-2::-1]
    return int(places[np.argmax(left**2 / places + right**2 / (len(values) - places))])


def _around(values: np.ndarray, place: float) -> np.ndarray:
    at = round(place * (len(values) - 1))
    return values[max(0, at - 1) : at + 2]


def _correlation(values: np.ndarray) -> float:
    """With their order, of the values or of their ranks, whichever is less."""
    _, ranks = np.unique(values, return_inverse=True)
    return float(min(np.corrcoef(np.arange(len(values)), each)[0, 1] for each in (values, ranks)))


def _is_foreign(facts: Facts) -> bool:
    return bool(facts.info.get("log_format"))


def _column(facts: Facts, curve: Curve) -> dict[str, str]:
    given = (facts.info.get("columns") or {}).get(curve.name)
    return {"column": given} if given else {}


def _named(facts: Facts, curve: Curve, name: str) -> str:
    """`throughput`, and of a foreign log the column that says it, for its unit is known there."""
    given = _column(facts, curve).get("column")
    return f"{name} (`{given}`)" if given else name


def _changes(facts: Facts, first: int, spacing: float) -> Sequence[str]:
    return [f"{each.told} at step {each.step:,}" for each in facts.changes if abs(each.step - first) <= 2 * spacing]


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else number(value)


def _size(value: float) -> str:
    """Bytes as GB; smaller numbers are in the unit of their log."""
    return f"{value / 1e9:,.2f} GB" if value >= BYTES_FROM else _amount(value)
