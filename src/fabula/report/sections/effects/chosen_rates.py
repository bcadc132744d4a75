"""The learning rates that brackets chose, and what was tried."""

from fabula.record.wording import DOT, loss_text, slug
from fabula.report.render.blocks import Block, Column, Heading, Paragraph, Row, Table, quiet, rich, strong, toned
from fabula.study.phases.chosen_rates import chosen_rates
from fabula.study.views import LadderView, TierView

NOTE = (
    "Before its runs, each learning rate of a phase's bracket was trained with seed 0 and scored on the split tune; "
    "the lowest loss was taken, for this phase and those after it. Verdicts are read on validation: no choice saw it."
)


def chosen_rates_blocks(ladder: LadderView, tier: TierView) -> list[Block]:
    """A row a phase with a bracket; nothing where no phase has one."""
    rows = []
    for each in chosen_rates(ladder, tier.name):
        tried = DOT.join(
            f"{peak:g}: {loss_text(loss) if loss is not None else 'not finite'}" for peak, loss in each.tries
        )
        edge = toned("at an end of its bracket: a rate beyond it may be better", "warning", own_line=True)
        rows.append(
            Row(
                (
                    rich(strong(each.phase)),
                    rich(strong(f"{each.peak:g}"), quiet(f"{each.multiple:g} x", own_line=True)),
                    rich(tried, *([edge] if each.at_an_end else [])),
                )
            )
        )
    columns = (Column("Phase"), Column("Peak taken", numeric=True), Column("Peak: loss on tune", wide=True))
    title = Heading(3, rich("Learning rates chosen"), slug("rates", tier.name))
    return [title, Paragraph(rich(NOTE)), Table(columns, tuple(rows))] if rows else []
