"""Warnings and failures with their causes, the course of the runs by topic, and what could not be checked."""

from collections.abc import Sequence

from fabula.findings.kinds import KINDS
from fabula.record.finding import Finding
from fabula.record.wording import evidence_text, plural, seeds_text, slug, steps_text
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Details,
    FindingCard,
    FindingCards,
    Heading,
    Likewise,
    Paragraph,
    Rich,
    code,
    joined,
    rich,
)
from fabula.report.sections.findings.course import course, figure_of, improvements, points
from fabula.study.health import FoundGroup, unchecked
from fabula.study.views import LadderView, RunView

MOST_SAYINGS = 6
"""Sentences of one kind on one card."""


def improved_blocks(ladder: LadderView, groups: Sequence[FoundGroup]) -> list[Block]:
    """What made the models better, and what to remember of it."""
    blocks: list[Block] = []
    for tier in ladder.own.tiers:
        if items := improvements(tier):
            title = f"On {tier.name}" if len(ladder.tiers) > 1 else ""
            blocks += [Heading(3, rich(title), slug("improved", tier.name))] if title else []
            blocks.append(Bullets(tuple(items)))
    if blocks:
        blocks.insert(0, Heading(2, rich("What improved, and why"), "improved", "What improved"))
    remembered = points(ladder, groups)
    if remembered:
        blocks += [Heading(3, rich("Points to remember"), "points"), Bullets(tuple(remembered))]
    return blocks


def finding_blocks(ladder: LadderView, groups: Sequence[FoundGroup], drawn: set[str]) -> list[Block]:
    """What was found in the runs of a ladder."""
    blocks: list[Block] = [Heading(2, rich("Findings"), "findings", "Findings")]
    found = cards(groups, drawn)
    blocks.append(FindingCards(found) if found else Paragraph(rich("No warning and no failure in any run.")))
    for tier in ladder.tiers:
        blocks += course(tier, groups, drawn, open_=len(ladder.runs) == 1)
    return [*blocks, *not_checked(ladder.runs)]


def not_checked(views: Sequence[RunView]) -> list[Block]:
    """What no rule could look at, by name, and why."""
    num_read = sum(view.diagnosis is not None for view in views)
    items = []
    for each in unchecked(views):
        where = "" if each.num_runs == num_read else f" in {plural(each.num_runs, 'run')}"
        items.append(rich("Not checked", where, ": ", joined([code(kind) for kind in each.kinds]), f" ({each.lacks})."))
    return [Details(rich("What could not be checked"), (Bullets(tuple(items)),))] if items else []


def cards(groups: Sequence[FoundGroup], drawn: set[str]) -> tuple[FindingCard, ...]:
    """A card a kind and phase of what is a warning or a failure. What several phases have alike is told on the card
    of the first one."""
    alike: dict[tuple[object, ...], list[FoundGroup]] = {}
    for group in groups:
        if group.severity not in ("warning", "failure"):
            continue
        worst = _worst(group)
        own = group.foreign or _is_episode(group)
        same = (group.anchor,) if own else (group.tier, group.kind, worst.alternatives, worst.try_)
        alike.setdefault(same, []).append(group)
    return tuple(_card(first, others, drawn) for first, *others in alike.values())


def _worst(group: FoundGroup) -> Finding:
    severities = ("failure", "warning", "note", "good")
    return min((finding for _, finding in group.found), key=lambda each: severities.index(each.severity))


def _is_episode(group: FoundGroup) -> bool:
    """Where an episode is, differs by seed; other findings repeat themselves."""
    return KINDS[group.kind].is_episode or group.kind == "interrupted"


def _where(group: FoundGroup) -> Rich:
    return rich(code(group.found[0][0].name), "" if group.foreign else f" {seeds_text(group.seeds)}")


def _card(group: FoundGroup, others: Sequence[FoundGroup], drawn: set[str]) -> FindingCard:
    worst = _worst(group)
    wanted = MOST_SAYINGS if _is_episode(group) else 1
    sayings = tuple(
        (("" if group.foreign else f"seed {view.seed}, ") + steps_text(finding.steps), finding.sentence)
        for view, finding in group.found[:wanted]
    )
    left = list(dict.fromkeys(view.seed for view, _ in group.found[wanted:]))
    more = f"Also {seeds_text(left)}." if left else ""
    return FindingCard(
        anchor=group.anchor,
        where=_where(group),
        finding=worst,
        sayings=sayings,
        evidence=", ".join(filter(None, [steps_text(worst.steps) if worst.steps else "", evidence_text(worst)])),
        more=more,
        figure=figure_of(group.tier, group.kind, drawn),
        likewise=tuple(
            Likewise(each.anchor, _where(each), said if (said := _worst(each).sentence) != worst.sentence else "")
            for each in others
        ),
    )
