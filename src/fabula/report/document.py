"""The report's order: verdict and headline table first, then each tier, completions, findings, provenance."""

from collections.abc import Sequence
from typing import Any

from fabula.record.finding import Finding
from fabula.report.blocks import (
    Block,
    Bullets,
    Completions,
    Details,
    Document,
    Figure,
    FigureGrid,
    FindingCard,
    FindingCards,
    Heading,
    Likewise,
    Paragraph,
    Part,
    Rich,
    Switches,
    Table,
    Tone,
    code,
    link,
    rich,
    strong,
    toned,
)
from fabula.report.chosen_rates import chosen_rates
from fabula.report.course import course, figure_of, improvements, points, topic_of
from fabula.report.curves import curves_of_tier
from fabula.report.effect_blocks import across_blocks, effect_blocks, noise_blocks
from fabula.report.equal_time import equal_time_blocks
from fabula.report.figures import colours, figures
from fabula.report.foreign_logs import alarms, files_table, log_blocks, log_lead, logs_table
from fabula.report.interpretation import (
    glance,
    health,
    lead,
    seeds_sentence,
    share_of_steps,
    silent_rules,
    unfinished,
    verdicts,
)
from fabula.report.provenance import facts_table, phase_differences, runs_table, tier_differences
from fabula.report.stability import EPISODES, FoundGroup, found_groups
from fabula.report.tables import (
    counted,
    final_comparison,
    final_metrics,
    mechanism,
    timeline,
)
from fabula.report.views import LadderView, RunView, TierView
from fabula.report.wording import evidence_text, parameters_text, plural, run_name, seeds_text, slug, steps_text

MOST_SAYINGS = 6
"""Sentences of one kind on one card."""
NUM_GROWTH_SAMPLES = 6
"""Completions of one prompt shown over the run, so that one sees the stories grow."""


def make_document(ladder: LadderView) -> Document:
    groups = found_groups(ladder)
    drawn = {tier.name: figures(tier, groups) for tier in ladder.tiers}
    own, logs = ladder.own, ladder.logs
    blocks: list[Block] = [*_verdict(own)] if own.runs else [Paragraph(log_lead(logs), "lead")]
    if logs:
        blocks += [Bullets(tuple(told_alarms))] if (told_alarms := alarms(logs, groups)) else []
        blocks.append(logs_table(logs))
    comparison = final_comparison(own)
    if comparison is not None:
        blocks += [_heading(2, "Final comparison", "comparison", "Comparison"), comparison, *across_blocks(own)]
    for tier in own.tiers:
        blocks += _tier(own, tier, groups, drawn[tier.name])
    for tier in logs:
        blocks += log_blocks(tier, drawn[tier.name])
    blocks += _completions(own, groups)
    blocks += _findings(ladder, groups, {figure.anchor for each in drawn.values() for figure in each})
    blocks += _recipes(own)
    blocks += _provenance(ladder)
    scale = ladder.plan.get("scale")
    subtitle = ", ".join([*([counted(own)] if own.runs else []), *([_counted_logs(logs)] if logs else [])])
    if scale is not None and float(scale) != 1.0:
        subtitle += f", {share_of_steps(ladder)}"
    curves = {slug(tier.name): curves_of_tier(tier) for tier in ladder.tiers}
    return Document(_title(ladder), subtitle, tuple(blocks), curves)


def _title(ladder: LadderView) -> str:
    if len(ladder.runs) == 1:
        (view,) = ladder.runs
        return f"Log {view.tier}" if ladder.logs else f"Run {run_name(view)}"
    if ladder.plan:
        return f"Ladder {ladder.name}"
    return "Runs compared" if ladder.own.runs else "Logs"


def _counted_logs(logs: Sequence[TierView]) -> str:
    return plural(sum(len(tier.runs) for tier in logs), "log of another program", "logs of other programs")


def _heading(level: int, text: str, anchor: str, short: str = "") -> Heading:
    return Heading(level, rich(text), anchor, short)


def _titled(table: Table | None, text: str, anchor: str, note: Rich = ()) -> list[Block]:
    """A table under its heading; nothing for no table."""
    if table is None:
        return []
    return [_heading(3, text, anchor), *([Paragraph(note)] if note else []), table]


def _verdict(ladder: LadderView) -> list[Block]:
    items = verdicts(ladder)
    blocks: list[Block] = [Paragraph(lead(ladder), "lead"), *noise_blocks(ladder)]
    table = glance(ladder)
    if table is not None:
        blocks.append(table)
    if items:
        blocks.append(Bullets(tuple(items)))
    if len(ladder.runs) > 1 or ladder.plan:
        blocks.append(Paragraph(seeds_sentence(ladder)))
    blocks.append(Paragraph(health(ladder)))
    left = unfinished(ladder)
    if left:
        blocks.append(Bullets(tuple(left)))
    return blocks


def _tier(ladder: LadderView, tier: TierView, groups: Sequence[FoundGroup], drawn: tuple[Figure, ...]) -> list[Block]:
    first = tier.first
    size = parameters_text(first.of("parameters", "total")) if first else ""
    name = f"{tier.name.upper()} MODEL ({size} params)" if size else f"{tier.name.upper()} MODEL"
    anchor = slug("tier", tier.name)
    blocks: list[Block] = [_heading(2, name, anchor, tier.name)]
    blocks += _titled(timeline(tier, groups), "Timeline of improvements", slug("timeline", tier.name))
    blocks += _titled(final_metrics(tier), "Final metrics", slug("metrics", tier.name))
    blocks += [*effect_blocks(tier, ladder.num_claims), *equal_time_blocks(ladder, tier), *chosen_rates(ladder, tier)]
    if drawn:
        blocks.append(_heading(3, "Curves", slug("curves", tier.name)))
        seeds = tuple(dict.fromkeys(f"seed {view.seed}" for view in tier.runs if view.run))
        colour = colours(tier)
        phases = tuple((phase.name, colour[phase.name]) for phase in tier.phases if phase.read)
        blocks.append(FigureGrid(drawn, Switches(slug(tier.name), phases, seeds)))
    note = rich("How the rows were filled over all steps; phases of one ladder compute equal positions.")
    blocks += _titled(mechanism(tier), "What the rows held", slug("rows", tier.name), note)
    return blocks


def _completions(ladder: LadderView, groups: Sequence[FoundGroup]) -> list[Block]:
    blocks: list[Block] = []
    for tier in ladder.tiers:
        told = [view for phase in tier.phases for view in phase.read[:1] if view.run and view.run.samples]
        prompts = list(dict.fromkeys(sample["prompt"] for view in told for sample in _latest(view)))
        for prompt in prompts:
            entries = []
            for view in told:
                sample = next((each for each in _latest(view) if each["prompt"] == prompt), None)
                if sample is not None:
                    at = "" if sample.get("final") else f", step {int(sample['step']):,}"
                    label = rich(strong(view.phase), f" seed {view.seed}{at}", *_shown_by(view, sample, groups))
                    entries.append((label, str(sample["completion"])))
            prefix = f"{tier.name}: " if len(ladder.tiers) > 1 else ""
            blocks.append(Completions(prefix + prompt if prefix else prompt, tuple(entries)))
        lowest = tier.lowest()
        grown = _growth([view for view in told if lowest is None or view.phase == lowest.name])
        if grown is not None:
            blocks.append(grown)
    return (
        [_heading(2, "Completions", "completions", "Completions"), Paragraph(_sampling(ladder)), *blocks]
        if blocks
        else []
    )


def _shown_by(view: RunView, sample: dict[str, Any], groups: Sequence[FoundGroup]) -> list[Part]:
    """What was found in a completion, each with the way to where it is told."""
    parts: list[Part] = []
    for group in groups:
        if topic_of(group.kind) != "Completions" or (group.tier, group.phase) != (view.tier, view.phase):
            continue
        for other, finding in group.found:
            places = [(each["prompt"], each["step"]) for each in finding.evidence["completions"]]
            if other is view and (sample["prompt"], sample["step"]) in places:
                tone: Tone = "warning" if finding.severity == "warning" else "note"
                parts += [" ", toned("", tone), link(group.kind.replace("_", " "), group.anchor)]
    return parts


def _sampling(ladder: LadderView) -> Rich:
    """Where the completions come from, and how they were drawn."""
    samples = [sample for view in ladder.runs if view.run for sample in view.run.samples]
    words = {"temperature": "temperature", "top_p": "top-p", "top_k": "top-k"}
    settings = [f"{word} {samples[0][key]}" for key, word in words.items() if samples and samples[0].get(key)]
    drawn = f", drawn with {' and '.join(settings)}" if settings else ""
    return rich(f"From each phase's latest checkpoint, first seed{drawn}; not chosen among several.")


def _latest(view: RunView) -> list[dict]:
    """The last completion of every prompt."""
    latest: dict[str, dict] = {}
    for sample in view.run.samples if view.run else ():
        if "prompt" in sample and "completion" in sample:
            latest[sample["prompt"]] = sample
    return list(latest.values())


def _growth(told: Sequence[RunView]) -> Details | None:
    """The same prompt over the steps of the last one of these."""
    if not told or told[-1].run is None:
        return None
    samples = [each for each in told[-1].run.samples if each.get("prompt") == told[-1].run.samples[0].get("prompt")]
    if len(samples) < 3:
        return None
    places = {round(index * (len(samples) - 1) / (NUM_GROWTH_SAMPLES - 1)) for index in range(NUM_GROWTH_SAMPLES)}
    chosen = [samples[place] for place in sorted(places)]
    entries = tuple((rich(strong(f"step {int(each['step']):,}")), str(each["completion"])) for each in chosen)
    where = f"How the stories of {told[-1].tier}/{told[-1].phase} grew"
    return Details(rich(where), (Completions(str(chosen[0]["prompt"]), entries),))


def _findings(ladder: LadderView, groups: Sequence[FoundGroup], drawn: set[str]) -> list[Block]:
    blocks: list[Block] = [_heading(2, "Findings", "findings", "Findings")]
    cards = _cards([group for group in groups if group.severity in ("warning", "failure")], drawn)
    if cards:
        blocks.append(FindingCards(cards))
    else:
        blocks.append(Paragraph(rich("No warning and no failure in any run.")))
    for tier in ladder.tiers:
        blocks += course(tier, groups, drawn, open_=len(ladder.runs) == 1)
    for tier in ladder.own.tiers:
        if items := improvements(tier):
            title = "What improved, and why" + (f": {tier.name}" if len(ladder.tiers) > 1 else "")
            blocks += [_heading(3, title, slug("improved", tier.name)), Bullets(tuple(items))]
    remembered = points(ladder, groups)
    if remembered:
        blocks += [_heading(3, "Points to remember", "points"), Bullets(tuple(remembered))]
    silent = silent_rules(ladder.runs)
    if silent:
        blocks.append(Details(rich("What could not be looked for"), (Bullets(tuple(silent)),)))
    return blocks


def _cards(groups: Sequence[FoundGroup], drawn: set[str]) -> tuple[FindingCard, ...]:
    """A card a kind and phase. What several phases have alike is told on the card of the first one."""
    alike: dict[tuple[object, ...], list[FoundGroup]] = {}
    for group in groups:
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
    return group.kind in EPISODES or group.kind == "interrupted"


def _where(group: FoundGroup) -> Rich:
    return rich(code(run_name(group.found[0][0])), "" if group.foreign else f" {seeds_text(group.seeds)}")


def _card(group: FoundGroup, others: Sequence[FoundGroup], drawn: set[str]) -> FindingCard:
    worst = _worst(group)
    wanted = MOST_SAYINGS if _is_episode(group) else 1
    sayings = tuple(
        (_place(finding) if group.foreign else f"seed {view.seed}, {_place(finding)}", finding.sentence)
        for view, finding in group.found[:wanted]
    )
    left = list(dict.fromkeys(view.seed for view, _ in group.found[wanted:]))
    more = f"Also {seeds_text(left)}." if left else ""
    return FindingCard(
        anchor=group.anchor,
        where=_where(group),
        finding=worst,
        sayings=sayings,
        evidence=", ".join(filter(None, [_place(worst) if worst.steps else "", evidence_text(worst)])),
        more=more,
        figure=figure_of(group.tier, group.kind, drawn),
        likewise=tuple(
            Likewise(each.anchor, _where(each), said if (said := _worst(each).sentence) != worst.sentence else "")
            for each in others
        ),
    )


def _place(finding: Finding) -> str:
    text = steps_text(finding.steps)
    return text[0].lower() + text[1:]


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
        " compare final losses seed by seed: the mean of the paired differences with a 95 % t interval, p values "
        "adjusted by Holm over both protocols of all effects and interactions on the page. Improved or worse needs "
        "both protocols; where one of them alone shows it, the verdict depends on the protocol; otherwise there is no "
        "evidence. Every verdict speaks of this scale and these learning rates.",
    ),
    PICTURES,
)
