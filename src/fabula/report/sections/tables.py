"""The tables of the original documents, made from records: timeline, final metrics, comparison of tiers."""

from collections.abc import Sequence

from fabula.findings.kinds import KINDS
from fabula.record.wording import (
    ARROW,
    NONE,
    count_text,
    duration_text,
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
from fabula.study.effects import Effect
from fabula.study.health import FoundGroup, unfinished_of
from fabula.study.statistics import mean_of
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
    size = loss_text(abs(told.paired.mean))
    lower = "lower" if told.paired.mean < 0 else "higher"
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
        name = group.kind.replace("_", " ")
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


def phase_mean(phase: PhaseView, which: str) -> float | None:
    """Mean over seeds of each run's `best_loss` or `worst_loss`."""
    return mean_of([getattr(view, which) for view in phase.counted])


def final_metrics(tier: TierView) -> Table:
    """The original "Final Metrics". Worst and best are phases' means over seeds, never the luckiest run."""
    worst = _extreme(tier, "worst_loss", max)
    best = _extreme(tier, "best_loss", min)
    rows = [
        Row((rich("Highest loss on the curve"), worst)),
        Row((rich("Lowest loss on the curve"), best)),
        Row((rich("Training time of a run"), rich(_time_text(tier.runs)))),
        Row((rich("Health"), health_cell(tier.runs, name_phase=True))),
    ]
    return Table((Column("Metric"), Column("Value", wide=True)), tuple(rows), (rich(RULE),))


def _extreme(tier: TierView, which: str, choose: object) -> Rich:
    means = {phase.name: phase_mean(phase, which) for phase in tier.phases}
    known = {name: value for name, value in means.items() if value is not None}
    if not known:
        return rich(NONE)
    name = (max if choose is max else min)(known, key=lambda each: known[each])
    seeds = len(next(phase for phase in tier.phases if phase.name == name).counted)
    return rich(
        strong(loss_text(known[name])), " ", quiet(f"{name}" + (f", mean of {seeds} seeds" if seeds > 1 else ""))
    )


def _time_text(runs: Sequence[RunView]) -> str:
    times = sorted(view.seconds for view in runs if view.finished and view.seconds is not None)
    return range_text(duration_text(times[0]), duration_text(times[-1])) if times else NONE


def shared_phase(ladder: LadderView) -> str | None:
    """Of the recipes that every tier has finished for at least one seed, the one with the most changes, the last of
    equals: the end of a path, the whole of the other designs."""
    phases = ladder.tiers[0].phases if ladder.tiers else ()
    shared = [
        (len(each.includes), place, each.name)
        for place, each in enumerate(phases)
        if all(any(phase.name == each.name and phase.complete for phase in tier.phases) for tier in ladder.tiers)
    ]
    return max(shared)[2] if shared else None


def final_comparison(ladder: LadderView) -> Table | None:
    """The original "Final comparison table", ranked only where every tier was measured with one ruler."""
    if len(ladder.tiers) < 2:
        return None
    name = shared_phase(ladder)
    column, note = _ranking_ruler(ladder, name)
    phases = {tier.name: next((each for each in tier.phases if each.name == name), None) for tier in ladder.tiers}
    losses = {
        tier: mean_of(phase.final_losses(column)) if phase is not None and column else None
        for tier, phase in phases.items()
    }
    ranked = sorted((loss, tier) for tier, loss in losses.items() if loss is not None)
    ranks = {tier: rank for rank, (_, tier) in enumerate(ranked, start=1)} if len(ranked) == len(ladder.tiers) else {}
    rows = []
    for tier in ladder.tiers:
        phase = phases[tier.name]
        first = tier.first
        cells = (
            rich(strong(tier.name)),
            rich(parameters_text(first.of("parameters", "total") if first else None)),
            rich(parameters_text(first.of("parameters", "without_embeddings") if first else None)),
            rich(loss_text(_bound(tier, "worst_loss", True))),
            rich(loss_text(_bound(tier, "best_loss", False))),
            mean_cell(phase.final_losses(column)) if phase is not None and column else rich(NONE),
            rich(str(ranks[tier.name]) if ranks else NONE),
            rich(_time_text(tier.runs)),
            health_cell(tier.runs, name_phase=True),
        )
        rows.append(Row(cells, "best" if ranks.get(tier.name) == 1 else ""))
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
    return Table(columns, tuple(rows), (rich(note),))


def _bound(tier: TierView, which: str, highest: bool) -> float | None:
    means = [value for value in (phase_mean(phase, which) for phase in tier.phases) if value is not None]
    return (max(means) if highest else min(means)) if means else None


def _ranking_ruler(ladder: LadderView, name: str | None) -> tuple[str, str]:
    """The column that ranks tiers, and why it may; an empty column where nothing may."""
    if name is None:
        return "", "Not ranked: no phase was finished in every tier."
    runs = [view for tier in ladder.tiers for phase in tier.phases if phase.name == name for view in phase.complete]
    if len({view.of("rulers", "stream_at_128") for view in runs}) > 1:
        return "", (
            "Not ranked: the tiers were measured with different rulers (another text, rule or context), and numbers of "
            "different rulers say nothing about each other."
        )
    one_tokenizer = len({view.of("data", "tokenizer_hash") for view in runs}) == 1
    column = "val_loss_at_128" if one_tokenizer else "val_loss_gpt2_at_128"
    per = "token" if one_tokenizer else "GPT-2 token, since the tokenizers differ"
    if not all(column in view.final for view in runs):
        return "", "Not ranked: the final evaluation at context 128 is missing."
    return column, (
        f"Ranked by the final loss of {name} at context 128, nats per {per}, which is one ruler for all tiers. "
        "Highest and lowest loss on the curve are measured at each tier's own context and are not ranked."
    )


def mechanism(tier: TierView) -> Table | None:
    """What the rows were filled with: the measured mechanism of packing."""
    rows = []
    for phase in tier.phases:
        if not any(view.of("layout") for view in phase.read):
            continue

        def layout(key: str, phase: PhaseView = phase) -> float | None:
            return mean_of([view.of("layout", key) for view in phase.counted])

        tokens = mean_of([view.last.get("tokens") for view in phase.counted])
        epochs = layout("epochs")
        rows.append(
            Row(
                (
                    rich(strong(phase.name)),
                    rich(share_text(layout("padding_share"))),
                    rich(share_text(layout("truncated_share"))),
                    rich(count_text(layout("distinct_story_tokens"))),
                    rich(NONE if epochs is None else f"{epochs:.2f}"),
                    rich(count_text(tokens)),
                    rich(count_text(layout("positions"))),
                )
            )
        )
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
    num_recipes = max((len(tier.phases) for tier in ladder.tiers), default=0)
    what = plural(num_recipes, "recipe")
    if toggles:
        what += f" ({plural(len(toggles), 'change')} with and without each other)"
    if len(ladder.tiers) > 1:
        what += f" on {len(ladder.tiers)} model sizes"
    seeds = f"{'each ' if num_recipes > 1 else ''}with {plural(ladder.num_seeds, 'random seed')}"
    return f"{plural(len(ladder.runs), 'training run')}: {what}, {seeds}"
