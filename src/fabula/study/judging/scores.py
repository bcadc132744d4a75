"""What a judge says of a run, with intervals. The prompt is the sampling unit: several stories of one prompt share its
luck, so each prompt counts once, as the mean of its stories."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fabula.record.sessions.judgements import AGES, MARKS
from fabula.study.inference.statistics import Interval, correlation, mean_interval, wilson_interval
from fabula.study.judging.controls import Reliability, both_orders, reliability
from fabula.study.judging.sessions import AGAINST, COMPLETION, PAIR_CONTROL, TRUE, Marked, Session

OVERALL = "overall"


def by_prompt(values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Prompt -> mean of its values."""
    together: dict[str, list[float]] = {}
    for prompt, value in values:
        together.setdefault(prompt, []).append(value)
    return {prompt: math.fsum(each) / len(each) for prompt, each in together.items()}


def clustered(values: Iterable[tuple[str, float]]) -> Interval | None:
    """Mean over prompts with its t interval; None for no value."""
    means = list(by_prompt(values).values())
    return mean_interval(means) if means else None


@dataclass(frozen=True)
class Agreement:
    """What the judge said of the same stories a second time."""

    num: int
    mean_difference: float
    """Of the overall marks, without sign."""
    within_one: int
    """Stories whose two marks differ by at most one."""
    correlation: float | None


def agreement(session: Session) -> Agreement | None:
    again = {(each.role, each.of): each.overall for each in session.marked if each.repeat == 1}
    once = {(each.role, each.of): each.overall for each in session.marked if each.repeat == 0}
    both = [(once[key], value) for key, value in again.items() if key in once]
    if not both:
        return None
    differences = [abs(first - second) for first, second in both]
    return Agreement(
        len(both),
        math.fsum(differences) / len(both),
        sum(each <= 1.0 for each in differences),
        correlation([first for first, _ in both], [second for _, second in both]),
    )


@dataclass(frozen=True)
class Position:
    """How often the first of two was chosen, over all pairs of the session."""

    first: int
    num: int
    """Answers that preferred one of the two."""
    low: float
    high: float
    turned: int
    """Pairs whose answer hung on the order."""
    pairs: int


def position(session: Session) -> Position | None:
    decided = [each for each in session.chosen if each.better != "equal"]
    if not decided:
        return None
    first = sum(each.better == "first" for each in decided)
    pairs = [pair for role in (PAIR_CONTROL, AGAINST) for pair in both_orders(session, role)]
    turned = sum(bool(pair.always) for pair in pairs)
    return Position(first, len(decided), *wilson_interval(first, len(decided)), turned, len(pairs))


@dataclass(frozen=True)
class Preferred:
    """Two runs, prompt by prompt: 1 where this run's story was better in both orders, -1 where the other's was."""

    other: str
    interval: Interval
    better: int
    worse: int
    pairs: int


def preferred(session: Session) -> Preferred | None:
    pairs = both_orders(session, AGAINST)
    told = clustered((pair.prompt, pair.points) for pair in pairs)
    if told is None:
        return None
    won = sum(pair.points == 1.0 for pair in pairs)
    lost = sum(pair.points == -1.0 for pair in pairs)
    return Preferred(session.against, told, won, lost, len(pairs))


@dataclass(frozen=True)
class Judged:
    """One session, read to the end."""

    session: Session
    reliability: Reliability
    scores: dict[str, Interval]
    """Mark, or `overall` -> mean over the prompts."""
    human: dict[str, Interval]
    """The same of the true stories among the controls."""
    ages: tuple[tuple[str, int], ...]
    num_stories: int
    num_prompts: int
    agreement: Agreement | None
    position: Position | None
    preferred: Preferred | None


def judged(session: Session) -> Judged:
    stories = session.of_role(COMPLETION)
    ages = Counter(each.age_group for each in stories if each.age_group in AGES)
    return Judged(
        session,
        reliability(session),
        scores=_scores(stories),
        human=_scores(session.of_role(TRUE)),
        ages=tuple((age, ages[age]) for age in AGES if ages[age]),
        num_stories=len(stories),
        num_prompts=len({each.prompt for each in stories}),
        agreement=agreement(session),
        position=position(session),
        preferred=preferred(session),
    )


def _scores(stories: Sequence[Marked]) -> dict[str, Interval]:
    taken: dict[str, Callable[[Marked], float]] = {OVERALL: lambda each: each.overall}
    taken |= {name: lambda each, name=name: float(each.marks[name]) for name in MARKS}  # type: ignore[misc]
    found = {name: clustered((each.prompt, take(each)) for each in stories) for name, take in taken.items()}
    return {name: told for name, told in found.items() if told is not None}
