"""What a phase changed, and whether that is more than noise: paired differences of final evaluations.

Runs of one seed see the same stories in the same order, so phases are compared seed by seed: the mean of the paired
differences with its t interval. All verdicts of one table share one error rate (Holm 1979), so the chance that a
ladder without any effect shows one stays below 5 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fabula.findings.statistics import Interval, correlation, holm, mean_interval, unpaired_interval
from fabula.record.finding import Finding

LEVEL = 0.95
PROTOCOLS = ("stream", "story")
Verdict = Literal["improved", "worse", "no evidence", "depends on the protocol", "no verdict"]


@dataclass(frozen=True)
class Final:
    """The final full evaluation of one run: loss and ruler hash, a protocol each."""

    seed: int
    losses: dict[str, float]
    rulers: dict[str, str]
    positions: float


@dataclass(frozen=True)
class Comparison:
    """One protocol of one effect. Differences are after - before: negative is better."""

    protocol: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    paired: Interval
    p_adjusted: float | None = None

    @property
    def differences(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.before, self.after, strict=True))

    @property
    def unpaired(self) -> Interval:
        """What the same losses would say without the pairing."""
        return unpaired_interval(self.before, self.after, LEVEL)

    @property
    def correlation(self) -> float | None:
        """How far the pairs rise and fall together; None for two pairs, which always lie on a line."""
        return correlation(self.before, self.after) if len(self.before) > 2 else None

    def says(self) -> Verdict:
        if self.paired.low is None or self.paired.high is None or self.p_adjusted is None:
            return "no verdict"
        if self.p_adjusted >= 1.0 - LEVEL or self.paired.low <= 0.0 <= self.paired.high:
            return "no evidence"
        return "improved" if self.paired.mean < 0 else "worse"


@dataclass(frozen=True)
class Effect:
    """One phase against another within a tier. `reason` says why there is no verdict, where there is none."""

    tier: str
    before: str
    after: str
    seeds: tuple[int, ...]
    comparisons: dict[str, Comparison]
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        said = {comparison.says() for comparison in self.comparisons.values()}
        if self.reason or not said or "no verdict" in said:
            return "no verdict"
        return said.pop() if len(said) == 1 else "depends on the protocol"

    @property
    def headline(self) -> Comparison | None:
        """The comparison on `stream`, or the only one there is."""
        return self.comparisons.get("stream") or next(iter(self.comparisons.values()), None)


def effect(tier: str, before: str, after: str, finals_before: Sequence[Final], finals_after: Sequence[Final]) -> Effect:
    """Compare two phases on the seeds that both have finished."""
    first = {final.seed: final for final in finals_before}
    second = {final.seed: final for final in finals_after}
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return Effect(tier, before, after, (), {}, "no seed has finished both")
    lost = [seed for seed in seeds if not (_is_finite(first[seed]) and _is_finite(second[seed]))]
    if lost:  # leaving them out would flatter the phase that lost them
        names = ", ".join(map(str, lost))
        return Effect(tier, before, after, seeds, {}, f"the final loss of seed {names} is not finite")
    pairs = [(first[seed], second[seed]) for seed in seeds]
    comparisons: dict[str, Comparison] = {}
    reason = ""
    for protocol in PROTOCOLS:
        if not all(protocol in final.losses for pair in pairs for final in pair):
            continue
        if len({final.rulers.get(protocol) for pair in pairs for final in pair}) > 1:
            reason = f"the rulers of `{protocol}` differ: another text, rule or context was measured"
            continue
        comparisons[protocol] = _compare(
            protocol, [a.losses[protocol] for a, _ in pairs], [b.losses[protocol] for _, b in pairs]
        )
    if not comparisons and not reason:
        reason = "the final evaluation is missing"
    if any(abs(a.positions - b.positions) > 0.01 * max(a.positions, b.positions) for a, b in pairs):
        reason = "the two were trained on unequal numbers of positions"
    elif len(seeds) == 1 and not reason:
        reason = "one seed only"
    return Effect(tier, before, after, seeds, comparisons, reason)


def _is_finite(final: Final) -> bool:
    return bool(final.losses) and all(math.isfinite(loss) for loss in final.losses.values())


def _compare(protocol: str, before: list[float], after: list[float]) -> Comparison:
    differences = [b - a for a, b in zip(before, after, strict=True)]
    return Comparison(protocol, tuple(before), tuple(after), mean_interval(differences, LEVEL))


def with_holm(effects: Sequence[Effect]) -> list[Effect]:
    """The same effects with p values adjusted over the whole table, both protocols counted."""
    places = [
        (index, protocol, comparison.paired.p)
        for index, each in enumerate(effects)
        for protocol, comparison in each.comparisons.items()
        if comparison.paired.p is not None and not each.reason
    ]
    adjusted = holm([p for _, _, p in places])
    tables = [dict(each.comparisons) for each in effects]
    for (index, protocol, _), p in zip(places, adjusted, strict=True):
        old = tables[index][protocol]
        tables[index][protocol] = replace(old, p_adjusted=p)
    return [
        Effect(each.tier, each.before, each.after, each.seeds, table, each.reason)
        for each, table in zip(effects, tables, strict=True)
    ]


def sentence(each: Effect) -> str:
    """The effect in one sentence, with its interval; without a verdict, why there is none."""
    told = each.headline
    if told is None:
        return f"`{each.after}` against `{each.before}`: no verdict, {each.reason}."
    mean, low, high = told.paired.mean, told.paired.low, told.paired.high
    direction = "below" if mean < 0 else "above"
    ended = f"ended {abs(mean):.3f} {direction} `{each.before}` on `{told.protocol}`"
    if each.verdict == "no verdict" or low is None or high is None:
        return f"`{each.after}` {ended}; no verdict: {each.reason}."
    seeds = f"95 % interval {signed(low)} to {signed(high)}, {len(each.seeds)} seeds"
    if each.verdict == "no evidence":
        return f"No evidence that `{each.after}` changed the loss: it {ended} ({seeds})."
    if each.verdict == "depends on the protocol":
        parts = ", ".join(f"{comparison.says()} on `{name}`" for name, comparison in each.comparisons.items())
        return f"What `{each.after}` does depends on the protocol ({parts}): it {ended} ({seeds})."
    word = "improved on" if each.verdict == "improved" else "is worse than"
    return f"`{each.after}` {word} `{each.before}` by {abs(mean):.3f} on `{told.protocol}` ({seeds})."


def signed(value: float) -> str:
    """A difference with its sign, three decimals, and a true minus."""
    text = f"{value:+.3f}"
    return text.replace("-", "\N{MINUS SIGN}")


def as_finding(each: Effect) -> Finding:
    told = each.headline
    evidence = {
        "tier": each.tier,
        "before": each.before,
        "after": each.after,
        "verdict": each.verdict,
        "seeds": list(each.seeds),
        "protocols": {
            name: {
                "differences": [round(value, 6) for value in comparison.differences],
                "mean": comparison.paired.mean,
                "interval": [comparison.paired.low, comparison.paired.high],
                "p_holm": comparison.p_adjusted,
                "unpaired_interval": [comparison.unpaired.low, comparison.unpaired.high],
                "correlation": comparison.correlation,
            }
            for name, comparison in each.comparisons.items()
        },
    }
    good = each.verdict == "improved" and told is not None
    return Finding(
        kind="effect", scope="ladder", severity="good" if good else "note", sentence=sentence(each), evidence=evidence
    )
