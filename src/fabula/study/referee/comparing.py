"""Groups of runs against the first of them, from their records alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fabula.errors import InputError
from fabula.record.wording import plural
from fabula.study.grouping.content import differing
from fabula.study.inference.statistics import standard_deviation
from fabula.study.referee.deciding import Decision, Judged, Terms, decide
from fabula.study.referee.members import Group, read_groups
from fabula.study.referee.rulers import unlike
from fabula.study.referee.value import Asked, Rule, failure, rule_for, value_of

EXIT_CODES: dict[Decision, int] = {"keep": 0, "discard": 1, "more_seeds": 3, "incomparable": 4}
"""2 is wrong input, as everywhere."""
OF_SEVERAL: tuple[Decision, ...] = ("keep", "more_seeds", "discard", "incomparable")
"""Of several groups the whole is the first of these that any of them is: whether there is anything to do."""


@dataclass(frozen=True)
class Compared:
    """One group with what it came to. `judged` is None for the base."""

    group: Group
    values: tuple[float | None, ...]
    failures: tuple[str, ...]
    judged: Judged | None = None
    differs: tuple[str, ...] = ()
    """The fields in which its recipe differs from the base's, where both are known."""

    @property
    def name(self) -> str:
        return self.group.name

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def mean(self) -> float | None:
        """None where a run failed: without it the mean would look too good."""
        known = self.known
        return sum(known) / len(known) if known and len(known) == len(self.values) else None

    @property
    def spread(self) -> float | None:
        return standard_deviation(self.known) if self.mean is not None and len(self.values) > 1 else None

    @property
    def num_failed(self) -> int:
        return sum(map(bool, self.failures))


@dataclass(frozen=True)
class Comparison:
    base: Compared
    others: tuple[Compared, ...]
    rule: Rule
    terms: Terms
    paired: bool
    """Whether seeds are the same in all groups and may be blocks."""

    @property
    def groups(self) -> tuple[Compared, ...]:
        return (self.base, *self.others)

    @property
    def decision(self) -> Decision:
        """Of all groups together."""
        there = {each.judged.decision for each in self.others if each.judged is not None}
        return next(each for each in OF_SEVERAL if each in there)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.decision]


def compare(
    groups: Mapping[str, Sequence[Path | str]],
    terms: Terms | None = None,
    asked: Asked | None = None,
    columns: Mapping[str, str] | None = None,
) -> Comparison:
    """The groups (name -> paths) against the first of them. `terms`: what was agreed before, such as the improvement
    that is wanted; `asked`: which value is compared, where the rule shall not choose; `columns`: canonical name ->
    column of logs whose names say too little.

    Raises InputError for paths that hold no run, and for runs that would count twice.
    """
    return judge(read_groups({name: [str(path) for path in paths] for name, paths in groups.items()}, columns),
                 terms or Terms(), asked or Asked())  # fmt: skip


def judge(groups: Sequence[Group], terms: Terms, asked: Asked) -> Comparison:
    _refuse_terms(terms, asked)
    base, *others = groups
    rule = rule_for(groups, asked)
    reasons = {group.name: unlike(base, group, rule) for group in others}
    fit = [group for group in others if not reasons[group.name]]
    if fit and len(fit) < len(others):  # what cannot be compared shall not choose what is
        rule = rule_for([base, *fit], asked)
    measured = {group.name: _measured(group, rule) for group in (base, *fit)}
    for group in others:
        if group.name not in measured:
            measured[group.name] = _measured(group, rule)
    judged = _judged(measured, base, others, reasons, terms)
    paired = _is_paired([measured[group.name] for group in (base, *others) if not reasons.get(group.name)])
    told = tuple(
        Compared(group, measured[group.name].values, measured[group.name].failures, judged[group.name],
                 _differs(base, group))
        for group in others
    )  # fmt: skip
    return Comparison(measured[base.name], told, rule, terms, paired)


def _refuse_terms(terms: Terms, asked: Asked) -> None:
    if not 1 <= terms.look <= terms.looks:
        raise InputError(f"look {terms.look} of {terms.looks} is none; write --look 1/2, then --look 2/2")
    if terms.detect is not None and not 0.0 < terms.detect < float("inf"):
        raise InputError("--detect is an improvement in nats, above 0; for example --detect 0.02")
    if terms.most < 2:
        raise InputError("--most is the most runs a group, 2 at least")
    if asked.last < 1:
        raise InputError("--last counts evaluations, 1 at least")


def _measured(group: Group, rule: Rule) -> Compared:
    failures = tuple(failure(member) for member in group.members)
    values = tuple(
        None if failed else value_of(member, rule) for member, failed in zip(group.members, failures, strict=True)
    )
    return Compared(group, values, failures)


def _judged(
    measured: Mapping[str, Compared], base: Group, others: Sequence[Group], reasons: Mapping[str, str], terms: Terms
) -> dict[str, Judged]:
    judged: dict[str, Judged] = {}
    for group in others:
        failed, there = measured[group.name].num_failed, measured[base.name].num_failed
        if reasons[group.name]:
            judged[group.name] = Judged("incomparable", "unlike", told=reasons[group.name])
        elif there:
            judged[group.name] = Judged("incomparable", "base failed", told=_failed(measured[base.name]))
        elif failed:
            judged[group.name] = Judged("discard", "failed", told=_failed(measured[group.name]))
        elif measured[group.name].mean is None or measured[base.name].mean is None:
            judged[group.name] = Judged("incomparable", "unlike", told="a run does not log what is compared")
    asked = [measured[group.name] for group in others if group.name not in judged]
    if asked:
        first = measured[base.name]
        paired = _is_paired([first, *asked])
        ordered = [_by_seed(each) if paired else each.known for each in (first, *asked)]
        for each, decided in zip(asked, decide(ordered[0], ordered[1:], terms, paired), strict=True):
            judged[each.name] = decided
    return judged


def _failed(each: Compared) -> str:
    first = next(place for place, failed in enumerate(each.failures) if failed)
    return (
        f"{each.num_failed} of {plural(len(each.values), 'run')} of {each.name} failed "
        f"({each.group.members[first].label}: {each.failures[first]})"
    )


def _is_paired(groups: Sequence[Compared]) -> bool:
    seeds = [[member.seed for member in each.group.members] for each in groups]
    known = all(seed is not None for each in seeds for seed in each)
    return known and len({frozenset(each) for each in seeds}) == 1 and len(set(seeds[0])) == len(seeds[0]) > 1


def _by_seed(each: Compared) -> list[float]:
    runs = zip(each.group.members, each.known, strict=True)
    return [value for _, value in sorted(((member.seed or 0, value) for member, value in runs))]


def _differs(base: Group, group: Group) -> tuple[str, ...]:
    sides = [base.members[0], group.members[0]]
    if any(member.foreign or member.content.fields is None for member in sides):
        return ()
    return tuple(differing([member.content for member in sides]))
