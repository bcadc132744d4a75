"""The first screen of a ladder's page, for somebody who is no statistician: what was tried, what won, by how much,
whether that is more than luck, and one story. Every sentence here has its numbers one click below."""

from collections.abc import Sequence

from fabula.record.wording import difference_text, loss_text, plural, range_text
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Opening,
    Paragraph,
    Part,
    Rich,
    code,
    joined,
    link,
    quiet,
    rich,
    strong,
    toned,
)
from fabula.report.sections.findings.interpretation import health, lead, share_of_steps
from fabula.report.sections.stories import opening_story
from fabula.report.sections.tables import counted
from fabula.report.tones import tone_of
from fabula.study.inference.effects import Effect
from fabula.study.views import LadderView

STATISTICS = "statistics"
"""Anchor of the part in which the numbers are."""
MOST_CHANGES = 4
"""Changes told on the first screen, the largest first; the others are counted there and told one click below."""
IN_PLAIN_WORDS = {
    "improved": "helps",
    "worse": "hurts",
    "no evidence": "may be luck",
    "depends on the protocol": "not clear",
    "no verdict": "not known",
}
AGAINST = {
    "pair": "the recipe before it",
    "factorial": "the same recipes without it, on average",
    "leave-one-out": "the whole recipe without it",
}


def opening(ladder: LadderView) -> Opening:
    """What a ladder, or runs side by side, came to."""
    blocks: list[Block] = [Paragraph(lead(ladder), "lead")]
    effects = [each for tier in ladder.tiers for each in tier.effects if each.kind == "effect" and each.headline]
    # Where each change is left out in turn, the whole against the baseline is a question of its own, and no change.
    effects = [each for each in effects if each.contrast.design != "pair"] or effects
    if effects:
        in_order = all(tier.in_order for tier in ladder.tiers)
        against = AGAINST[effects[0].contrast.design] if in_order else "the first recipe"
        verdicts = any(each.verdict != "no verdict" for each in effects)
        ranges = " (in brackets: the likely range)" if len(ladder.tiers) == 1 and verdicts else ""
        blocks.append(Paragraph(rich(f"Each change against {against}{ranges}:")))
        blocks.append(Bullets(tuple(_changes(effects) if len(ladder.tiers) == 1 else _on_tiers(effects))))
    blocks.append(Paragraph(luck(ladder)))
    blocks.append(Paragraph(rich(health(ladder), " ", link("The statistics", STATISTICS))))
    return Opening(tuple(blocks), opening_story(ladder))


def tried(ladder: LadderView) -> str:
    """What was tried, in one line below the title."""
    scale = ladder.plan.get("scale")
    short = f", {share_of_steps(ladder)}" if scale is not None and float(scale) != 1.0 else ""
    return counted(ladder) + short


def luck(ladder: LadderView) -> Rich:
    """What chance alone does, or that nobody can know."""
    floors = [floor for tier in ladder.tiers for floor in tier.noise if floor.protocol == "stream"]
    if not ladder.effects:
        return rich(
            f"There is one recipe{' in each group' if len(ladder.tiers) > 1 else ''}, so no change is compared. Train "
            "another recipe with the same seeds to compare them."
        )
    if ladder.num_paired_seeds == 0:
        return rich(
            strong("More than luck? Nobody can tell"),
            ": the recipes share no finished seed. Another seed alone changes the loss; train them with the same "
            "seeds, two or more, to tell.",
        )
    if ladder.num_paired_seeds < 2 or not floors:
        so_far = "only" if ladder.num_seeds < 2 else "so far"
        return rich(
            strong("More than luck? Nobody can tell"),
            f": the recipes share one seed {so_far}. A difference between two single runs may be chance. Train with "
            "more seeds to tell.",
        )
    size = range_text(loss_text(min(each.lowest for each in floors)), loss_text(max(each.highest for each in floors)))
    recipes = ", depending on the recipe" if " to " in size else ""
    return rich(f"Chance alone (another random seed) changes the loss by {size} nats{recipes}.")


def _changes(effects: Sequence[Effect]) -> list[Rich]:
    """An item a change; of many, the largest."""
    order = sorted(effects, key=lambda each: -abs(each.headline.estimate.mean) if each.headline else 0.0)
    shown = list(effects) if len(effects) <= MOST_CHANGES + 1 else order[:MOST_CHANGES]
    items = [_change(each) for each in shown]
    left = [each for each in order if each not in shown]
    if left:
        counts = []
        for verdict, words in IN_PLAIN_WORDS.items():
            if number := sum(each.verdict == verdict for each in left):
                counts.append(f"{number} {words if number == 1 else PLURALS.get(words, words)}")
        items.append(rich(f"And {plural(len(left), 'smaller one')}: {', '.join(counts)}."))
    return items


PLURALS = {"helps": "help", "hurts": "hurt"}


def _change(each: Effect) -> Rich:
    told = each.headline
    assert told is not None, "only effects that were measured are told"
    words, tone = IN_PLAIN_WORDS[each.verdict], tone_of(each)
    name = code(each.contrast.phases[-1])
    estimate = told.estimate
    if each.verdict in ("improved", "worse"):
        return rich(
            toned("", tone),
            name,
            " ",
            strong(words),
            f": {difference_text(estimate.mean, estimate.low, estimate.high)}",
        )
    size = difference_text(estimate.mean)
    if each.verdict == "no evidence":
        return rich(toned("", tone), name, " ", strong(words), f": {size}, too little to count{_unseen(each)}")
    if each.verdict == "depends on the protocol":
        return rich(toned("", tone), name, ": ", strong(words), f" ({size}); only one of two ways to measure shows it")
    return rich(
        toned("", tone), name, f": {size}", quiet(f" ({each.reason})" if each.reason and len(each.seeds) != 1 else "")
    )


def _unseen(each: Effect) -> str:
    if each.turn is not None and each.turn.outcome == "smaller":
        return f"; shown to be smaller than {each.turn.detect:g}"
    if each.unseen_below is None:
        return ""
    return f"; an effect below {loss_text(each.unseen_below)} could have stayed unseen"


def _on_tiers(effects: Sequence[Effect]) -> list[Rich]:
    """With several tiers an item a change, and what it does on which of them."""
    items = []
    for sides in dict.fromkeys((each.before, each.after) for each in effects):
        there = [each for each in effects if (each.before, each.after) == sides]
        parts: list[Part] = []
        for verdict, words in IN_PLAIN_WORDS.items():
            names = [each.tier for each in there if each.verdict == verdict]
            if len(names) == len(there) > 1:
                parts.append(rich(strong(words), " on every size"))
            elif names:
                parts.append(rich(strong(words), f" on {' and '.join(names)}"))
        tone = tone_of(there[0]) if len({each.verdict for each in there}) == 1 else "warning"
        items.append(rich(toned("", tone), code(there[0].contrast.phases[-1]), " ", joined(parts, "; ")))
    return items
