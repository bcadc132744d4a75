"""The page of one run: its story and its loss, what is good and odd in its stories, each figure with what there is to
see in it beside it, and what to do next. The second of the original documents, with nothing guessed."""

import math
from collections.abc import Sequence

from fabula.findings.kinds import COMPLETIONS, KINDS, TOPICS
from fabula.record.wording import count_text, duration_text, kind_title, loss_text, parameters_text, plural, slug
from fabula.report.figures.curves import smoothed
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Column,
    Details,
    Figure,
    FindingCards,
    Heading,
    Observed,
    Opening,
    Paragraph,
    Part,
    Rich,
    Row,
    Switches,
    Table,
    link,
    rich,
    strong,
    told,
)
from fabula.report.sections.cells import RULE, health_cell
from fabula.report.sections.coherence import coherence_blocks
from fabula.report.sections.findings.course import points, told_of
from fabula.report.sections.findings.section import cards, not_checked
from fabula.report.sections.foreign_logs import alarms, log_lead, log_notes, logs_table
from fabula.report.sections.inside import inside_blocks
from fabula.report.sections.stories import opening_story, story_blocks
from fabula.report.sections.tables import mechanism
from fabula.study.health import FoundGroup
from fabula.study.reference import good_here
from fabula.study.views import LadderView, RunView, TierView

SECTIONS = {
    "Loss": ("val", "train"),
    "Gradient norm and learning rate": ("norm", "rate"),
}
ANOTHER_SEED = (
    "Before you compare this run with another recipe, train both with three seeds: chance alone changes the loss, too."
)


def opening(ladder: LadderView, groups: Sequence[FoundGroup]) -> Opening:
    """The first screen of a single run."""
    (view,) = ladder.runs
    if ladder.logs:
        return Opening((Paragraph(log_lead(ladder.logs), "lead"),))
    blocks: list[Block] = [Paragraph(_lead(view), "lead")]
    loss, untrained = view.validation_loss, view.untrained_loss
    if loss is not None:
        blocks.append(Paragraph(_in_plain_words(loss, untrained)))
    blocks.append(Paragraph(rich("The training: ", health_cell([view], name_phase=False), ".")))
    if steps := next_steps(view, groups):
        blocks.append(Paragraph(rich(strong("Next: "), _without_link(steps[0]), " ", link("What to do next", "next"))))
    return Opening(tuple(blocks), opening_story(ladder), story_first=True)


def _without_link(text: Rich) -> Rich:
    return tuple(span for span in text if not span.link)


def facts_line(view: RunView) -> str:
    """What was trained, in one line below the title."""
    size = view.of("parameters", "total")
    step, planned = int(view.last.get("step", 0)), view.of("steps")
    parts = [f"{parameters_text(size)} parameters"] if size else []
    parts.append(plural(step, "step") + (f" of {planned:,}" if planned and step < planned else ""))
    if (tokens := view.last.get("tokens")) is not None:
        parts.append(f"{count_text(tokens)} tokens")
    if view.seconds is not None:
        parts.append(duration_text(view.seconds))
    return ", ".join([*parts, f"seed {view.seed}"])


def _lead(view: RunView) -> Rich:
    loss, untrained = view.validation_loss, view.untrained_loss
    if loss is None:
        return rich("Nothing was measured yet; what there is, is shown.")
    so_far = "" if view.finished else " so far"
    parts: list[Part] = [f"Validation loss{so_far} ", strong(loss_text(loss))]
    if untrained is not None:
        parts.append(f"; untrained {untrained:.1f}")
    if (good := good_here(view)) is not None:
        parts.append(f"; good here is {good.val_loss:.2f}")
    return rich(*parts, ".")


def _in_plain_words(loss: float, untrained: float | None) -> Rich:
    """The loss as a number of equally likely tokens (its exponential), which needs no unit."""
    if not loss < MOST_NATS:
        return rich("Lower is better.")
    before = (
        f"; the untrained model among {_choices(untrained)}" if untrained is not None and untrained < MOST_NATS else ""
    )
    return rich(
        "Lower is better. On stories that it has never seen, the model is as unsure about the next token as if it "
        f"chose among {_choices(loss)} that are equally likely{before}."
    )


MOST_NATS = 14.0
"""More than a million choices say nothing to anybody, and more than there are tokens."""


def _choices(loss: float) -> str:
    number = math.exp(loss)
    return f"{number:.1f}" if number < 10 else f"{round(number, -max(0, math.floor(math.log10(number)) - 1)):,.0f}"


def single_run_blocks(ladder: LadderView, groups: Sequence[FoundGroup], figures: Sequence[Figure]) -> list[Block]:
    """Everything between the first screen and the provenance."""
    (tier,) = ladder.tiers
    (view,) = ladder.runs
    drawn = {figure.anchor for figure in figures}
    blocks: list[Block] = []
    if ladder.logs:
        blocks += [Bullets(tuple(items))] if (items := alarms(ladder.logs, groups)) else []
        blocks.append(logs_table(ladder.logs))
    blocks += [*story_blocks(ladder, groups), *coherence_blocks(ladder)]
    for title, which in SECTIONS.items():
        said = {name: _beside(name, tier, groups, drawn) for name in which}
        there = {name: each for name in which for each in figures if each.anchor == slug("figure", tier.name, name)}
        if not there and not any(said.values()):
            continue
        blocks.append(Heading(2, rich(title), slug("section", title), title.split(" and ")[0]))
        if title == "Loss" and not ladder.logs:
            blocks.append(losses_table(view))
        for name, figure in there.items():
            switches = Switches(slug(tier.name), (), ()) if figure is figures[0] else None
            # What has no figure of its own stands beside the section's last one.
            more = [block for other in which if other not in there for block in said[other]]
            beside = said[name] + (more if name == list(there)[-1] else [])
            blocks.append(Observed(figure, tuple(beside), switches))
        blocks += [] if there else [block for each in said.values() for block in each]
    blocks += inside_blocks(view)
    blocks += _next_blocks(ladder, groups, drawn)
    blocks += _more(ladder, tier, groups, drawn)
    return blocks


def _beside(figure: str, tier: TierView, groups: Sequence[FoundGroup], drawn: set[str]) -> list[Block]:
    """The topics that are told beside a figure; with "" those that belong to none. The stories have their own place."""
    return [
        block
        for topic in TOPICS
        if topic.beside == figure and topic is not COMPLETIONS
        for block in told_of(tier, topic, groups, drawn)
    ]


AT_THE_END = "all validation stories, after the last step"


def losses_table(view: RunView) -> Table:
    """Every loss of the end under its own name, so that none is taken for another."""
    facts = view.facts
    rows: list[Row] = []

    def add(name: Rich, value: float | None, what: str) -> None:
        if value is not None and math.isfinite(value):
            is_result = what == AT_THE_END
            rows.append(Row((name, rich(strong(loss_text(value)) if is_result else loss_text(value)), rich(what))))

    if "val_loss" in view.final:
        add(rich(strong("Validation loss")), view.final["val_loss"], AT_THE_END)
    add(rich("Untrained"), view.untrained_loss, "validation stories, before the first step")
    if facts is not None and facts.val_loss is not None and len(facts.val_loss.finite):
        curve = facts.val_loss.finite
        add(
            rich("End of the curve"),
            float(curve.values[-1]),
            "a fixed part of the validation stories, which is quicker",
        )
        low = int(curve.values.argmin())
        add(
            rich("Lowest seen on the way"), float(curve.values[low]), f"on that part, at step {int(curve.steps[low]):,}"
        )
    if facts is not None and facts.held_train_loss is not None and len(facts.held_train_loss.finite):
        value = float(facts.held_train_loss.finite.values[-1])
        add(rich("On training stories"), value, "a fixed sample of them, measured like the validation stories")
    if facts is not None and facts.train_loss is not None and len(facts.train_loss.finite):
        value = float(smoothed(facts.train_loss).values[-1])
        add(
            rich("Of the training batches"),
            value,
            "the last steps, averaged, as the model was while it learned from them",
        )
    if "val_loss_story" in view.final:
        add(
            rich("Validation loss, ", "story by story"),
            view.final["val_loss_story"],
            "each story by itself, cut to the context",
        )
    columns = (Column("Loss"), Column("Nats per token", numeric=True), Column("Measured on", wide=True))
    return Table(columns, tuple(rows))


def next_steps(view: RunView, groups: Sequence[FoundGroup]) -> list[Rich]:
    """What the record asks for, the most urgent first: what went wrong, how the run ended, then comparing."""
    wrong: list[Rich] = []
    ended: list[Rich] = []
    if view.run is not None and view.run.status in ("interrupted", "running"):
        ended.append(rich("Continue the training: it has not come to its end."))
    for group in groups:
        worst = next(finding for _, finding in group.found if finding.severity == group.severity)
        if group.severity in ("warning", "failure"):
            said = told(f"{worst.try_[0].upper()}{worst.try_[1:]}. ")
            wrong.append(rich(said, link(kind_title(group.kind), group.anchor)))
        elif advice := KINDS[group.kind].advice:
            ended.append(rich(advice))
    good = good_here(view)
    if good is not None and good.steps > 1.1 * view.last.get("step", 0.0):
        ended.insert(0, rich(f"Train longer: this recipe reaches {good.val_loss:.2f} in {plural(good.steps, 'step')}."))
    compare = [] if view.of("log_format") else [rich(ANOTHER_SEED)]
    return list(dict.fromkeys([*wrong, *ended, *compare]))


def _next_blocks(ladder: LadderView, groups: Sequence[FoundGroup], drawn: set[str]) -> list[Block]:
    items = next_steps(ladder.runs[0], groups)
    blocks: list[Block] = [Heading(2, rich("What to do next"), "next", "What to do next")]
    blocks.append(Bullets(tuple(items)) if items else Paragraph(rich("Nothing was found that asks for something.")))
    if remembered := points(ladder, groups):
        blocks += [Heading(3, rich("Points to remember"), "points"), Bullets(tuple(remembered))]
    if found := cards(groups, drawn):
        blocks += [Heading(3, rich("Warnings and failures"), "findings"), FindingCards(found)]
    return blocks


def _more(ladder: LadderView, tier: TierView, groups: Sequence[FoundGroup], drawn: set[str]) -> list[Block]:
    """What is seldom asked for, folded away."""
    blocks: list[Block] = _beside("", tier, groups, drawn)
    if ladder.logs:
        blocks += log_notes(tier)
    if (table := mechanism(tier)) is not None:
        blocks.append(Details(rich("What each batch contained"), (table,)))
    blocks += not_checked(ladder.runs)
    if not ladder.logs:
        blocks.append(Details(rich("What “healthy” means"), (Paragraph(rich(RULE)),)))
    return blocks
