"""Groups of runs against a base: the decision first, then its numbers, the curves, and how it was computed."""

from collections.abc import Sequence

from fabula.record.wording import NONE, loss_text, plural, slug
from fabula.report.figures.figures import colours
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Column,
    Figure,
    FigureGrid,
    Heading,
    Opening,
    Paragraph,
    Rich,
    Row,
    Switches,
    Table,
    Tone,
    code,
    rich,
    strong,
    toned,
)
from fabula.study.referee.comparing import Compared, Comparison
from fabula.study.referee.words import OF_DECISION, compared_words, percent, reason, small, terms_words
from fabula.study.views import TierView

TONES: dict[str, Tone] = {"keep": "good", "discard": "failure", "more_seeds": "warning", "incomparable": "unknown"}
SAME_RULE = "The same rule for all groups, made without a look at which of them is lower."
INTERVAL = (
    "the difference of the means; how far it scatters by luck is told from the runs of the two groups, each with its "
    "own spread, and with the degrees of freedom of the smaller group. p is adjusted by Holm over the groups of this "
    "page."
)
SEEDS = "all groups have the same, so what a seed does to all of them is taken out as far as the runs show it."


def compared_opening(comparison: Comparison) -> Opening:
    """The decision of each group in a sentence."""
    items = [rich(_decision(each), f": {reason(each, comparison)}") for each in comparison.others]
    blocks: tuple[Block, ...] = (Paragraph(items[0], "lead"),) if len(items) == 1 else (Bullets(tuple(items)),)
    return Opening((*blocks, Paragraph(rich(compared_words(comparison)))))


def _decision(each: Compared) -> Rich:
    assert each.judged is not None, "every group but the base is judged"
    return rich(toned("", TONES[each.judged.decision]), strong(OF_DECISION[each.judged.decision].capitalize()))


def groups_table(comparison: Comparison) -> Table:
    """A row a group: its runs, its mean, what sets it apart from the base."""
    level = percent(comparison.terms.level)
    columns = (
        Column("Group"),
        Column("Runs", numeric=True),
        Column("Mean loss", numeric=True),
        Column("Spread of its runs", numeric=True),
        Column("Against the base", numeric=True),
        Column(f"{level} interval", numeric=True),
        Column("p (Holm)", numeric=True),
        Column("Decision"),
    )
    return Table(columns, tuple(_row(each) for each in comparison.groups))


def _row(each: Compared) -> Row:
    runs = str(len(each.values)) + (f", {each.num_failed} failed" if each.num_failed else "")
    spread = NONE if each.spread is None else small(each.spread)
    cells = [rich(code(each.name)), rich(runs), rich(loss_text(each.mean)), rich(spread)]
    if each.judged is None:
        return Row((*cells, rich(NONE), rich(NONE), rich(NONE), rich("base")))
    told, p = each.judged.difference, each.judged.p_adjusted
    mean, ends = NONE, NONE
    if told is not None:
        mean, ends = _signed(told.mean), f"{_signed(told.low)} to {_signed(told.high)}"
    return Row((*cells, rich(mean), rich(ends), rich(NONE if p is None else f"{p:.3g}"), _decision(each)))


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")


def compared_blocks(comparison: Comparison, tier: TierView, drawn: Sequence[Figure]) -> list[Block]:
    blocks: list[Block] = [Heading(2, rich("Groups"), "groups", "Groups"), groups_table(comparison)]
    if drawn:
        colour = colours(tier)
        phases = tuple((phase.name, colour[phase.name]) for phase in tier.phases)
        seeds = tuple(dict.fromkeys(f"seed {view.seed}" for view in tier.runs))
        blocks.append(Heading(2, rich("Curves"), "curves", "Curves"))
        blocks.append(FigureGrid(tuple(drawn), Switches(slug(tier.name), phases, seeds)))
    blocks.append(Heading(2, rich("How it was computed"), "method", "Method"))
    return [*blocks, Bullets(_method(comparison)), Heading(2, rich("Runs"), "runs", "Runs"), _runs_table(comparison)]


def _method(comparison: Comparison) -> tuple[Rich, ...]:
    base = comparison.base.name
    items = [
        rich(strong("Value"), f": {comparison.rule.sentence()}. {SAME_RULE}"),
        rich(strong("Interval and p"), f": {INTERVAL}"),
        rich(strong("Error rate"), f": {terms_words(comparison.terms)}"),
        *([rich(strong("Seeds"), f": {SEEDS}")] if comparison.paired else []),
        *(
            rich(code(each.name), f" differs from {base} in {', '.join(each.differs)}.")
            for each in comparison.others
            if each.differs
        ),
        *(rich(code(each.name), f", not read: {why}") for each in comparison.groups for why in each.group.unread),
    ]
    return tuple(items)


def _runs_table(comparison: Comparison) -> Table:
    rows = [
        Row((rich(code(each.name)), rich(code(member.label)),
             rich(NONE if member.seed is None else str(member.seed)),
             rich(toned(failed, "failure")) if failed else rich(NONE if value is None else f"{value:.4f}")))
        for each in comparison.groups
        for member, value, failed in zip(each.group.members, each.values, each.failures, strict=True)
    ]  # fmt: skip
    columns = (Column("Group"), Column("Run", wide=True), Column("Seed", numeric=True), Column("Value", numeric=True))
    return Table(columns, tuple(rows))


def compared_subtitle(comparison: Comparison) -> str:
    runs = sum(len(each.values) for each in comparison.groups)
    return f"{plural(len(comparison.groups), 'group')}, {plural(runs, 'run')}, the first of which is the base"
