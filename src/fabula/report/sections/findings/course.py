"""How the runs went, topic by topic, in the shape of the original interpretation; and what is worth remembering.

Every sentence is a finding's own, and leads to what shows it. A topic of which nothing can be said, says why.
"""

from collections.abc import Sequence

from fabula.findings.kinds import KINDS, STOPPING_POINT, TOPICS, Topic
from fabula.record.finding import Finding
from fabula.record.wording import begun_large, evidence_text, kind_words, loss_text, seeds_text, slug, steps_text
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Details,
    Heading,
    Part,
    Rich,
    code,
    link,
    quiet,
    rich,
    strong,
    told,
)
from fabula.report.sections.findings.interpretation import measured_mechanism
from fabula.study.health import FoundGroup, lost_its_loss
from fabula.study.inference.effect_words import REACH, conditions, sentence_with_reach
from fabula.study.views import LadderView, RunView, TierView

SAID = {
    "worse": "made it worse",
    "depends on the protocol": "helps on one protocol only",
    "no evidence": "was not shown to help",
}
MOST_SAYINGS = 4
"""Findings of one kind in one run that are told one by one."""


def figure_of(tier: str, kind: str, drawn: set[str]) -> str:
    """The anchor of the figure that shows a kind; empty where none of those in `drawn` does."""
    anchors = (slug("figure", tier, which) for which in KINDS[kind].topic.figures)
    return next((anchor for anchor in anchors if anchor in drawn), "")


def course(tier: TierView, groups: Sequence[FoundGroup], drawn: set[str], open_: bool) -> list[Block]:
    """The topics of a tier; folded away unless `open_`. `drawn` holds the anchors of the figures that there are."""
    blocks = [block for each in TOPICS for block in told_of(tier, each, groups, drawn)]
    if not blocks or open_:
        return blocks
    return [Details(rich(f"How the runs of {tier.name} went, topic by topic"), tuple(blocks))]


def told_of(tier: TierView, topic: Topic, groups: Sequence[FoundGroup], drawn: set[str]) -> list[Block]:
    """What was found on one topic, under its heading; nothing where there is nothing to tell."""
    kinds = [kind.name for kind in TOPICS[topic]]
    there = _by_phase(tier, [group for group in groups if group.tier == tier.name and group.kind in kinds])
    items = [(_item(group, drawn, len(tier.runs) == 1), _own_anchor(group)) for group in there]
    if topic.always_told:
        missing = [kind for kind in kinds if kind not in {group.kind for group in there}]
        items += [(text, "") for text in _not_found(tier.runs, missing)]
    if not items:
        return []
    heading = Heading(3, rich(topic.title), slug("course", tier.name, topic.title))
    return [heading, Bullets(tuple(text for text, _ in items), tuple(anchor for _, anchor in items))]


def _own_anchor(group: FoundGroup) -> str:
    """Warnings and failures have a card, which links lead to; of the others this item is the place."""
    return "" if group.severity in ("warning", "failure") else group.anchor


def _by_phase(tier: TierView, groups: Sequence[FoundGroup]) -> list[FoundGroup]:
    order = [phase.name for phase in tier.phases]
    return sorted(groups, key=lambda group: order.index(group.phase))


def _item(group: FoundGroup, drawn: set[str], alone: bool) -> Rich:
    """The findings of one kind as the first seed has them, each with the way to what shows it; `alone`: there is one
    run, which needs no name."""
    first, _ = group.found[0]
    findings = [finding for view, finding in group.found if view is first]
    seed = "" if group.foreign else f" seed {first.seed}"
    parts: list[Part] = [] if alone else [code(group.phase), f"{seed}: "]
    for place, finding in enumerate(findings[:MOST_SAYINGS]):
        parts += [" " if place else "", told(finding.sentence), *_evidence(group, finding, drawn)]
    if len(findings) > MOST_SAYINGS:
        parts.append(f" And {len(findings) - MOST_SAYINGS} more of the kind.")
    if _own_anchor(group) == "":
        parts += [" ", link("Causes", group.anchor)]
    if len(group.seeds) > 1:
        parts.append(quiet(f" Also {seeds_text(group.seeds[1:])}."))
    return rich(*parts)


def _evidence(group: FoundGroup, finding: Finding, drawn: set[str]) -> list[Part]:
    """The way to the curve that shows a finding; the numbers themselves where no curve does."""
    if finding.scope == "completions":
        return [" ", link("Completions", "completions")]
    figure = figure_of(group.tier, group.kind, drawn)
    if finding.steps is not None and figure:
        return [" ", link(begun_large(steps_text(finding.steps)), figure)]
    numbers = evidence_text(finding)
    return [quiet(f" ({numbers})")] if numbers else []


def _not_found(runs: Sequence[RunView], kinds: Sequence[str]) -> list[Rich]:
    """What was looked for in vain, and what no run let be looked for."""
    diagnoses = [view.diagnosis for view in runs if view.diagnosis is not None]
    if not diagnoses:
        return []
    lacks: dict[str, list[str]] = {}
    for diagnosis in diagnoses:
        for silent in diagnosis.silent:
            for kind in set(silent.kinds) & set(kinds):
                lacks.setdefault(kind, []).append(silent.lacks)
    unknown = {kind: told_by[0] for kind, told_by in lacks.items() if len(told_by) == len(diagnoses)}
    looked = [kind_words(kind) for kind in kinds if kind not in unknown]
    items = [rich(quiet(f"Checked and not found: {', '.join(looked)}."))] if looked else []
    for reason in dict.fromkeys(unknown.values()):
        there = [kind_words(kind) for kind in kinds if unknown.get(kind) == reason]
        items.append(rich(quiet(f"Not checked: {', '.join(there)} ({reason}).")))
    return items


def points(ladder: LadderView, groups: Sequence[FoundGroup]) -> list[Rich]:
    """What this ladder showed, and nothing that it did not; of a single run, what its end and its failures say."""
    items: list[Rich] = []
    for tier in ladder.tiers:
        where = f" on {tier.name}" if len(ladder.tiers) > 1 else ""
        effects = [each for each in tier.effects if each.kind == "effect"]
        numbers = link("Numbers", slug("effects", tier.name))
        improved = [each for each in effects if each.verdict == "improved" and each.headline]
        if improved:
            largest = min(improved, key=lambda each: each.headline.estimate.mean if each.headline else 0.0)
            assert largest.headline is not None
            size = loss_text(abs(largest.headline.estimate.mean))
            name = code(largest.contrast.phases[0])
            items.append(rich("The largest gain", where, " came from ", name, f": {size} nats, {REACH}. ", numbers))
        for each in effects:
            if each.verdict in SAID:
                said: list[Part] = [code(each.contrast.phases[0]), f" {SAID[each.verdict]}", where, f", {REACH}. "]
                if differs := conditions(each, tier.effects):
                    said += [told(differs), " "]
                items.append(rich(*said, numbers))
        ended = link("Stopping point", slug("course", tier.name, STOPPING_POINT.title))
        falling = {group.phase for group in groups if group.tier == tier.name and group.kind == "still_improving"}
        if len(tier.phases) > 1 and falling == {phase.name for phase in tier.phases if phase.read}:
            items.append(
                rich(
                    "Every phase was still falling at its end", where, ": with more steps the order may change. ", ended
                )
            )
        items += _lost(tier, groups, where)
        if len(tier.runs) == 1:
            items += [
                rich(told(finding.sentence), " ", link(begun_large(steps_text(finding.steps)), group.anchor))
                for group in groups
                if group.tier == tier.name and KINDS[group.kind].remembered
                for _, finding in group.found
            ]
    return items


def improvements(tier: TierView) -> list[Rich]:
    """Each change with its effect and what was measured together with it; else "cause not measured"."""
    items = []
    numbers = link("Numbers", slug("effects", tier.name))
    for each in tier.effects:
        if each.kind != "effect" or each.verdict == "no verdict":
            continue
        parts: list[Part] = [told(sentence_with_reach(each)), " "]
        if differs := conditions(each, tier.effects):
            parts += [told(differs), " "]
        if each.verdict in ("improved", "worse", "depends on the protocol"):
            sides = [[tier.phase(place[1]) for place, _ in side] for side in each.contrast.sides]
            parts += [measured_mechanism(*sides) or "Cause not measured.", " "]
        items.append(rich(*parts, numbers))
    return items


def _lost(tier: TierView, groups: Sequence[FoundGroup], where: str) -> list[Rich]:
    """Which phases diverged, and of a single run what it lost by that."""
    unstable = list(dict.fromkeys(view.phase for view in tier.runs if lost_its_loss(view)))
    if not unstable:
        return []
    if len(tier.phases) > 1:
        names = [code(name) for name in unstable]
        only = " and in no other phase" if len(unstable) < len(tier.phases) and not tier.foreign else ""
        items = [rich(strong("Divergence"), where, " was seen in ", *_listed(names), f"{only}.")]
    else:
        items = []
    for group in groups:
        if group.tier == tier.name and group.kind == "divergence" and len(tier.runs) == 1:
            view, finding = group.found[-1]
            if finding.severity == "failure" and view.best_loss is not None:
                items.append(
                    rich(
                        "The end of this run is not its best: the loss had been at ",
                        strong(loss_text(view.best_loss)),
                        f" and ended at {loss_text(finding.evidence['final'])}. ",
                        link(begun_large(steps_text(finding.steps)), group.anchor),
                    )
                )
    return items


def _listed(names: Sequence[Part]) -> list[Part]:
    parts: list[Part] = []
    for index, name in enumerate(names):
        if index:
            parts.append(" and " if index == len(names) - 1 else ", ")
        parts.append(name)
    return parts
