"""The noise of a curve: how far its values lie from where it would be without, also where neighbours resemble each
other, and where it becomes more unstable."""

import math

import numpy as np

NEIGHBOURS = 9
"""Points around one that show where it would be without noise ..."""
POINTS_FOR_MEMORY = 45
"""... on curves of at least so many: on shorter ones they include the fall and the episodes themselves."""
LAGS, LEAST_PART, LEAST_TRIPLES = (2, 4, 8), 36, 8
"""Distances at which values are compared, in parts of at least so many, of at least so many threes of values."""
SURE_MEMORY, MOST_MEMORY = 1.5, 4.0
"""White noise of 36 values looks up to 1.5 times larger at one of three distances; means of five values 2.7 times."""
OF_NOISE = 12.0
"""Means of five values reach seven times what they vary from one to the next: what lies further off is an episode."""
SMOOTH = 0.5
"""Of white noise, and of noise with memory, fourth differences show as much as second ones; of swings over many points
a fraction. Below this half a curve swings, and what second differences show is no noise."""
FOR_FOURTH = 16
"""Values that a fourth difference is asked of: of 8 of white noise 5 % look smooth, of 16 0.8 %, of 41 none."""
QUIET_SHARE = 0.25
"""The noise is read from the quieter quarter of the curve: instabilities may fill the rest."""


def noise_of(values: np.ndarray) -> float:
    """Standard deviation of the noise between neighbours, robust against trend and spikes.

    Second differences cancel a linear trend; for white noise their deviation is sqrt(6) of it. Noise with memory
    hides in them, and shows in the distance to the median of nine neighbours; the larger of the two counts. Median
    absolute deviations (x 1.4826) ignore the few values that an episode makes.
    """
    noise = between_neighbours(values)
    if len(values) >= POINTS_FOR_MEMORY:
        around = np.median(np.lib.stride_tricks.sliding_window_view(values, NEIGHBOURS), axis=1)
        noise = max(noise, deviation(values[NEIGHBOURS // 2 : -(NEIGHBOURS // 2)] - around))
    return noise


def between_neighbours(values: np.ndarray) -> float:
    return deviation(np.diff(values, n=2)) / math.sqrt(6.0) if len(values) >= 4 else 0.0


def _bending(values: np.ndarray) -> float:
    """As `between_neighbours`, from fourth differences, whose deviation is sqrt(70) of white noise: a curve that bends
    hides less in them."""
    return deviation(np.diff(values, n=4)) / math.sqrt(70.0) if len(values) >= FOR_FOURTH else math.inf


def _noise_in(values: np.ndarray, memory: float) -> float:
    near, bending = between_neighbours(values), _bending(values)
    return bending if bending < SMOOTH * near else memory * near


def deviation(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values)))


def local_noise(values: np.ndarray, width: int = 41) -> np.ndarray:
    """`noise_of` before each point, since the noise of a falling curve shrinks with it, and since a run that becomes
    unstable must not hide in its own noise; never less than that of the quietest quarter of the curve, since few points
    may look calm by chance.

    How much memory the noise has is read from the whole curve: in the steep first fall, the distance to the median of
    nine is that of the fall, and of any spike in it.
    """
    whole, apart = noise_of(values), between_neighbours(values)
    if len(values) <= width:
        return np.full(len(values), _bending(values) if _bending(values) < SMOOTH * apart else whole)
    memory = max(whole / apart if apart > 0 else 1.0, memory_of(values[len(values) // 5 :]))
    whole = max(whole, memory * apart)
    ends = np.arange(width, len(values) + 1, width // 4)
    estimates = [_noise_in(values[end - width : end], memory) for end in ends]
    estimates[0] = min(estimates[0], memory * _bending(values[:width]))  # the first fall bends
    quiet = min(whole, float(np.quantile(estimates, QUIET_SHARE)))
    noise = np.maximum(quiet, np.interp(np.arange(len(values)), ends - 1, estimates))
    noise[FOR_FOURTH:] = np.maximum(noise[FOR_FOURTH:], _lately(values)[:-1])  # noise that grows from value to value
    return noise


def _lately(values: np.ndarray) -> np.ndarray:
    """The noise in every sixteen neighbours, without memory."""
    near, bending = (
        1.4826 * np.median(np.lib.stride_tricks.sliding_window_view(np.abs(np.diff(values, n=n)), FOR_FOURTH - n), 1)
        for n in (2, 4)
    )
    near, bending = near / math.sqrt(6.0), bending / math.sqrt(70.0)
    return np.where(bending < SMOOTH * near, bending, near)


def memory_of(settled: np.ndarray) -> float:
    """How many times the noise is larger than it looks from one value to the next, where values that lie further apart
    vary more: each is a mean of several, or the model drifts. 1 where there is no sure sign of it. `settled`: without
    the first fall."""
    if len(settled) < POINTS_FOR_MEMORY:
        return 1.0
    ratios = []
    for part in np.array_split(settled, min(5, len(settled) // LEAST_PART)):
        near = between_neighbours(part)
        calm = np.abs(part - np.median(part)) <= OF_NOISE * near
        part = part[calm] if calm.mean() >= 0.5 else part
        lags = [lag for lag in LAGS if len(part) - 2 * lag >= LEAST_TRIPLES]
        far = [deviation(part[2 * lag :] - 2.0 * part[lag:-lag] + part[: -2 * lag]) / math.sqrt(6.0) for lag in lags]
        # Of two parts the quarter lies between them: what an episode makes of one must not count without limit.
        ratios.append(min(max(far) / near, MOST_MEMORY) if near > 0 else 1.0)
    usual = float(np.quantile(ratios, QUIET_SHARE))
    return usual if usual > SURE_MEMORY else 1.0


def error_of_median(noise: float, count: int) -> float:
    return 1.2533 * noise / math.sqrt(count)  # sqrt(pi / 2)
