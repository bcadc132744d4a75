"""The verdicts on test stories beside those on validation."""

from fabula.report.render.blocks import Block, Column, Heading, Paragraph, Rich, Row, Table, quiet, rich, toned
from fabula.report.sections.effects.tables import asked_cell, difference_cell
from fabula.report.tones import tone_of
from fabula.study.inference.effect_words import verdict_words
from fabula.study.inference.effects import Effect
from fabula.study.planning.on_test import on_test
from fabula.study.views import LadderView

WHY = (
    "Stories that were set aside before any training, and that nothing read until then. Whoever looks at validation "
    "losses again and again, and goes on from what looks best, sees some luck as skill; these stories know nothing "
    "of it. Where the two do not agree, the test stories are the ones to believe."
)


def unsealed_blocks(ladder: LadderView) -> list[Block]:
    """Nothing where no test stories were unsealed."""
    told = on_test(ladder)
    if told is None:
        return []
    heading = Heading(2, rich("On the test stories"), "test", "Test")
    if told.problem:
        return [heading, Paragraph(rich(toned(f"{told.problem}. No number of it is shown.", "failure")))]
    plan = "after a plan was frozen" if told.planned_before else "without a plan that was frozen before"
    when = rich(f"Unsealed once, at {told.when}, {plan}: {told.num_runs} runs were scored on them. {WHY}")
    rows = tuple(
        Row(
            (
                asked_cell(each.validation),
                _verdict(each.validation),
                _verdict(each.test),
                difference_cell(each.test.comparisons.get("stream") if each.test else None),
                difference_cell(each.test.comparisons.get("story") if each.test else None),
            )
        )
        for each in told.answers
        if each.validation.headline is not None or each.validation.reason
    )
    columns = (
        Column("Question", wide=True),
        Column("Verdict on validation", wide=True),
        Column("Verdict on test", wide=True),
        Column("Change on test, stream", numeric=True),
        Column("Change on test, story", numeric=True),
    )
    return [heading, Paragraph(when), *([Table(columns, rows)] if rows else [])]


def _verdict(each: Effect | None) -> Rich:
    if each is None:
        return rich(toned("not measured", "unknown"))
    return rich(
        toned(verdict_words(each), tone_of(each)), *([quiet(each.reason, own_line=True)] if each.reason else [])
    )
