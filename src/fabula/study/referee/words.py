"""What a comparison came to, in sentences."""

from fabula.record.wording import loss_text, plural
from fabula.study.inference.statistics import Interval
from fabula.study.referee.comparing import Compared, Comparison
from fabula.study.referee.deciding import ERROR_RATE, Judged, Terms
from fabula.study.referee.power import MOST_COUNTED, Wanted
from fabula.study.referee.value import PER_GPT2_TOKEN

OF_DECISION = {"keep": "keep", "discard": "discard", "more_seeds": "more seeds", "incomparable": "incomparable"}


def difference_words(difference: Interval, level: float) -> str:
    """`lower by 0.050 (97.5 % interval 0.030 to 0.070)`; across zero both directions are named."""
    word, other = ("higher", "lower") if difference.mean > 0 else ("lower", "higher")
    said = f"{word} by {small(abs(difference.mean))}"
    if difference.low is None or difference.high is None:
        return said
    low, high = difference.low, difference.high
    if difference.mean <= 0:
        low, high = -high, -low
    if low < 0:
        return f"{said} ({percent(level)} interval from {small(-low)} {other} to {small(high)} {word})"
    return f"{said} ({percent(level)} interval {small(low)} to {small(high)})"


def small(value: float) -> str:
    """Three decimals as losses have, and two digits of what would be nothing then."""
    return f"{value:.3f}" if value >= 0.01 or value == 0 else f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"


def percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def reason(each: Compared, comparison: Comparison) -> str:
    """Why the decision is what it is, with its numbers."""
    judged, base = each.judged, comparison.base
    assert judged is not None, "the base is not judged"
    if judged.why == "unlike":
        return f"{each.name} cannot be compared with {base.name}: {judged.told}."
    if judged.why == "base failed":
        return f"Nothing can be compared with {base.name}: {judged.told}, and a mean without it would look too good."
    if judged.why == "failed":
        return f"{judged.told}, and a mean without it would look too good."
    if judged.why == "too few runs":
        runs = " and ".join(f"{plural(len(side.values), 'run')} of {side.name}" for side in (base, each))
        assert judged.wanted is not None, "who has too few runs is told how many more"
        return f"{runs}: with fewer than two in a group nobody knows what luck alone does. {_more(each, comparison)}"
    assert judged.difference is not None, "every other decision is about a difference"
    if judged.why == "no spread":
        return (
            f"All runs of {base.name} ended at the same number to its last digit, and all of {each.name}: nobody sees "
            "what luck does. Log the loss with more digits."
        )
    numbers = f"its loss is {difference_words(judged.difference, comparison.terms.level)}{_unit(comparison)}"
    return f"{_verdict(each, judged, comparison)}: {numbers}.{_then(each, judged, comparison)}"


def _unit(comparison: Comparison) -> str:
    """Of runs that fabula made; what a log of another program counts in, nobody knows."""
    if any(member.foreign for each in comparison.groups for member in each.group.members):
        return ""
    return ", nats per GPT-2 token" if comparison.rule.final == PER_GPT2_TOKEN else ", nats per token"


def _verdict(each: Compared, judged: Judged, comparison: Comparison) -> str:
    name, base, detect = each.name, comparison.base.name, comparison.terms.detect
    said = {
        "better": f"{name} is better than {base}",
        "worse": f"{name} is worse than {base}",
        "better by too little": f"{name} is better than {base}, but by less than the {detect} nats that are wanted",
        "too small": f"{name} does not improve on {base} by the {detect} nats that are wanted",
    }
    return said.get(judged.why, f"No evidence that {name} is better than {base}")


def _then(each: Compared, judged: Judged, comparison: Comparison) -> str:
    """What follows from a difference that is no evidence."""
    terms = comparison.terms
    unseen = f"These runs find an improvement of {small(judged.least)} in 80 % of cases" if judged.least else ""
    if judged.why == "last look":
        planned = "This was the only look that was planned" if terms.looks == 1 else "This was the last look planned"
        return f" {planned}. {unseen}."
    if judged.why == "enough runs":
        short = judged.target is not None and judged.least is not None and judged.least > judged.target
        return f" {unseen}; more than {terms.most} runs a group are not wanted." if short else f" {unseen}."
    if judged.why == "no sign":
        return f" The mean is not even lower, so that further runs are better spent on another change. {unseen}."
    return f" {_more(each, comparison)}" if judged.decision == "more_seeds" else ""


def _more(each: Compared, comparison: Comparison) -> str:
    """How many runs, of what, and what for."""
    judged = each.judged
    assert judged is not None and judged.wanted is not None, "asked only where runs are wanted"
    wanted: Wanted = judged.wanted
    counts = ((wanted.base, comparison.base.name), (wanted.new, each.name))
    said = "Make " + " and ".join(f"{plural(count, 'more run')} of {name}" for count, name in counts if count)
    if judged.target is None:
        return f"{said}: three in each group are a beginning."
    aim = f"an improvement of {small(judged.target)} would be found in 80 % of cases"
    if wanted.in_all > comparison.terms.most:
        return f"{said}, the most that are wanted: with {wanted.in_all} in each group {aim}."
    if not wanted.in_all:
        return f"{said}, the most that are wanted: it takes more than {MOST_COUNTED} in each group until {aim}."
    return f"{said}: with {wanted.in_all} in each group {aim}."


def compared_words(comparison: Comparison) -> str:
    """What is compared, and how."""
    pairs = "runs with the same seed in pairs" if comparison.paired else "the runs not in pairs"
    return f"Compared: {comparison.rule.sentence()}; lower is better; {pairs}."


def terms_words(terms: Terms) -> str:
    """The error rate, over looks and groups."""
    rate = f"A change that does nothing is called better or worse in {percent(ERROR_RATE)} of cases at most"
    if terms.looks == 1:
        return f"{rate}; this is the only look."
    each = percent(terms.error_rate)
    return f"{rate}: {each} at each of {terms.looks} looks. This is look {terms.look} of {terms.looks}."


def value_words(each: Compared) -> str:
    """A group's mean, with its runs: `3.204 (3.201, 3.207, failed)`."""
    runs = ", ".join("failed" if failed else loss_text(value)
                     for value, failed in zip(each.values, each.failures, strict=True))  # fmt: skip
    return f"{loss_text(each.mean)} ({runs})" if each.mean is not None else f"no mean ({runs})"
