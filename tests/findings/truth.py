"""What a simulated run shows, from what was done to it and from its exact loss, before any rule looks.

Between yes and no lies a gap in which a kind is not judged: half of the defining line's number to one and a half of it,
or wider. A kind that the log is too coarse or too noisy to hold is not judged either; a false alarm always counts.
"""

import math
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
NO_EPISODE = {"spike": False, "divergence": False, "recovery": False, "stable": True}
CALM = ("none", "fixed", "rising", "unreached", "no_warmup", "long_warmup", "micro_steps", "resumed")
CLEAR = 9.0
"""Deviations that make an episode visible: the rules ask for six of a level that is itself noisy."""


@dataclass(frozen=True)
class Truth:
    """Of one run. `held` and `known` are the exact losses on all text and on the training set after `steps` updates."""

    fault: str
    mode: str
    length: int
    steps: Array
    held: Array
    known: Array
    train_steps: Array
    """Steps with a training line; `every_kth` is their distance."""
    train_loss: Array
    every_kth: int
    factor: float
    """What the logged training loss is multiplied by."""
    has_train: bool
    eval_steps: Array
    """Empty: no evaluations."""
    eval_noise: float
    """Relative deviation of an evaluation."""
    has_known: bool
    """The evaluations tell the loss on training stories."""
    finite: bool
    ends_finite: bool
    words: int | None
    accumulation: int
    clip: float
    expected_norm: Array | None
    odd: tuple[int, int]
    epochs: float | None
    first_end: float
    schedule: dict[str, bool]

    @property
    def has_evals(self) -> bool:
        return len(self.eval_steps) > 0

    @property
    def block(self) -> int:
        return -(-len(self.train_steps) // 300)

    @property
    def batch_noise(self) -> float:
        """Deviation of a logged training loss from the exact one, in the second half; after the first epoch only, for
        what has not been read yet is no noise."""
        return self._noise(self.length / min(2.0, self.epochs or 2.0), math.inf)

    def _noise(self, after: float, until: float) -> float:
        """That of the lines in (after, until], without odd batches."""
        exact = np.interp(self.train_steps, self.steps, self.known) * self.factor
        chosen = (self.train_steps > after) & (self.train_steps <= until)
        chosen &= np.isfinite(self.train_loss) & np.isfinite(exact)
        chosen &= (self.train_steps < self.odd[0]) | (self.train_steps > self.odd[1])
        return float(np.std((self.train_loss - exact)[chosen])) if chosen.sum() > 2 else 0.0

    def _of_a_block(self, noise: float) -> float:
        """What is left of it in a block's median."""
        return noise * (1.25 / math.sqrt(self.block) if self.block > 1 else 1.0)

    @property
    def point_noise(self) -> float:
        return self._of_a_block(self.batch_noise)

    @property
    def longest_spike(self) -> float:
        apart = self.eval_steps[1] - self.eval_steps[0] if len(self.eval_steps) > 1 else 0.0
        return max(2.0 * apart, 0.02 * self.length, 10.0)

    def visible(self, rise: float, start: float, until: float, unrest: float = 0.0) -> bool:
        """Whether some curve of the log has the points and the calm to show an episode between these steps. The calm is
        that of its surroundings, too: the loss of a batch varies several times as much in the first fall as later.
        `unrest`: deviation of the exact loss itself."""
        duration = until - start
        apart = self.eval_steps[1] - self.eval_steps[0] if len(self.eval_steps) > 1 else math.inf
        in_evals = len(self.eval_steps) >= 8 and duration >= 3 * apart
        in_evals &= rise >= CLEAR * max(unrest, self.eval_noise * float(np.nanmin(self.held)))
        in_train = self.has_train and len(self.train_steps) >= 8 and duration >= 3 * self.block * self.every_kth
        here = self._noise(start - 2 * duration, until + 2 * duration) if self.mode == "fresh" else 0.0
        noise = max(self.point_noise, self._of_a_block(here), unrest)
        return in_evals or (in_train and rise * self.factor >= max(0.3, CLEAR * noise))


def labels_of(truth: Truth) -> dict[str, bool]:
    labels = {"non_finite": not truth.finite}
    if truth.finite or truth.ends_finite:
        labels |= truth.schedule
    labels |= _start(truth)
    labels |= _gradient(truth)
    if not truth.finite:
        return labels
    episode = _episodes(truth)
    labels |= episode
    if episode == NO_EPISODE:
        labels |= _course(truth)
        if truth.fault in (*CALM, "noisy_evaluations") and len(truth.eval_steps) >= 12:
            labels["evaluation_too_noisy"] = truth.fault == "noisy_evaluations"
    if episode == NO_EPISODE or truth.mode == "epochs":
        labels |= _staircase(truth)
    return labels | _generalisation(truth)


def health_of(truth: Truth) -> str:
    best, final = float(np.nanmin(truth.held)), float(truth.held[-1])
    if not truth.ends_finite:
        return "failed"
    risen = final - best > max(0.5, 0.2 * best) and truth.mode == "fresh"
    if risen and truth.visible(final - best, truth.length - truth.longest_spike * 1.5, truth.length):
        return "failed"
    if truth.fault == "frozen" and truth.words and final > 0.95 * truth.held[0]:
        return "failed"
    learned = truth.words is None or final < 0.9 * truth.held[0]
    calm = learned and truth.finite and _episodes(truth) == NO_EPISODE and truth.mode == "fresh"
    return "healthy" if calm and truth.fault in ("none", "resumed") else "broken"


def _start(truth: Truth) -> dict[str, bool]:
    """The first loss against ln V, and the logged loss against the exact one."""
    if truth.words is None:
        return {}
    labels = {}
    known, sees_first = math.log(truth.words), truth.has_train and truth.every_kth == 1
    scaled = truth.fault == "scaled"
    if truth.has_train and (sees_first or len(truth.eval_steps) >= 6) and truth.ends_finite:
        labels["loss_scaled_by_accumulation"] = scaled
    noise = truth.eval_noise if truth.has_evals else truth.batch_noise / known
    off = abs(float(truth.held[0]) / known - 1.0)
    if not truth.has_evals and not sees_first:
        return labels
    if (scaled and not truth.has_evals) or (off < 0.025 and 4 * noise < 0.025):
        labels["initial_loss_off"] = False
    elif off > 0.08 + 4 * noise:
        labels["initial_loss_off"] = True
    return labels


def _episodes(truth: Truth) -> dict[str, bool]:
    held = truth.held if truth.mode == "fresh" else truth.known
    if truth.mode != "fresh" and not (truth.has_train or truth.has_known):
        return {}  # held-out loss alone does not tell overfitting from an instability
    least = np.minimum.accumulate(held)
    excess = held - least
    worst = int(np.argmax(excess))
    level, rise = float(least[worst]), float(excess[worst])
    quiet = bool((excess <= np.maximum(0.03, 0.01 * least)).all())
    if truth.odd[1] > 0:
        return _odd(truth, excess)
    if quiet:
        return dict(NO_EPISODE)
    if rise < max(0.3, 0.1 * level):
        return {}
    begin = int(np.flatnonzero(excess[: worst + 1] <= 0.1 * rise)[-1])
    start = float(truth.steps[begin])
    back = _first_below(excess, worst, _near(rise, level))
    nearly = _first_below(excess, worst, 0.4 * rise)
    until = float(truth.steps[-1 if nearly is None else nearly])
    unrest = _unrest(truth, held, start, until)
    if not truth.visible(rise, start, until, unrest):
        return {}
    if back is not None and float(truth.steps[back]) - start <= 0.5 * truth.longest_spike:
        outside = np.concatenate([excess[:begin], excess[back:]])
        alone = bool((outside <= max(0.03, 0.01 * level, 0.1 * rise)).all())
        without = _smooth(held, round(truth.longest_spike / truth.length * len(held)))
        if (without - np.minimum.accumulate(without)).max() > max(0.05, 0.015 * level):  # half of an episode of its own
            return {"stable": False}
        return {"spike": True, "stable": False, **({"divergence": False, "recovery": False} if alone else {})}
    return {**({} if nearly is None else {"stable": False}), **_lasting(truth, held, excess, unrest)}


def _lasting(truth: Truth, held: Array, excess: Array, unrest: float) -> dict[str, bool]:
    """A divergence, from the course of the exact loss: its medians over 2 % of the run, which no burst lifts."""
    course = _smooth(held, len(held) // 50)
    lasting = course - np.minimum.accumulate(course)
    worst = int(np.argmax(lasting))
    rise, level = float(lasting[worst]), float(np.minimum.accumulate(course)[worst])
    if rise < max(0.3, 0.1 * level):
        return {}
    begin = int(np.flatnonzero(lasting[: worst + 1] <= 0.1 * rise)[-1])
    back, nearly = _first_below(lasting, worst, _near(rise, level)), _first_below(lasting, worst, 0.4 * rise)
    start, until = float(truth.steps[begin]), float(truth.steps[-1 if nearly is None else nearly])
    if until - start < 1.5 * truth.longest_spike or not truth.visible(rise, start, until, unrest):
        return {}
    high = int(np.flatnonzero(lasting[: worst + 1] <= 0.4 * rise)[-1]) + 1
    if excess[high:nearly].min() < 0.25 * rise or (nearly is None and excess[-1] < 0.4 * rise):
        return {"stable": False}  # it comes back in between: spikes that follow each other, or one long unrest
    if nearly is None:
        return {"divergence": True, "recovery": False, "stable": False}
    if back is None:
        return {"stable": False}
    outside = np.concatenate([excess[:begin], excess[back:]])
    labels = {"divergence": True, "stable": False}
    if (outside <= max(0.03, 0.01 * level, 0.1 * rise)).all():
        labels["spike"] = False
    # A return that the last lines alone show, or from which it goes up again, is not judged.
    if truth.length - truth.steps[back] >= truth.longest_spike and lasting[back:].max() <= 2.0 * _near(rise, level):
        labels["recovery"] = True
    return labels


def _near(rise: float, level: float) -> float:
    """Of a rise of 600 nats a tenth is no return."""
    return min(0.1 * rise, max(0.3, 0.1 * level))


def _first_below(values: Array, after: int, limit: float) -> int | None:
    hits = np.flatnonzero(values[after:] <= limit)
    return after + int(hits[0]) if len(hits) else None


def _unrest(truth: Truth, held: Array, start: float, until: float) -> float:
    """How far the exact loss itself goes up and down in the second half, without the episode: where the rate is too
    high for the loss to lie still, one rise among many is no event."""
    beside = 2.0 * (until - start)
    chosen = (truth.steps > 0.5 * truth.length) & ((truth.steps < start - beside) | (truth.steps > until + beside))
    return float(np.std((held - _smooth(held, max(9, len(held) // 50)))[chosen])) if chosen.sum() > 8 else 0.0


def _smooth(values: Array, width: int) -> Array:
    """Medians of so many neighbours; at the ends of as many as there are on both sides."""
    half = width // 2
    padded = np.pad(values, half, mode="reflect") if half < len(values) else np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)


def _odd(truth: Truth, excess: Array) -> dict[str, bool]:
    """A stretch of odd batches: a spike where it shows, and the weights come to no lasting harm."""
    first, last = truth.odd
    level = float(np.interp(first - 1, truth.steps, truth.held))
    during = truth.train_loss[(truth.train_steps >= first) & (truth.train_steps <= last)]
    rise = float(during.mean()) - level if len(during) else 0.0
    seen = truth.has_train and truth.every_kth == 1 and len(during) >= 5 and rise >= max(0.3, 0.1 * level)
    after = excess[truth.steps > last + 0.25 * truth.longest_spike]
    short = last - first <= 0.5 * truth.longest_spike
    harmless = bool((after <= max(0.05, 0.015 * level)).all())  # half of what makes an episode of its own
    if seen and short and rise >= 12 * truth.batch_noise and harmless and truth.length >= 100:
        return {"spike": True, "divergence": False, "recovery": False, "stable": False}
    return {}


def _course(truth: Truth) -> dict[str, bool]:
    """How the exact curve fell: where the log has twelve points or more of it."""
    of_evals = len(truth.eval_steps) >= 12
    if not of_evals and (len(truth.train_steps) < 12 or truth.factor != 1.0):
        return {}
    exact = truth.held if of_evals else truth.known
    last = float(truth.length)

    def at(share: float) -> float:
        return float(np.interp(share * last, truth.steps, exact))

    labels = {}
    start, best = float(exact[0]), float(exact.min())
    if truth.words and start > 1.05 * math.log(truth.words) > best:
        start = math.log(truth.words)
    if start - best > 0.15 * start:
        target = start - 0.75 * (start - best)
        reached = float(truth.steps[int(np.argmax(exact <= target))]) / last
        if not 0.10 < reached < 0.22:
            labels["fast_start"] = reached <= 0.10
    elif start - best < 0.07 * start:
        labels["fast_start"] = False
    level, fifth, third = at(0.85), at(0.8) - at(1.0), at(2 / 3) - at(1.0)
    points = len(truth.eval_steps) if of_evals else min(300, len(truth.train_steps))
    if of_evals and truth.fault == "noisy_evaluations":
        return labels
    noise = truth.eval_noise * level if of_evals else truth.point_noise
    error_fifth, error_third = (noise * math.sqrt(12.0 / max(2.0, points * part)) for part in (0.2, 1 / 3))
    if fifth >= 0.02 * level and fifth >= 7 * error_fifth:
        labels |= {"still_improving": True, "plateau": False}
    elif fifth <= 0.004 * level and 4 * error_fifth <= 0.008 * level:
        labels["still_improving"] = False
    if points >= 15 and abs(third) <= 0.004 * level and 3 * error_third <= 0.005 * level:
        labels["plateau"] = True
    elif abs(third) >= 0.02 * level + 4 * error_third:
        labels["plateau"] = False
    return labels


def _staircase(truth: Truth) -> dict[str, bool]:
    if truth.epochs is None or not truth.has_train or truth.factor != 1.0:
        return {}
    length = truth.length / truth.epochs
    boundaries = len(np.arange(length, truth.length - 0.05 * length, length))
    points = 0.1 * length / truth.every_kth
    if not boundaries or points < 8:
        return {}
    level = float(truth.known[-1])
    drop = truth.first_end / boundaries  # the drop of the later boundaries counts as none
    error = truth.batch_noise * math.sqrt(8.0 / points / boundaries)
    if drop >= max(0.02 * level, 6 * error):
        return {"epoch_staircase": True}
    return {"epoch_staircase": False} if drop <= 0.003 * level else {}


def _generalisation(truth: Truth) -> dict[str, bool]:
    if len(truth.eval_steps) < 6 or not (truth.has_train or truth.has_known) or truth.factor != 1.0:
        return {}
    place = int(np.argmin(truth.held))
    best, final = float(truth.held[place]), float(truth.held[-1])
    noise = max(truth.eval_noise * final, 0.0 if truth.has_known else truth.point_noise)
    fell = float(truth.known[place] - truth.known[-1])
    labels = {}
    rise, gap = final - best, abs(final - float(truth.known[-1])) / final
    if rise >= max(0.03 * best, 8 * noise) and fell >= 0.05 * rise:
        labels["overfitting"] = True
    elif rise <= 0.003 * best or fell <= 0.0:
        labels["overfitting"] = False
    if 3 * noise < 0.02 * final and (gap <= 0.02 or gap >= 0.09):
        labels["generalizes"] = gap <= 0.02
    return labels


def _gradient(truth: Truth) -> dict[str, bool]:
    """From the expected norm, which only the quadratic has in closed form."""
    expected = truth.expected_norm
    if expected is None or len(truth.train_steps) < 60 or not np.isfinite(expected).all() or not truth.finite:
        return {}
    steps, norm = truth.steps[1:], expected[1:]
    later = norm[steps > 0.1 * truth.length]
    usual, quarter = float(np.median(later)), float(np.quantile(later, 0.25))
    labels = {}
    if np.isfinite(truth.clip):
        cut = float((later > 2.0 * truth.clip).mean())
        if not 0.25 < cut < 0.75:
            labels["clipping_dominates"] = cut >= 0.75
    start = float(norm[(steps <= 0.1 * truth.length) & (steps >= truth.train_steps[0])].max(initial=0.0)) / usual
    first = float(expected[0]) / usual  # what the batch of step 1 shows; a log of every k-th step may miss it
    if truth.every_kth == 1:
        start = max(start, first)
    if not 2.0 < start < 4.5 and (start >= 4.5 or first <= 2.0 or truth.every_kth == 1):
        labels["gradient_spike_at_start"] = start >= 4.5
    if (later <= 20.0 * quarter).all():
        labels["gradient_explosion"] = False
    elif (np.interp(truth.train_steps, steps, norm)[truth.train_steps > 0.1 * truth.length] > 100 * quarter).sum() >= 6:
        return {**labels, "gradient_explosion": True}
    else:
        return labels
    if truth.odd[1] > 0.5 * truth.length and truth.odd[1] - truth.odd[0] >= 0.01 * truth.length:
        return labels  # what odd batches add to the level is not expected
    labels |= {} if truth.odd[1] > 0 else _hump(steps, norm)
    half = np.array_split(norm[steps > 0.5 * truth.length], 9)
    levels = np.array([np.median(part) for part in half if len(part)])
    if len(levels) == 9:
        growth = levels[-2:].mean() / levels[:2].mean()
        spread = (levels.max() - levels.min()) / np.median(levels)
        if growth >= 3.0 or growth <= 1.5:
            labels["gradient_growth"] = bool(growth >= 3.0)
        if growth < 1.5 and (spread <= 0.3 or spread >= 0.8):
            labels["gradient_settled"] = bool(spread <= 0.3)
        elif growth >= 3.0:
            labels["gradient_settled"] = False
    return labels


def _hump(steps: Array, norm: Array) -> dict[str, bool]:
    """Of the expected norm's course, a twentieth of the run smoothed: from its lowest before to its highest and down
    again, the middle half of that height over a sixteenth of the run or more. A norm that jumps, and stays up for a
    while, does not rise slowly."""
    logs, part = np.log(np.maximum(_smooth(norm, max(3, len(norm) // 20)), 1e-30)), steps / steps[-1]
    height = logs - np.maximum(np.minimum.accumulate(logs), np.minimum.accumulate(logs[::-1])[::-1])
    late = np.where(part >= 0.1, height, 0.0)
    if late.max() < math.log(1.5):
        return {"gradient_hump": False}
    top = int(np.argmax(late))
    foot = top - int(np.argmin(logs[top::-1]))
    risen = (logs[foot : top + 1] - logs[foot]) / max(float(logs[top] - logs[foot]), 1e-9)
    rise = part[foot + int(np.argmax(risen >= 0.75))] - part[foot + int(np.flatnonzero(risen <= 0.25)[-1])]
    slow = 0.12 <= part[top] - part[foot] and rise >= 0.06 and part[top] >= 0.28 and late[top] >= math.log(4.0)
    wide = float((late > 0.5 * late[top]).mean()) >= 0.12
    return {"gradient_hump": True} if slow and wide else {}
