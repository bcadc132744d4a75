"""Effects and interactions in words, and as findings."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fabula.record.finding import Finding
from fabula.study.inference.effects import Comparison, Effect
from fabula.study.inference.statistics import Interval

MINUS = "\N{MINUS SIGN}"
REACH = "at this scale and learning rate"
"""How far any verdict reaches."""
UNIT = "nats per token"
_WORDS = {
    "factorial": ("better together", "worse together"),
    "tiers": ("helps more", "helps less"),
}
"""Of interactions: what a difference below zero is called, and one above."""


def signed(value: float) -> str:
    """A difference with its sign, three decimals, and a true minus: for the cells of tables."""
    return f"{value:+.3f}".replace("-", MINUS)


def lower_or_higher(difference: Interval, unit: str = "", after: str = "") -> str:
    """A difference of losses for a sentence, with its interval counted the same way: `lower by 1.220 nats per token
    (95 % interval 0.558 to 1.882)`. An interval across zero names both directions. `after` follows the interval."""
    word, other = ("higher", "lower") if difference.mean > 0 else ("lower", "higher")
    said = f"{word} by {abs(difference.mean):.3f}{f' {unit}' if unit else ''}"
    if difference.low is None or difference.high is None:
        return said
    low, high = _outward(difference)
    if low < 0:
        return f"{said} (95 % interval from {-low:.3f} {other} to {high:.3f} {word}{after})"
    return f"{said} (95 % interval {low:.3f} to {high:.3f}{after})"


def _outward(difference: Interval) -> tuple[float, float]:
    """The ends of an interval, counted in the direction of its mean."""
    assert difference.low is not None and difference.high is not None, "asked only where there is an interval"
    return (difference.low, difference.high) if difference.mean > 0 else (-difference.high, -difference.low)


def _under_both(together: float, apart: float, conditions: tuple[str, str]) -> str:
    """An effect under each of two conditions: `lowers the loss by 0.500 with `a` and by 0.300 without it`."""
    verb, other = ("raises" if value > 0 else "lowers" for value in (together, apart))
    again = "by" if other == verb else f"{other} it by"
    return f"{verb} the loss by {abs(together):.3f} {conditions[0]} and {again} {abs(apart):.3f} {conditions[1]}"


def verdict_words(each: Effect) -> str:
    """The verdict as a reader sees it: two changes are better or worse together, not improved."""
    if each.kind == "interaction" and each.verdict in ("improved", "worse"):
        return _WORDS[each.contrast.design][each.verdict == "worse"]
    return each.verdict


@dataclass(frozen=True)
class Said:
    """A sentence in three parts, so that a page can set its verdict apart."""

    before: str
    verdict: str
    after: str


def sentence(each: Effect) -> str:
    """The answer in one sentence, with its interval; without a verdict, why there is none."""
    said = in_parts(each)
    return said.before + said.verdict + said.after


def in_parts(each: Effect) -> Said:
    """The same sentence around its verdict."""
    if each.headline is None:
        return Said(f"{_question(each)}: ", "no verdict", f", because {each.reason}.")
    numbers = f"{_numbers(each, each.headline)}."
    if each.verdict == "no verdict":
        return Said(f"{_question(each)}: {numbers} ", "No verdict", f", because {each.reason}.")
    if each.verdict == "no evidence":
        what = _condition_matters(each) if each.kind == "interaction" else f"{_changed(each)} changed the loss"
        return Said("", "No evidence", f" that {what}: {numbers[:-1]}{_unseen(each)}.")
    if each.verdict == "depends on the protocol":
        parts = ", ".join(f"{comparison.says()} on `{name}`" for name, comparison in each.comparisons.items())
        what = f"Whether {_condition_matters(each)}" if each.kind == "interaction" else f"What {_changed(each)} does"
        return Said(f"{what} ", "depends on the protocol", f" ({parts}): {numbers}")
    before, after = _around_verdict(each)
    return Said(before, verdict_words(each), f"{after}: {numbers}")


def _unseen(each: Effect) -> str:
    """How large an effect could have stayed unseen, for the end of a sentence."""
    if each.unseen_below is None:
        return ""
    if each.turn is not None and each.turn.outcome == "smaller":
        return f"; shown to be smaller than {each.turn.detect:g} nats either way"
    what = "a change of" if each.kind == "effect" else "a difference of"
    return f"; {what} {each.unseen_below:.3f} would have been found in 80 % of cases, a smaller one may stay unseen"


def _around_verdict(each: Effect) -> tuple[str, str]:
    """What stands before and after the words of a verdict that was found."""
    contrast, improved = each.contrast, each.verdict == "improved"
    if contrast.design == "tiers":
        return f"{_changed(each)} ", f" on `{contrast.tiers[1]}` than on `{contrast.tiers[0]}`"
    if contrast.kind == "interaction" and len(contrast.phases) == 2:
        return f"{_names(contrast.phases)} are ", " than their effects added up"
    if contrast.kind == "interaction":
        return f"With `{contrast.phases[0]}`, {_names(contrast.phases[1:])} are ", " than without it"
    if contrast.design == "pair":
        if improved:
            return f"{_changed(each)} ", f" on `{each.before}`"
        return f"{_changed(each)} is ", f" than `{each.before}`"
    what = "the loss" if contrast.design == "factorial" else "the whole recipe"
    return (f"{_changed(each)} ", f" {what}") if improved else (f"{_changed(each)} made {what} ", "")


def sentence_with_reach(each: Effect) -> str:
    """The same, and how far a verdict reaches."""
    said, unseen = sentence(each), _unseen(each)
    return said if each.verdict == "no verdict" else f"{said.removesuffix(f'{unseen}.')}, {REACH}{unseen}."


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
        mean, half = each.headline.estimate.mean, told.estimate.mean / 2
        parts.append(f"it {_under_both(mean + half, mean - half, (f'with `{condition}`', 'without it'))}")
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


def _numbers(each: Effect, told: Comparison) -> str:
    """The mean with its interval, and of an interaction the two effects that it is the difference of."""
    contrast, turn = each.contrast, each.turn
    seeds = f"; {len(each.seeds)} seeds" + (f", look {turn.look} of {turn.looks}" if turn is not None else "")
    if contrast.kind == "interaction" and told.together is not None and told.apart is not None:
        conditions = (
            (f"on `{contrast.tiers[1]}`", f"on `{contrast.tiers[0]}`")
            if contrast.design == "tiers"
            else (f"with `{contrast.phases[0]}`", "without it")
        )
        what = "it" if contrast.design == "tiers" else _changed(each)
        if contrast.kind == "interaction" and len(contrast.phases) > 2:
            what = "their interaction"
        return (
            f"on `{told.protocol}`, {what} {_under_both(told.together, told.apart, conditions)}, a difference of "
            f"{_size(told.estimate, seeds)}"
        )
    loss, difference = f"loss on `{told.protocol}`", lower_or_higher(told.estimate, UNIT, seeds)
    if contrast.design == "factorial":
        return f"with it the {loss} is {difference}, averaged over {len(contrast.weights) // 2} pairs of recipes"
    if contrast.design == "leave-one-out":
        return f"with it the {loss} is {difference}"
    without = "" if each.verdict in ("improved", "worse") else f" than that of `{each.before}`"
    return f"its {loss} is {difference.replace(' by ', f'{without} by ', 1)}"


def _size(difference: Interval, after: str) -> str:
    """The size of a difference without its direction, which the sentence has told."""
    if difference.low is None or difference.high is None:
        return f"{abs(difference.mean):.3f}"
    low, high = _outward(difference)
    return f"{abs(difference.mean):.3f} (95 % interval {low:.3f} to {high:.3f}{after})".replace("-", MINUS)


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
        "unseen_below": each.unseen_below,
        "seeds": list(each.seeds),
        "num_runs": each.num_runs,
        "weights": [[*place, weight] for place, weight in each.contrast.weights],
        "protocols": {name: _protocol(comparison) for name, comparison in each.comparisons.items()},
    }
    if each.contrast.design == "tiers":
        evidence["tiers"] = list(each.contrast.tiers)
    if each.turn is not None:
        evidence["turn"] = asdict(each.turn)
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
        "mean": comparison.estimate.mean,
        "interval": [comparison.estimate.low, comparison.estimate.high],
        "p_holm": comparison.p_adjusted,
        "paired_interval": [comparison.paired.low, comparison.paired.high],
        "unpaired_interval": [comparison.unpaired.low, comparison.unpaired.high],
        "correlation": comparison.correlation,
        "stories_interval": None if comparison.stories is None else list(comparison.stories),
    }
    if comparison.together is not None:
        numbers |= {"together": comparison.together, "apart": comparison.apart}
    return numbers


ROUGHNESS_WORDS = {"improved": "less noisy", "worse": "noisier"}


def roughness_sentence(each: Effect) -> str:
    """What a change did to the noise of the training loss at the end, in percent of the loss."""
    told = each.headline
    if told is None:
        return f"{_question(each)}: nothing is known of the noise at the end, because {each.reason}."
    before, after = (100 * sum(side) / len(side) for side in (told.before, told.after))
    size = f"the training loss varied by {after:.2f} % from step to step, against {before:.2f} % without it"
    if each.verdict == "no verdict":
        return f"{_question(each)}: at the end {size}. No verdict, because {each.reason}."
    if each.verdict == "no evidence":
        unseen = ""
        if each.unseen_below is not None:
            unseen = f"; a change of {100 * each.unseen_below:.2f} points would have been found in 80 % of cases"
        return f"No evidence that {_changed(each)} changed the noise at the end: {size}{unseen}."
    return f"{_changed(each)} made the end of the training {ROUGHNESS_WORDS[each.verdict]}: {size}."


def roughness_finding(each: Effect) -> Finding:
    """Kind `effect`, on the scatter at the end in place of the final loss."""
    finding = as_finding(each)
    evidence = {**finding.evidence, "measure": "scatter of log training loss over the last fifth of the steps"}
    return replace(finding, sentence=roughness_sentence(each), evidence=evidence)
