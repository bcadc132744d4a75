"""Effects and interactions in words, and as findings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fabula.findings.effects import Comparison, Effect
from fabula.record.finding import Finding

MINUS = "\N{MINUS SIGN}"
REACH = "at this scale and learning rate"
"""How far any verdict reaches."""
_WORDS = {
    "factorial": ("better together", "worse together"),
    "tiers": ("does more", "does less"),
}
"""Of interactions: what a difference below zero is called, and one above."""


def signed(value: float) -> str:
    """A difference with its sign, three decimals, and a true minus."""
    return f"{value:+.3f}".replace("-", MINUS)


def verdict_words(each: Effect) -> str:
    """The verdict as a reader sees it: two changes are better or worse together, not improved."""
    if each.kind == "interaction" and each.verdict in ("improved", "worse"):
        return _WORDS[each.contrast.design][each.verdict == "worse"]
    return each.verdict


def sentence(each: Effect) -> str:
    """The answer in one sentence, with its interval; without a verdict, why there is none."""
    told = each.headline
    if told is None:
        return f"{_question(each)}: no verdict, {each.reason}."
    if each.verdict == "no verdict":
        return f"{_question(each)}: {_numbers(each, told)}; no verdict: {each.reason}."
    numbers = f"{_numbers(each, told)} ({_interval(each, told)})."
    if each.verdict == "no evidence":
        return f"{_no_evidence(each)}: {numbers}"
    if each.verdict == "depends on the protocol":
        parts = ", ".join(f"{comparison.says()} on `{name}`" for name, comparison in each.comparisons.items())
        if each.kind == "interaction":
            return f"Whether {_condition_matters(each)} depends on the protocol ({parts}): {numbers}"
        return f"What {_changed(each)} does depends on the protocol ({parts}): {numbers}"
    return _verdict_sentence(each, told)


def sentence_with_reach(each: Effect) -> str:
    """The same, and how far a verdict reaches."""
    said = sentence(each)
    return said if each.verdict == "no verdict" else f"{said[:-1]}, {REACH}."


def conditions(each: Effect, effects: Sequence[Effect]) -> str:
    """Of a main effect, how large it is with and without each change that it was shown to hang on; empty for none.

    With two levels the effect under a condition is the main effect plus half of the interaction, without it minus half.
    """
    if each.contrast.design != "factorial" or each.kind != "effect" or each.headline is None:
        return ""
    (phase,) = each.contrast.phases
    parts = []
    for other in effects:
        phases, told = other.contrast.phases, other.headline
        if other.kind != "interaction" or len(phases) != 2 or phase not in phases or told is None:
            continue
        if other.contrast.tiers != each.contrast.tiers or other.verdict in ("no evidence", "no verdict"):
            continue
        (condition,) = set(phases) - {phase}
        mean, half = each.headline.paired.mean, told.paired.mean / 2
        parts.append(f"{signed(mean + half)} with `{condition}` and {signed(mean - half)} without it")
    return f"It is not the same everywhere: {'; '.join(parts)}." if parts else ""


def _changed(each: Effect) -> str:
    return f"`{each.contrast.phases[-1]}`"


def _question(each: Effect) -> str:
    """What was asked, for where no answer is."""
    contrast = each.contrast
    if contrast.design == "tiers":
        return f"`{contrast.phases[0]}` on `{contrast.tiers[1]}` against `{contrast.tiers[0]}`"
    if contrast.kind == "interaction":
        return _names(contrast.phases)
    if contrast.design == "pair":
        return f"`{each.after}` against `{each.before}`"
    return _changed(each)


def _names(phases: tuple[str, ...]) -> str:
    *first, last = (f"`{phase}`" for phase in phases)
    return f"{', '.join(first)} and {last}"


def _condition_matters(each: Effect) -> str:
    contrast = each.contrast
    if contrast.design == "tiers":
        return f"`{contrast.phases[0]}` does another thing on `{contrast.tiers[1]}` than on `{contrast.tiers[0]}`"
    if len(contrast.phases) == 2:
        return f"`{contrast.phases[0]}` changes what `{contrast.phases[1]}` does"
    return f"`{contrast.phases[0]}` changes how {_names(contrast.phases[1:])} work together"


def _no_evidence(each: Effect) -> str:
    if each.kind == "interaction":
        return f"No evidence that {_condition_matters(each)}"
    return f"No evidence that {_changed(each)} changed the loss"


def _numbers(each: Effect, told: Comparison) -> str:
    """The mean, and of an interaction the two effects that it is the difference of."""
    contrast, mean = each.contrast, told.paired.mean
    if contrast.kind == "interaction" and told.together is not None and told.apart is not None:
        conditions = (
            (f"on `{contrast.tiers[1]}`", f"on `{contrast.tiers[0]}`")
            if contrast.design == "tiers"
            else (f"with `{contrast.phases[0]}`", "without it")
        )
        what = "its effect" if len(contrast.phases) < 3 else "their interaction"
        if contrast.design == "factorial" and len(contrast.phases) == 2:
            what = f"the effect of {_changed(each)}"
        return (
            f"{what} is {signed(told.together)} {conditions[0]} and {signed(told.apart)} {conditions[1]} on "
            f"`{told.protocol}`, a difference of {signed(mean)}"
        )
    direction = "below" if mean < 0 else "above"
    if contrast.design == "factorial":
        pairs = len(contrast.weights) // 2
        return f"{signed(mean)} on `{told.protocol}`, averaged over {pairs} pairs of recipes"
    return f"it ended {abs(mean):.3f} {direction} `{each.before}` on `{told.protocol}`"


def _interval(each: Effect, told: Comparison) -> str:
    assert told.paired.low is not None and told.paired.high is not None, "a verdict has its interval"
    return f"95 % interval {signed(told.paired.low)} to {signed(told.paired.high)}, {len(each.seeds)} seeds"


def _verdict_sentence(each: Effect, told: Comparison) -> str:
    contrast, size, numbers = each.contrast, f"{abs(told.paired.mean):.3f}", _numbers(each, told)
    improved = each.verdict == "improved"
    closing = f"({_interval(each, told)})."
    if contrast.design == "tiers":
        words = verdict_words(each)
        return f"{_changed(each)} {words} on `{contrast.tiers[1]}` than on `{contrast.tiers[0]}`: {numbers} {closing}"
    if contrast.kind == "interaction" and len(contrast.phases) == 2:
        return f"{_names(contrast.phases)} are {verdict_words(each)} than their effects added up: {numbers} {closing}"
    if contrast.kind == "interaction":
        rest = _names(contrast.phases[1:])
        return f"With `{contrast.phases[0]}`, {rest} are {verdict_words(each)} than without it: {numbers} {closing}"
    if contrast.design == "factorial":
        what = "improved the loss" if improved else "made the loss worse"
        pairs = f"averaged over {len(contrast.weights) // 2} pairs of recipes"
        return f"{_changed(each)} {what} by {size} on `{told.protocol}`, {pairs} {closing}"
    if contrast.design == "leave-one-out":
        what = "improved the whole recipe" if improved else "made the whole recipe worse"
        against = f"on `{told.protocol}`, against the same without it"
        return f"{_changed(each)} {what} by {size} {against} {closing}"
    word = "improved on" if improved else "is worse than"
    return f"{_changed(each)} {word} `{each.before}` by {size} on `{told.protocol}` {closing}"


def as_finding(each: Effect) -> Finding:
    """Kind `effect` or `interaction`, with every seed's point in the evidence."""
    evidence: dict[str, Any] = {
        "tier": each.tier,
        "design": each.contrast.design,
        "phases": list(each.contrast.phases),
        "before": each.before,
        "after": each.after,
        "verdict": each.verdict,
        "reason": each.reason,
        "reach": REACH,
        "seeds": list(each.seeds),
        "num_runs": each.num_runs,
        "weights": [[*place, weight] for place, weight in each.contrast.weights],
        "protocols": {name: _protocol(comparison) for name, comparison in each.comparisons.items()},
    }
    if each.contrast.design == "tiers":
        evidence["tiers"] = list(each.contrast.tiers)
    good = each.verdict == "improved" and each.kind == "effect"
    return Finding(
        kind=each.kind,
        scope="ladder",
        severity="good" if good else "note",
        sentence=sentence_with_reach(each),
        evidence=evidence,
    )


def _protocol(comparison: Comparison) -> dict[str, Any]:
    numbers = {
        "differences": [round(value, 6) for value in comparison.differences],
        "mean": comparison.paired.mean,
        "interval": [comparison.paired.low, comparison.paired.high],
        "p_holm": comparison.p_adjusted,
        "unpaired_interval": [comparison.unpaired.low, comparison.unpaired.high],
        "correlation": comparison.correlation,
        "stories_interval": None if comparison.stories is None else list(comparison.stories),
    }
    if comparison.together is not None:
        numbers |= {"together": comparison.together, "apart": comparison.apart}
    return numbers


ROUGHNESS_WORDS = {"improved": "smoother", "worse": "rougher"}


def roughness_sentence(each: Effect) -> str:
    """What a change did to the scatter of the training loss at the end, in percent of the loss."""
    told = each.headline
    if told is None:
        return f"{_question(each)}: nothing to say of the end, {each.reason}."
    before, after = (100 * sum(side) / len(side) for side in (told.before, told.after))
    size = f"{before:.2f} % of the loss to {after:.2f} %"
    if each.verdict == "no verdict":
        return f"{_question(each)}: the scatter at the end went from {size}; no verdict: {each.reason}."
    if each.verdict == "no evidence":
        return f"No evidence that {_changed(each)} changed how smooth the end was: its scatter went from {size}."
    return (
        f"{_changed(each)} made the end of the training {ROUGHNESS_WORDS[each.verdict]}: its scatter went from {size}."
    )


def roughness_finding(each: Effect) -> Finding:
    """Kind `effect`, on the scatter at the end in place of the final loss."""
    finding = as_finding(each)
    evidence = {**finding.evidence, "measure": "scatter of log training loss over the last fifth of the steps"}
    return replace(finding, sentence=roughness_sentence(each), evidence=evidence)
