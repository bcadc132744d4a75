"""A judge's session in sentences, for the terminal and the page, and as values."""

from typing import Any

from fabula.record.sessions.judgements import MARKS
from fabula.record.wording import plural
from fabula.study.inference.statistics import Interval
from fabula.study.judging.scores import OVERALL, Agreement, Judged, Position, Preferred

NAMES = {
    "shuffled": "shuffled sentences",
    "spliced": "another story's second half",
    "cut": "a story cut off",
    "repeated": "repetition",
    "injected": "stories that give orders",
    "pairs": "pairs, true and shuffled",
    "order": "the order of a pair",
}
"""Check -> what it shows the judge."""
FAILURES = {
    "limited": "too many requests",
    "server": "the server failed",
    "late": "no answer in time",
    "connection": "the connection was cut or not made",
    "malformed": "not the answer that was asked for",
    "refused": "the judge declined",
    "rejected": "the server did not accept the request",
    "not asked": "not asked any more",
}
VERDICTS = {
    "reliable": "It ranked the stories whose rank is known, and did not do what stories told it.",
    "unreliable": "Do not rely on its marks.",
    "not checked": "Too few stories with a known rank were answered to say whether it can be believed.",
}


def mark_text(told: Interval) -> str:
    """`6.4 (95 % interval 5.9 to 6.9)`."""
    if told.low is None or told.high is None:
        return f"{told.mean:.1f}"
    return f"{told.mean:.1f} (95 % interval {told.low:.1f} to {told.high:.1f})"


def verdict_sentence(each: Judged) -> str:
    failed = ", ".join(NAMES[check.name] for check in each.reliability.failed)
    return VERDICTS[each.reliability.verdict] + (f" It failed on: {failed}." if failed else "")


def marks_sentence(each: Judged) -> str:
    """The overall mark beside that of true stories; empty where nothing was marked."""
    if OVERALL not in each.scores:
        return ""
    said = (
        f"{plural(each.num_stories, 'story', 'stories')} of {plural(each.num_prompts, 'prompt')} got "
        f"{mark_text(each.scores[OVERALL])} of 10"
    )
    human = each.human.get(OVERALL)
    return f"{said}; true stories {mark_text(human)}." if human is not None else f"{said}."


def agreement_sentence(told: Agreement) -> str:
    return (
        f"Asked a second time about {plural(told.num, 'story', 'stories')}, it gave marks that differ by "
        f"{told.mean_difference:.1f} on average; {told.within_one} of {told.num} differ by at most one."
    )


def position_sentence(told: Position) -> str:
    return (
        f"Of two stories it chose the first in {told.first} of {told.num} answers "
        f"({100 * told.low:.0f} to {100 * told.high:.0f} % are likely); half is fair. In {told.turned} of "
        f"{plural(told.pairs, 'pair')} the answer hung on the order."
    )


def preferred_sentence(told: Preferred) -> str:
    """Points from -1 to 1, as a share of prompts: what is told is who won, and whether that is more than luck."""
    low, high = told.interval.low, told.interval.high
    said = (
        f"Against {told.other}: better in {told.better}, worse in {told.worse} of {plural(told.pairs, 'pair')}, "
        "whatever the order"
    )
    if low is None or high is None:
        return f"{said}; one prompt says nothing about luck."
    if low <= 0.0 <= high:
        return f"{said}: no evidence that one is better."
    return f"{said}: {'better' if low > 0 else 'worse'} by more than luck."


def unanswered_sentence(each: Judged) -> str:
    """Empty where every question was answered."""
    missing = sum(each.session.failures.values())
    if not missing:
        return ""
    kinds = ", ".join(f"{FAILURES.get(name, name)} {num}" for name, num in each.session.failures.items())
    return f"{missing} of {plural(each.session.planned, 'question')} have no answer: {kinds}."


def as_fields(each: Judged) -> dict[str, Any]:
    """The same as values, for --json."""
    return {
        "judge": each.session.judge,
        "session": each.session.name,
        "step": each.session.step,
        "verdict": each.reliability.verdict,
        "failed": [check.name for check in each.reliability.failed],
        "checks": {
            check.name: {"outcome": check.outcome, "sentence": check.sentence} for check in each.reliability.checks
        },
        "marks": {name: _interval(each.scores[name]) for name in (OVERALL, *MARKS) if name in each.scores},
        "true_stories": {name: _interval(each.human[name]) for name in (OVERALL, *MARKS) if name in each.human},
        "ages": dict(each.ages),
        "stories": each.num_stories,
        "prompts": each.num_prompts,
        "agreement": None if each.agreement is None else vars(each.agreement),
        "position": None if each.position is None else vars(each.position),
        "against": None
        if each.preferred is None
        else {
            "run": each.preferred.other,
            "points": _interval(each.preferred.interval),
            "better": each.preferred.better,
            "worse": each.preferred.worse,
            "pairs": each.preferred.pairs,
        },
        "asked": each.session.planned,
        "answered": each.session.answered,
        "unanswered": dict(each.session.failures),
        "ended": each.session.ended,
        "dollars": each.session.dollars,
    }


def _interval(told: Interval) -> dict[str, float | int | None]:
    return {"mean": told.mean, "low": told.low, "high": told.high, "prompts": told.num_values}


def told(each: Judged) -> list[str]:
    """All there is to say, a sentence each, the verdict first."""
    sentences = [f"{each.session.judge} is {each.reliability.verdict}. {verdict_sentence(each)}", marks_sentence(each)]
    sentences += [preferred_sentence(each.preferred)] if each.preferred else []
    sentences += [agreement_sentence(each.agreement)] if each.agreement else []
    sentences += [position_sentence(each.position)] if each.position else []
    return [sentence for sentence in [*sentences, unanswered_sentence(each)] if sentence]
