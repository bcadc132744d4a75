"""Where a loss curve leaves its level, how far, and whether it comes back.

A curve is brought to at most `MAX_BLOCKS` block medians, so that 150,000 noisy steps are judged like 300 evaluations.
An episode starts where the loss rises from its best level so far by more than noise explains, and is over when most
of the rise is gone. Short episodes within one block are looked for on the single steps.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from fabula.findings.curves.noise import (
    NEIGHBOURS,
    between_neighbours,
    deviation,
    error_of_median,
    local_noise,
    memory_of,
)
from fabula.findings.facts import Curve

MAX_BLOCKS = 300
"""Points a curve is judged on: fine enough for a third of a per cent of a run, coarse enough to beat the noise."""
MIN_POINTS = 8
"""Fewer points show neither a level nor its noise; nothing is checked."""
MIN_RISE_NATS = 0.1
"""A rise of 0.1 nats is 10 % in perplexity. Healthy runs at a high fixed learning rate often have smaller ones."""
MIN_RISE_SHARE = 0.03
"""... and at least 3 % of the level it rises from, so that a loss of 20 on its way down may vary by 0.1."""
NOISE_FACTOR = 6.0
"""... and six times the noise between neighbouring points. The reference is the best level so far, which lies two
to three deviations below the mean of a noisy plateau, so three to four of the six are left as the margin."""
SINGLE_FACTOR = 2.0
"""A spike of a single logged value needs twice the noise factor: heavy-tailed noise reaches six deviations."""
HIDDEN_BY_NOISE = 3.0
"""Deviations that the lowest of some hundred values lies below their mean: with them added it is no lower."""
SETTLED_SHARE = 0.5
"""What never again rises to half of a rise has settled."""
OVER_SHARE = 0.25
"""A spike or divergence is over when three quarters of its rise are gone."""
END_SHARE = 0.1
"""The level that a run ends at is the median of its last tenth."""
WORSE_SHARE = 0.08
"""A run whose last tenth lies 8 % above the best level that it had held for a twentieth has not come back."""
SURELY = 4.5
"""... and by so many standard errors of the two medians, of which the best level was chosen among many."""
SURE_FALL = 3.0
"""... and that has not fallen, from one tenth to the next, by three of those errors and a quarter of what is left."""
BLOCKS_ABOVE = 2
"""Two block medians in a row must be above; shorter spikes are looked for in the single steps."""
SINGLE_STEPS = 3
"""On curves with a value for each step, a spike lasts three steps or more: one bad step is an unusual batch, since
damaged weights show in the steps that follow."""
PAIR = 2
"""... or two that are twice as high."""


@dataclass(frozen=True)
class Episode:
    """One departure: steps first..last above the level, the worst value, and when it was back (None: never)."""

    curve: str
    first: int
    last: int
    peak_step: int
    level: float
    peak: float
    end: float
    over_at: int | None
    recovered_at: int | None
    noise: float
    ends_above: bool = False
    """Most of the rise is gone, but what is left of it is there until the end of the run."""

    @property
    def rise(self) -> float:
        return self.peak - self.level

    @property
    def unfinished(self) -> bool:
        return self.over_at is None or self.ends_above


def block_medians(curve: Curve, max_blocks: int = MAX_BLOCKS) -> Curve:
    """Medians of equally many neighbouring finite values; each stands at the last step of its block."""
    finite = curve.finite
    size = math.ceil(len(finite) / max_blocks) if len(finite) else 1
    if size == 1:
        return finite
    whole = len(finite) // size * size
    steps = finite.steps[:whole].reshape(-1, size)[:, -1]
    values = np.median(finite.values[:whole].reshape(-1, size), axis=1)
    if whole < len(finite):  # the rest of the run counts too: that is where a divergence may begin
        steps = np.append(steps, finite.steps[-1])
        values = np.append(values, np.median(finite.values[whole:]))
    return Curve(curve.name, steps, values)


def episodes(curve: Curve) -> list[Episode]:
    """Every departure of `curve` from its level, in order; the shortest ones only where the curve has every step."""
    points = block_medians(curve)
    if len(points) < MIN_POINTS:
        return []
    blocked = len(points) < len(curve.finite)
    single = 1 if points.spacing >= SINGLE_STEPS else SINGLE_STEPS
    found = _episodes_of(points, needs_points=BLOCKS_ABOVE if blocked else single)
    if blocked:
        found = _with_short_ones(curve.finite, points, found)
    if all(each.over_at is not None for each in found) and (gone := _never_back(points)) is not None:
        found = _ending_in(found, gone, points)
    return found


def _never_back(points: Curve) -> Episode | None:
    """A run that ends well above the best level that it had held, however much it varies there: a rise of many values
    is surer than any of them, and the worst of them do not say where a level lies."""
    values = points.values
    count = len(values)
    width, ends = max(5, count // 20), max(5, round(END_SHARE * count))
    if count < 4 * width:
        return None
    levels = np.median(np.lib.stride_tricks.sliding_window_view(values, width), axis=1)
    best = int(np.argmin(levels))
    level, tenth = float(levels[best]), float(np.median(values[-ends:]))
    end = float(min(tenth, np.median(values[-3:])))
    if end - level <= max(MIN_RISE_NATS, WORSE_SHARE * abs(level)):
        return None
    quiet = np.flatnonzero(levels <= level + OVER_SHARE * (end - level))[-1]
    first = min(int(quiet) + width // 2 + 1, count - 1)
    parts = [part for part in (values[count // 5 : first], values[first:]) if len(part)]
    memory = memory_of(np.concatenate([part - np.median(part) for part in parts]))  # without the rise itself
    around, after = values[max(0, best - width) : best + 2 * width], values[first:]
    noise, late = (memory * between_neighbours(part) for part in (around, values[-max(20, len(after)) :]))
    # Of values that resemble each other, memory squared are worth one.
    error = error_of_median(memory * noise, width), error_of_median(memory * late, max(ends, len(after)))
    if float(np.median(after)) - level <= SURELY * math.hypot(*error):
        return None
    falling = float(np.median(values[-2 * ends : -ends])) - tenth
    if falling > max(OVER_SHARE * (end - level), SURE_FALL * error_of_median(late, ends)):
        return None  # on its way back when the record ends
    return _episode(points, first, None, first + int(np.argmax(after)), None, level, noise)


def _ending_in(found: list[Episode], gone: Episode, points: Curve) -> list[Episode]:
    """The episodes before the rise from which the run did not come back, and that rise, which begins with the first of
    those that reach into it. One that settles, with some of its rise left, is that rise."""
    within = [each for each in found if (each.over_at or each.last) >= gone.first]
    kept = [each for each in found if each not in within]
    if not within:
        return [*kept, gone]
    highest = max([*within, gone], key=lambda each: each.peak)
    only = within[0]
    settled = points.part(only.over_at or np.inf, np.inf).values
    if len(within) == 1 and len(settled) and settled.max() <= only.level + SETTLED_SHARE * only.rise:
        return [*kept, replace(only, ends_above=True, end=gone.end)]
    first = min(gone.first, only.first)
    return [*kept, replace(gone, first=first, peak=highest.peak, peak_step=highest.peak_step)]


def _episodes_of(points: Curve, needs_points: int) -> list[Episode]:
    values = points.values
    noise = local_noise(values)
    levels = _levels(values, noise)
    found: list[Episode] = []
    index, floor, floor_at, since = 1, float(levels[0]), 0, 0
    while index < len(values):
        rise = values[index] - floor
        # The values of an episode are no part of the level after it.
        level = levels[index] if not 0 < since <= index < since + 4 else np.median(values[since : index + 1])
        # The rise first: the median of five follows it two points later, and would still count as the old level.
        if rise > _threshold(floor, noise[index]) and _lasts(values, index, floor, noise[index], needs_points):
            first = _onset(values, floor_at, index, floor, noise[index])
            over, peak_at = _course(values, first, floor, _threshold(floor, noise[first]))
            back = _first(values[over:] <= floor + max(noise[index], 0.0), over) if over is not None else None
            found.append(_episode(points, first, over, peak_at, back, floor, float(noise[index])))
            if over is None:
                break
            # What it has come back to is the new level; a second rise from there is an episode of its own.
            index, floor, floor_at, since = over, float(values[over]), over, over
        elif level <= floor:
            floor, floor_at = float(level), index
        index += 1
    return found


def _levels(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """What the level is read from: the values themselves, or, where noise is what sets the threshold, the median of
    the last five, since the lowest of many noisy values lies far below their mean; in a steep fall, where that median
    lags behind, at most what noise may have hidden of the level."""
    noisy = NOISE_FACTOR * noise > np.maximum(MIN_RISE_NATS, MIN_RISE_SHARE * np.abs(values))
    beside = np.minimum(np.r_[np.inf, values[:-1]], np.r_[values[1:], np.inf])
    # One value that is far too low is no level; the turn of a swing is, which the values around it lead down to.
    too_low = beside - values > np.maximum(3.0 * noise, _led_down(values))
    levels = np.where(too_low, beside, values)
    if not noisy.any() or len(values) < 5:
        return levels
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, 5), axis=1)
    padded = np.concatenate([np.maximum.accumulate(values[:4][::-1])[::-1], medians])
    return np.where(noisy, np.minimum(padded, levels + HIDDEN_BY_NOISE * noise), levels)


def _led_down(values: np.ndarray) -> np.ndarray:
    """How far apart the two values before each point lie from the two after it."""
    before = np.r_[values[:1], values[:1], values[:-2]] + np.r_[values[:1], values[:-1]]
    after = np.r_[values[1:], values[-1:]] + np.r_[values[2:], values[-1:], values[-1:]]
    return np.abs(before - after) / 2.0


def _threshold(level: float, noise: float) -> float:
    return max(MIN_RISE_NATS, MIN_RISE_SHARE * abs(level), NOISE_FACTOR * noise)


def _lasts(values: np.ndarray, index: int, floor: float, noise: float, needs_points: int) -> bool:
    pair = values[index : index + PAIR]
    if needs_points > PAIR and len(pair) == PAIR and (pair - floor > SINGLE_FACTOR * _threshold(floor, noise)).all():
        return True
    after = values[index : index + needs_points]
    factor = 1.0 if len(after) == needs_points else SINGLE_FACTOR  # the record ends before it could last
    return bool((after - floor > factor * _threshold(floor, noise)).all())


def _onset(values: np.ndarray, floor_at: int, index: int, floor: float, noise: float) -> int:
    """The first point of the rise that led to `index`: walk back while the curve is above level and noise."""
    first, least = index, max(3.0 * noise, 0.1 * MIN_RISE_NATS, 0.1 * (values[index] - floor))
    while first - 1 > floor_at and values[first - 1] - floor > least:
        first -= 1
    return first


def _course(values: np.ndarray, first: int, floor: float, threshold: float) -> tuple[int | None, int]:
    """Where the episode that begins at `first` is over (None: never), and its peak.

    A run whose worst values are gone, but that climbs on from there and ends above its old level, has not come back.
    """
    excess = values[first:] - floor
    running_peak = np.maximum.accumulate(excess)
    done = np.flatnonzero(excess <= OVER_SHARE * running_peak)
    over = int(done[0]) + first if len(done) else None
    if over is not None and _climbs_on(values[over:], floor + threshold):
        over = None
    stop = over if over is not None else len(values)
    return over, first + int(np.argmax(values[first:stop]))


def _climbs_on(after: np.ndarray, limit: float) -> bool:
    """Whether what follows a rise ends above the limit, and no lower than it began."""
    width = max(5, round(END_SHARE * len(after)))
    if len(after) < 2 * width:
        return False
    begin, end = float(np.median(after[:width])), float(np.median(after[-width:]))
    return end > limit and end >= begin and bool(np.median(after) >= begin)


def _first(condition: np.ndarray, offset: int) -> int | None:
    hits = np.flatnonzero(condition)
    return int(hits[0]) + offset if len(hits) else None


def _episode(
    points: Curve, first: int, over: int | None, peak_at: int, back: int | None, floor: float, noise: float
) -> Episode:
    steps = points.steps
    last = over - 1 if over is not None else len(steps) - 1
    return Episode(
        curve=points.name,
        first=int(steps[first]),
        last=int(steps[max(first, last)]),
        peak_step=int(steps[peak_at]),
        level=floor,
        peak=float(points.values[peak_at]),
        end=float(points.values[-1]),
        over_at=None if over is None else int(steps[over]),
        recovered_at=None if back is None else int(steps[back]),
        noise=noise,
    )


def _with_short_ones(curve: Curve, points: Curve, found: list[Episode]) -> list[Episode]:
    """Add the spikes that are shorter than a block: single values far above the medians around them."""
    around = np.pad(points.values, 2, mode="edge")  # a spike must not lift the level that it is measured from
    medians = np.median(np.lib.stride_tricks.sliding_window_view(around, 5), axis=1)
    # Within a block a falling loss lies above the block's median, but not above that of the block before.
    before = np.maximum(medians, np.concatenate([medians[:1], medians[:-1]]))
    level = np.interp(curve.steps, points.steps, before)
    spread = np.interp(np.arange(len(curve)), *_spread(curve.values - level))
    least = np.maximum(MIN_RISE_NATS, MIN_RISE_SHARE * np.abs(level))
    limit = np.maximum(least, NOISE_FACTOR * spread)
    above = np.concatenate([[0], (curve.values - level > limit).astype(np.int8), [0]])
    starts, stops = np.flatnonzero(np.diff(above) == 1), np.flatnonzero(np.diff(above) == -1)
    wanted = max(1, round(SINGLE_STEPS / max(1.0, curve.spacing)))
    extra: list[Episode] = []
    width = float(points.spacing)  # a block's label is its last step: its first values lie before the label
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        first, last = int(curve.steps[start]), int(curve.steps[stop - 1])
        touched = [each for each in found if each.first - width <= last and first <= (each.over_at or each.last)]
        if touched:
            found = [_led_back(each, curve, start, stop) if each is touched[0] else each for each in found]
            continue
        steep = bool((curve.values[start:stop] - level[start:stop] > SINGLE_FACTOR * limit[start:stop]).all())
        if stop - start < (min(wanted, PAIR) if steep else wanted) or last <= points.steps[1]:
            continue
        if extra and first <= (extra[-1].over_at or math.inf):
            continue
        if stop - start == 1 and curve.values[start] - level[start] <= SINGLE_FACTOR * limit[start]:
            continue
        peak_at = start + int(np.argmax(curve.values[start:stop]))
        old = min(
            float(level[start]),
            float(np.median(curve.values[max(0, start - NEIGHBOURS) : start] if start else level[:1])),
        )
        back = _back_at(curve, stop, max(least[start], 0.1 * (curve.values[peak_at] - old)) + old)
        extra.append(
            Episode(
                curve.name,
                first,
                last,
                int(curve.steps[peak_at]),
                old,
                float(curve.values[peak_at]),
                float(curve.values[-1]),
                back,
                back,
                float(spread[start]),
            )
        )
    return sorted([*found, *extra], key=lambda each: each.first)


def _led_back(episode: Episode, curve: Curve, start: int, stop: int) -> Episode:
    """An episode of blocks, with the single values that belong to its first block: they tell its start and peak."""
    at = start + int(np.argmax(curve.values[start:stop]))
    if curve.values[at] - episode.level <= OVER_SHARE * episode.rise:
        return episode  # a noisy value near it
    higher = bool(curve.values[at] > episode.peak)
    return replace(
        episode,
        first=min(episode.first, int(curve.steps[start])),
        peak=float(curve.values[at]) if higher else episode.peak,
        peak_step=int(curve.steps[at]) if higher else episode.peak_step,
    )


def _back_at(curve: Curve, after: int, limit: float) -> int | None:
    """The first step from `after` on where the median of five values is at most the limit."""
    rest = curve.values[after:]
    if not len(rest):
        return None
    ahead = np.lib.stride_tricks.sliding_window_view(np.pad(rest, (0, 4), mode="edge"), 5)
    at = _first(np.median(ahead, axis=1) <= limit, after)
    return None if at is None else int(curve.steps[at])


def _spread(residuals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Robust deviation of the residuals around 100 places along the curve."""
    edges = np.linspace(0, len(residuals), min(100, max(1, len(residuals) // 50)) + 1).astype(int)
    centres = 0.5 * (edges[:-1] + edges[1:])
    deviations = np.array([deviation(residuals[a:b]) for a, b in pairwise(edges)])
    around = np.pad(deviations, 1, mode="edge")  # a spike that fills one place is no noise of it
    return centres, np.median(np.lib.stride_tricks.sliding_window_view(around, 3), axis=1)
