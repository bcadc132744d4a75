"""The report's order. A ladder: what came out, each tier, the stories, what improved, findings, provenance. A single
run: its story and its loss, its stories, figures with words beside them, what to do next, provenance."""

from collections.abc import Sequence

from fabula.record.wording import parameters_text, plural, slug
from fabula.report.figures.curves import curves_of_tier
from fabula.report.figures.figures import colours, figures
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Details,
    Document,
    Figure,
    FigureGrid,
    Heading,
    Opening,
    Paragraph,
    Rich,
    Switches,
    Table,
    code,
    rich,
    strong,
)
from fabula.report.render.terms import glossary, with_terms
from fabula.report.sections import opening, single_run
from fabula.report.sections.coherence import coherence_blocks
from fabula.report.sections.effects.planned import planned_blocks
from fabula.report.sections.effects.section import across_blocks, effect_blocks, statistics_blocks
from fabula.report.sections.effects.unsealed import unsealed_blocks
from fabula.report.sections.findings.interpretation import unfinished
from fabula.report.sections.findings.section import finding_blocks, improved_blocks
from fabula.report.sections.foreign_logs import alarms, files_table, log_blocks, log_lead, logs_table
from fabula.report.sections.provenance import (
    facts_table,
    grouping_blocks,
    phase_differences,
    runs_table,
    tier_differences,
)
from fabula.report.sections.stories import story_blocks
from fabula.report.sections.tables import final_comparison, final_metrics, mechanism, timeline
from fabula.study.health import FoundGroup, found_groups
from fabula.study.views import LadderView, TierView


def make_document(ladder: LadderView) -> Document:
    groups = found_groups(ladder)
    alone = len(ladder.runs) == 1 and ladder.runs[0].run is not None
    drawn = {tier.name: figures(tier, groups, "beside" if alone else None) for tier in ladder.tiers}
    first = single_run.opening(ladder, groups) if alone else _opening(ladder)
    blocks = (
        single_run.single_run_blocks(ladder, groups, drawn[ladder.tiers[0].name])
        if alone
        else _side_by_side(ladder, groups, drawn)
    )
    blocks += [*grouping_blocks(ladder), *_provenance(ladder)]
    (start, *marked), words = with_terms((first, *blocks))
    assert isinstance(start, Opening), "marking keeps the kind of a block"
    return Document(
        _title(ladder),
        _subtitle(ladder, alone),
        start,
        (*marked, glossary(words)),
        {slug(tier.name): curves_of_tier(tier) for tier in ladder.tiers},
    )


def _title(ladder: LadderView) -> str:
    if len(ladder.runs) == 1:
        (view,) = ladder.runs
        return f"Log {view.tier}" if ladder.logs else f"Run {view.name}"
    if ladder.plan:
        return f"Ladder {ladder.name}"
    return "Runs compared" if ladder.own.runs else "Logs"


def _subtitle(ladder: LadderView, alone: bool) -> str:
    if alone and not ladder.logs:
        return single_run.facts_line(ladder.runs[0])
    own = [opening.tried(ladder.own)] if ladder.own.runs else []
    logs = sum(len(tier.runs) for tier in ladder.logs)
    return ", ".join([*own, *([plural(logs, "log of another program", "logs of other programs")] if logs else [])])


def _opening(ladder: LadderView) -> Opening:
    own = ladder.own
    return opening.opening(own) if own.runs else Opening((Paragraph(log_lead(ladder.logs), "lead"),))


def _side_by_side(
    ladder: LadderView, groups: Sequence[FoundGroup], drawn: dict[str, tuple[Figure, ...]]
) -> list[Block]:
    """What several runs show together."""
    own, logs = ladder.own, ladder.logs
    blocks: list[Block] = [Bullets(tuple(left))] if (left := unfinished(own)) else []
    blocks += statistics_blocks(own) if own.runs else []
    blocks += planned_blocks(own)
    blocks += unsealed_blocks(own)
    if logs:
        blocks += [Bullets(tuple(told))] if (told := alarms(logs, groups)) else []
        blocks.append(logs_table(logs))
    comparison = final_comparison(own)
    if comparison is not None:
        blocks += [_heading(2, "Final comparison", "comparison", "Comparison"), comparison, *across_blocks(own)]
    for tier in own.tiers:
        blocks += _tier(own, tier, groups, drawn[tier.name])
    for tier in logs:
        blocks += log_blocks(tier, drawn[tier.name])
    blocks += [*story_blocks(own, groups), *coherence_blocks(own), *improved_blocks(ladder, groups)]
    blocks += finding_blocks(ladder, groups, {figure.anchor for each in drawn.values() for figure in each})
    return [*blocks, *_recipes(own)]


def _heading(level: int, text: str, anchor: str, short: str = "") -> Heading:
    return Heading(level, rich(text), anchor, short)


def _titled(table: Table | None, text: str, anchor: str, note: Rich = ()) -> list[Block]:
    """A table under its heading; nothing for no table."""
    if table is None:
        return []
    return [_heading(3, text, anchor), *([Paragraph(note)] if note else []), table]


def _tier(ladder: LadderView, tier: TierView, groups: Sequence[FoundGroup], drawn: tuple[Figure, ...]) -> list[Block]:
    first = tier.first
    size = parameters_text(first.of("parameters", "total")) if first else ""
    name = f"{tier.name.upper()} MODEL ({size} params)" if size else f"{tier.name.upper()} MODEL"
    blocks: list[Block] = [_heading(2, name, slug("tier", tier.name), tier.name)]
    if len(tier.runs) > 1:  # of a single run, a timeline would have one row
        blocks += _titled(timeline(tier, groups), "Timeline of improvements", slug("timeline", tier.name))
    blocks += _titled(final_metrics(tier), "Final metrics", slug("metrics", tier.name))
    blocks += effect_blocks(ladder, tier)
    if drawn:
        blocks.append(_heading(3, "Curves", slug("curves", tier.name)))
        seeds = tuple(dict.fromkeys(f"seed {view.seed}" for view in tier.runs if view.run))
        colour = colours(tier)
        phases = tuple((phase.name, colour[phase.name]) for phase in tier.phases if phase.read)
        blocks.append(FigureGrid(drawn, Switches(slug(tier.name), phases, seeds)))
    table = mechanism(tier)
    if table is not None:
        note = Paragraph(rich("Over all steps. The recipes of one ladder compute the same number of positions."))
        blocks.append(Details(rich("What each batch contained"), (note, table), slug("rows", tier.name)))
    return blocks


def _recipes(ladder: LadderView) -> list[Block]:
    tables: list[Block] = []
    for tier in ladder.tiers:
        title = f"Phases of {tier.name}"
        tables += _titled(phase_differences(tier), title, slug("recipe", tier.name))
    if len(ladder.tiers) > 1:
        tables += _titled(tier_differences(ladder), "Tiers", "recipe-tiers")
    if not tables:
        return []
    note = Paragraph(rich("Fields in which the recipes differ; a change against the column before is in bold."))
    return [_heading(2, "Recipe differences", "recipes", "Recipes"), note, *tables]


def _provenance(ladder: LadderView) -> list[Block]:
    blocks: list[Block] = [_heading(2, "Provenance", "provenance", "Provenance")]
    if ladder.logs:
        blocks.append(files_table(ladder.logs))
    own = ladder.own
    if not own.runs:
        return [*blocks, Details(rich("How to read the pictures"), (Bullets((PICTURES,)),))]
    views = [view for view in own.runs if view.run is not None]
    blocks.append(runs_table(own))
    facts = facts_table(views)
    if facts is not None:
        blocks.append(Details(rich("Versions, machine, choices, hashes"), (facts,)))
    command = ladder.plan.get("command")
    if command:
        blocks.append(Paragraph(rich("Made by ", code(str(command)), ".")))
    blocks.append(Details(rich("How to read the numbers"), (Bullets(METHOD),)))
    return blocks


PICTURES = rich(
    strong("Pictures"),
    " keep the lowest and the highest value of every bucket of steps, so no spike disappears; a thick line over a "
    "thin one is a trailing mean over 1 % of the run (of gradient norms, a median).",
)
METHOD = (
    rich(
        strong("Loss"),
        " is the mean of nats per token on held-out stories, end-of-text included. On ",
        code("stream"),
        " the stories follow each other and every token is scored once in windows of the model's context; on ",
        code("story"),
        " each story stands in a row of its own, cut to the context.",
    ),
    rich(
        strong("Rulers."),
        " Text, rule and evaluation context make a ruler, named by its hash. Numbers of different rulers are never "
        "ranked. The curves and the best loss use a fixed subset, the final loss all validation stories.",
    ),
    rich(
        strong("Verdicts"),
        " compare final losses: the mean difference over the seeds, with a 95 % interval whose width all runs of the "
        "table tell together: recipes that scatter alike share what is known of their scatter, a wild one stays by "
        "itself, and where a seed moves all recipes alike, its share is taken out. p values are adjusted by Holm over "
        "all effects and interactions on the page. Improved or worse needs both protocols; where one of them alone "
        "shows it, the verdict depends on the protocol; otherwise there is no evidence. Every verdict speaks of this "
        "scale and these learning rates.",
    ),
    PICTURES,
)
