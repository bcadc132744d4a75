"""The tables of the original documents, made from records: timeline, final metrics, comparison of tiers."""

from collections.abc import Sequence

from fabula.findings.kinds import KINDS
from fabula.record.wording import (
    ARROW,
    NONE,
    count_text,
    duration_text,
    kind_words,
    loss_text,
    parameters_text,
    plural,
    range_text,
    seeds_text,
    share_text,
    slug,
    steps_text,
)
from fabula.report.render.blocks import Column, Part, Rich, Row, Table, code, joined, link, quiet, rich, strong, toned
from fabula.report.sections.cells import RULE, health_cell, mean_cell, seeds_line
from fabula.study.health import FoundGroup, unfinished_of
from fabula.study.inference.effects import Effect
from fabula.study.inference.statistics import mean_of
from fabula.study.phases.mechanism import batch_contents
from fabula.study.tiers import CurveEnd, Ranking, highest_on_curve, lowest_on_curve, rank_tiers
from fabula.study.views import LadderView, PhaseView, RunView, TierView

CURVE_NOTE = (
    "The validation loss at the end is measured on all validation stories and counts. The curve is measured on a fixed "
    "part of them, so its numbers differ a little. Nats per token, the mean over seeds; below it the value of every "
    "seed."
)


def timeline(tier: TierView, groups: Sequence[FoundGroup]) -> Table:
    """The original "Timeline of Improvements": a row a phase, and one for each phase that had an instability."""
    columns = (
        Column("Phase"),
        Column("Key change", wide=True),
        Column("Curve (start → lowest)", numeric=True),
        Column("Validation loss at the end", numeric=True),
        Column("Notes", wide=True),
    )
    effects = {each.after: each for each in tier.effects if each.contrast.design == "pair"}
    lowest = tier.lowest()
    rows = []
    for phase in tier.path:
        best = phase is lowest
        rows.append(_phase_row(phase, effects.get(phase.name), best, groups))
        found = [
            each
            for each in groups
            if (each.tier, each.phase) == (tier.name, phase.name) and KINDS[each.kind].is_episode
        ]
        if found:
            rows.append(_episode_row(phase, found))
    return Table(columns, tuple(rows), (rich(CURVE_NOTE),))


def _phase_row(phase: PhaseView, effect: Effect | None, best: bool, groups: Sequence[FoundGroup]) -> Row:
    start = mean_of([each.start_loss for each in phase.counted])
    bests = [each.best_loss for each in phase.counted]
    lowest = mean_of(bests)
    course = (
        rich(loss_text(start), ARROW, strong(loss_text(lowest)), seeds_line(bests))
        if lowest is not None
        else rich(NONE)
    )
    name: Part = strong(phase.name)
    cells = (
        rich(name),
        rich(phase.change or NONE),
        course,
        mean_cell(phase.final_losses()),
        _notes(phase, effect, best, groups),
    )
    return Row(cells, "best" if best else ("" if phase.read else "absent"))


def _notes(phase: PhaseView, effect: Effect | None, best: bool, groups: Sequence[FoundGroup]) -> Rich:
    parts: list[Part] = []
    if best:
        parts.append(strong("lowest of all"))
    if effect is not None and effect.headline is not None:
        parts.append(_effect_note(effect))
    parts.extend(f"{seeds}: {state}" for seeds, state in unfinished_of(phase))
    tier = phase.runs[0].tier
    for kind, words in ((each.name, each.note) for each in KINDS.values() if each.note):
        group = next((each for each in groups if (each.tier, each.phase, each.kind) == (tier, phase.name, kind)), None)
        if group is not None and len(group.seeds) == len(phase.read):
            parts.append(link(words, group.anchor) if group.severity in ("warning", "failure") else words)
    return joined(parts, "; ") if parts else rich(NONE)


def _effect_note(effect: Effect) -> Part:
    told = effect.headline
    assert told is not None
    size = loss_text(abs(told.estimate.mean))
    lower = "lower" if told.estimate.mean < 0 else "higher"
    if effect.verdict == "no verdict":
        return f"{size} {lower} than {effect.before}, no verdict"
    if effect.verdict in ("improved", "worse"):
        return link(f"{effect.verdict} by {size}", _effects_anchor(effect.tier))
    return link(f"{effect.verdict} ({size} {lower})", _effects_anchor(effect.tier))


def _effects_anchor(tier: str) -> str:
    return slug("effects", tier)


def _episode_row(phase: PhaseView, found: Sequence[FoundGroup]) -> Row:
    seeds = sorted({seed for group in found for seed in group.seeds})
    notes: list[Part] = []
    for group in found:
        spans = [steps_text(finding.steps) for _, finding in group.found[:3]]
        more = f" and {len(group.found) - 3} more" if len(group.found) > 3 else ""
        name = kind_words(group.kind)
        notes.append(rich(link(name, group.anchor), f" at {', '.join(spans)}{more}"))
    what = rich("in ", code(phase.name), f", {seeds_text(seeds)}; cause not measured")
    return Row(
        (rich(toned("Instability", "warning")), what, rich(_rise(found)), rich(), joined(notes, "; ")), "episode"
    )


def _rise(found: Sequence[FoundGroup]) -> str:
    """How far the loss rose; where it did not, what else left its level."""

    def highest(*kinds: str) -> float | None:
        peaks = [finding.evidence["peak"] for group in found if group.kind in kinds for _, finding in group.found]
        return max(map(float, peaks), default=None)

    loss, norm = highest("divergence", "spike"), highest("gradient_explosion")
    if loss is not None:
        return f"\N{UPWARDS ARROW} to {loss_text(loss)}"
    if any(group.kind == "non_finite" for group in found):
        return "not finite"
    return f"gradient norm \N{UPWARDS ARROW} to {loss_text(norm)}"


def final_metrics(tier: TierView) -> Table:
    """The original "Final Metrics". Worst and best are phases' means over seeds, never the luckiest run."""
    rows = [
        Row((rich("Highest loss on the curve"), _curve_end_cell(highest_on_curve(tier)))),
        Row((rich("Lowest loss on the curve"), _curve_end_cell(lowest_on_curve(tier)))),
        Row((rich("Training time of a run"), rich(_time_text(tier.runs)))),
        Row((rich("Health"), health_cell(tier.runs, name_phase=True))),
    ]
    return Table((Column("Metric"), Column("Value", wide=True)), tuple(rows), (rich(RULE),))


def _curve_end_cell(end: CurveEnd | None) -> Rich:
    if end is None:
        return rich(NONE)
    seeds = f", mean of {end.num_seeds} seeds" if end.num_seeds > 1 else ""
    return rich(strong(loss_text(end.loss)), " ", quiet(f"{end.phase}{seeds}"))


def _time_text(runs: Sequence[RunView]) -> str:
    times = sorted(view.seconds for view in runs if view.finished and view.seconds is not None)
    return range_text(duration_text(times[0]), duration_text(times[-1])) if times else NONE


def final_comparison(ladder: LadderView) -> Table | None:
    """The original "Final comparison table", ranked only where every tier was measured with one ruler."""
    if len(ladder.tiers) < 2:
        return None
    ranking = rank_tiers(ladder)
    rows = []
    for tier in ladder.tiers:
        first, rank = tier.first, ranking.rank_of(tier.name)
        ends = (highest_on_curve(tier), lowest_on_curve(tier))
        cells = (
            rich(strong(tier.name)),
            rich(parameters_text(first.of("parameters", "total") if first else None)),
            rich(parameters_text(first.of("parameters", "without_embeddings") if first else None)),
            *(rich(loss_text(end.loss if end is not None else None)) for end in ends),
            mean_cell(ranking.losses[tier.name]) if ranking.losses is not None else rich(NONE),
            rich(NONE if rank is None else str(rank)),
            rich(_time_text(tier.runs)),
            health_cell(tier.runs, name_phase=True),
        )
        rows.append(Row(cells, "best" if rank == 1 else ""))
    columns = (
        Column("Category"),
        Column("Params", numeric=True),
        Column("Without embeddings", numeric=True),
        Column("Highest loss on the curve", numeric=True),
        Column("Lowest loss on the curve", numeric=True),
        Column("Validation loss at the end, context 128", numeric=True),
        Column("Rank", numeric=True),
        Column("Training time", numeric=True),
        Column("Health", wide=True),
    )
    return Table(columns, tuple(rows), (rich(_ranking_note(ranking)),))


def _ranking_note(ranking: Ranking) -> str:
    if ranking.reason:
        return f"Not ranked: {ranking.reason}."
    per = "token" if ranking.unit == "token" else f"{ranking.unit}, since the tokenizers differ"
    return (
        f"Ranked by the final loss of {ranking.phase} at context 128, nats per {per}, which is one ruler for all "
        "tiers. Highest and lowest loss on the curve are measured at each tier's own context and are not ranked."
    )


def mechanism(tier: TierView) -> Table | None:
    """What the rows were filled with: the measured mechanism of packing."""
    rows = []
    for phase in tier.phases:
        if (batches := batch_contents(phase)) is not None:
            cells = (
                rich(strong(phase.name)),
                rich(share_text(batches.padding_share)),
                rich(share_text(batches.truncated_share)),
                rich(count_text(batches.distinct_story_tokens)),
                rich(NONE if batches.epochs is None else f"{batches.epochs:.2f}"),
                rich(count_text(batches.tokens)),
                rich(count_text(batches.positions)),
            )
            rows.append(Row(cells))
    columns = (
        Column("Phase"),
        Column("Positions that were padding", numeric=True),
        Column("Story tokens cut off", numeric=True),
        Column("Distinct story tokens seen", numeric=True),
        Column("Epochs", numeric=True),
        Column("Tokens trained on", numeric=True),
        Column("Positions computed", numeric=True),
    )
    return Table(columns, tuple(rows)) if rows else None


def counted(ladder: LadderView) -> str:
    """`12 training runs: 4 recipes, each with 3 random seeds`."""
    toggles = {
        phase for each in ladder.effects if each.contrast.design == "factorial" for phase in each.contrast.phases
    }
    alike = all(tier.in_order for tier in ladder.tiers)
    num_phases = [len(tier.phases) for tier in ladder.tiers]
    num_recipes = max(num_phases, default=0) if alike else sum(num_phases)
    what = plural(num_recipes, "recipe")
    if toggles:
        what += f" ({plural(len(toggles), 'change')} with and without each other)"
    if len(ladder.tiers) > 1:
        what += f" on {len(ladder.tiers)} model sizes" if alike else f" in {len(ladder.tiers)} groups that stand apart"
    seeds = f"{'each ' if num_recipes > 1 else ''}with {plural(ladder.num_seeds, 'random seed')}"
    return f"{plural(len(ladder.runs), 'training run')}: {what}, {seeds}"
