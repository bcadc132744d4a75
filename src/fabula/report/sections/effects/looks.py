"""Of a ladder that grew until it was told: the plan, the looks, and what was spent on which question."""

from fabula.record.wording import NONE, range_text
from fabula.report.render.blocks import Block, Column, Heading, Paragraph, Row, Table, rich, strong
from fabula.report.sections.effects.tables import asked_cell
from fabula.study.inference.effects import Effect
from fabula.study.planning.looks_told import OUTCOMES, LooksTold, LookTold, looks_told
from fabula.study.views import LadderView

NOTE = (
    "Planned before the first run: {rule}. Each look may spend its part of the 5 % and no more, so the verdicts hold "
    "whenever the ladder stops, and whichever recipes were given more seeds. An interval is at the level of its look: "
    "all intervals of a question together hold with 95 %."
)


def looks_blocks(ladder: LadderView) -> list[Block]:
    """Nothing for a ladder with a fixed number of seeds."""
    told = looks_told(ladder)
    if told is None:
        return []
    stopped = f"It stopped: {told.stopped}." if told.stopped else "It has not stopped yet."
    blocks: list[Block] = [
        Heading(3, rich("When it was looked at"), "looks"),
        Paragraph(rich(NOTE.format(rule=told.rule), " ", strong(stopped))),
        _looks_table(told),
    ]
    return [*blocks, _questions_table(told.effects)] if told.looks else blocks


def _looks_table(told: LooksTold) -> Table:
    taken = [_taken(each) for each in told.looks]
    left = [
        Row(tuple(map(rich, (str(len(taken) + 1 + place), "not taken", str(seeds), NONE, NONE, _percent(level), NONE))))
        for place, (seeds, level) in enumerate(told.planned[len(taken) :])
    ]
    columns = (
        Column("Look", numeric=True),
        Column("Taken at"),
        Column("Seeds of a recipe", numeric=True),
        Column("Runs until then", numeric=True),
        Column("Hours until then", numeric=True),
        Column("May spend", numeric=True),
        Column("Decided", wide=True),
    )
    return Table(columns, (*taken, *left))


def _taken(each: LookTold) -> Row:
    return Row(
        (
            rich(str(each.number)),
            rich(each.at),
            rich(range_text(str(each.fewest), str(each.most))),
            rich(str(each.num_runs)),
            rich(f"{each.hours:.2f}"),
            rich(_percent(each.level)),
            rich(", ".join(each.decided) or NONE),
        )
    )


def _questions_table(effects: tuple[Effect, ...]) -> Table:
    rows = [
        Row(
            (
                asked_cell(each)[:2],
                rich(str(each.turn.look)),
                rich(str(len(each.seeds))),
                rich(_percent(each.turn.spent)),
                rich(OUTCOMES[each.turn.outcome]),
            )
        )
        for each in effects
        if each.turn is not None
    ]
    columns = (
        Column("Question", wide=True),
        Column("Last look", numeric=True),
        Column("Seeds", numeric=True),
        Column("Spent on it", numeric=True),
        Column("Outcome", wide=True),
    )
    return Table(columns, tuple(rows))


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"
