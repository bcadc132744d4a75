"""Effects and interactions as tables: what changed, what would have been seen, how it was computed."""

from collections.abc import Sequence

from fabula.record.wording import DOT, NONE, loss_text
from fabula.report.render.blocks import Column, Part, Rich, Row, Table, joined, quiet, rich, strong, toned
from fabula.report.sections.cells import mean_cell
from fabula.report.tones import roughness_tone, tone_of
from fabula.study.inference.effect_words import MINUS, ROUGHNESS_WORDS, signed, verdict_words
from fabula.study.inference.effects import LEVEL, Comparison, Effect
from fabula.study.inference.statistics import Interval, mean_of
from fabula.study.questions import ROUGHNESS
from fabula.study.views import LadderView, TierView

BESIDE = (
    "In each cell: the mean over the seeds; its 95 % interval over seeds, which the verdict is read from; and the "
    "95 % interval that other validation stories would bring (stories resampled 2,000 times)."
)


def effects_table(effects: Sequence[Effect]) -> Table | None:
    """What each change did, with intervals and verdicts; None where nothing can be compared."""
    told = [each for each in effects if each.headline is not None or each.reason]
    if not told:
        return None
    rows = [
        Row(
            (
                asked_cell(each),
                _verdict_cell(each),
                difference_cell(each.comparisons.get("stream")),
                difference_cell(each.comparisons.get("story")),
                _p_cell(each),
            )
        )
        for each in told
    ]
    columns = (
        Column("Effect", wide=True),
        Column("Verdict", wide=True),
        Column("Change of the loss on stream (minus: lower)", numeric=True),
        Column("Change on story (minus: lower)", numeric=True),
        Column("p (Holm), stream / story", numeric=True),
    )
    with_stories = any(told_on.stories for each in told for told_on in each.comparisons.values())
    noted = with_stories and any(each.kind == "effect" for each in told)  # once is enough
    return Table(columns, tuple(rows), (rich(BESIDE),) if noted else ())


def asked_cell(each: Effect) -> Rich:
    """What is compared with what."""
    contrast = each.contrast
    if contrast.design == "pair":
        return rich(strong(each.after), f" against {each.before}")
    if contrast.design == "tiers":
        return rich(strong(each.name), quiet(f"on {contrast.tiers[1]} against on {contrast.tiers[0]}", own_line=True))
    if contrast.kind == "interaction":
        return rich(strong(each.name), quiet(f"with {contrast.phases[0]} against without it", own_line=True))
    if contrast.design == "leave-one-out":
        return rich(strong(each.name), quiet(f"{each.after} against {each.before}", own_line=True))
    return rich(strong(each.name), quiet(f"with against without, {each.num_runs} runs", own_line=True))


def difference_cell(told: Comparison | None) -> Rich:
    if told is None:
        return rich(NONE)
    spans: list[Part] = [strong(signed(told.estimate.mean))]
    if told.estimate.low is not None and told.estimate.high is not None:
        spans.append(quiet(f"{signed(told.estimate.low)} to {signed(told.estimate.high)}", own_line=True))
    if told.stories is not None:
        spans.append(quiet(f"stories {signed(told.stories[0])} to {signed(told.stories[1])}", own_line=True))
    return rich(*spans)


def _p_text(value: float) -> str:
    """Three decimals; a value just below the level must not look as if it were not."""
    if value < 0.001:
        return "< 0.001"
    return "< 0.05" if value < 1 - LEVEL and f"{value:.3f}" == "0.050" else f"{value:.3f}"


def _p_cell(each: Effect) -> Rich:
    parts = [_p_text(told.p_adjusted) for told in each.comparisons.values() if told.p_adjusted is not None]
    return joined(parts, " / ") if parts else rich(NONE)


def _least_text(told: Comparison) -> str:
    return NONE if told.least_told is None else f"\N{PLUS-MINUS SIGN}{loss_text(told.least_told)}"


def _interval_text(interval: Interval) -> str:
    return (
        NONE if interval.low is None or interval.high is None else f"{signed(interval.low)} to {signed(interval.high)}"
    )


def _verdict_cell(each: Effect) -> Rich:
    spans: list[Part] = [toned(verdict_words(each), tone_of(each))]
    if each.reason:
        spans.append(quiet(each.reason, own_line=True))
    return rich(*spans)


def pairing_table(effects: Sequence[Effect]) -> Table | None:
    """Beside the verdicts: every seed's difference, the correlation of the pairs, the smallest detectable difference,
    and the plain intervals with and without pairs."""
    rows = []
    for each in effects:
        for protocol, told in each.comparisons.items():
            if told.unpaired.low is None:
                continue
            values = DOT.join(signed(value) for value in told.differences)
            correlation = NONE if told.correlation is None else f"{told.correlation:.2f}".replace("-", MINUS)
            intervals = (_interval_text(told.paired), _interval_text(told.unpaired))
            cells = (protocol, values, correlation, _least_text(told), *intervals)
            rows.append(Row((asked_cell(each)[:2], *map(rich, cells))))
    columns = (
        Column("Effect", wide=True),
        Column("Protocol"),
        Column("Change of each seed", numeric=True),
        Column("Correlation of the pairs", numeric=True),
        Column("Smallest detectable difference", numeric=True),
        Column("95 % interval from its pairs", numeric=True),
        Column("without pairs", numeric=True),
    )
    return Table(columns, tuple(rows)) if rows else None


def recipes_table(tier: TierView) -> Table:
    """Every recipe of a ladder that is no path: which changes it has, and where it ended."""
    order = max((phase.includes for phase in tier.phases), key=len)
    toggles = [name for name in order if any(name not in phase.includes for phase in tier.phases)]
    lowest = tier.lowest()
    rows = [
        Row(
            (
                rich(strong(phase.name)),
                *(rich("\N{CHECK MARK}" if name in phase.includes else NONE) for name in toggles),
                rich(loss_text(mean_of([view.start_loss for view in phase.counted]))),
                mean_cell(phase.final_losses()),
                mean_cell(phase.final_losses("val_loss_story")),
                _roughness_cell([view.roughness for view in phase.complete]),
            ),
            "best" if phase is lowest else ("" if phase.read else "absent"),
        )
        for phase in tier.phases
    ]
    columns = (
        Column("Recipe"),
        *(Column(name) for name in toggles),
        Column("Start", numeric=True),
        Column("At the end, on stream", numeric=True),
        Column("At the end, on story", numeric=True),
        Column("Noise at the end", numeric=True),
    )
    return Table(columns, tuple(rows))


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _roughness_cell(values: Sequence[float | None]) -> Rich:
    known = [value for value in values if value is not None]
    if not known:
        return rich(NONE)
    return rich(
        strong(_percent(sum(known) / len(known))),
        quiet(DOT.join(_percent(value) for value in known) if len(known) > 1 else "", own_line=True),
    )


def roughness_table(tier: TierView) -> Table | None:
    """What each change did to the scatter of the training loss at the end of the runs."""
    rows = []
    for each in tier.roughness:
        told = each.comparisons[ROUGHNESS]
        mean, low, high = (_points(value) for value in (told.estimate.mean, told.estimate.low, told.estimate.high))
        verdict = ROUGHNESS_WORDS.get(each.verdict, each.verdict)
        spans: list[Part] = [toned(verdict, roughness_tone(each))]
        if each.reason:
            spans.append(quiet(each.reason, own_line=True))
        interval = quiet(f"{low} to {high}", own_line=True) if told.estimate.low is not None else quiet("")
        before, after = (mean_of(side) for side in (told.before, told.after))
        assert before is not None and after is not None, "a comparison has seeds"
        rows.append(
            Row(
                (
                    asked_cell(each)[:2],
                    rich(_percent(before)),
                    rich(_percent(after)),
                    rich(strong(mean), interval),
                    _p_cell(each),
                    rich(*spans),
                )
            )
        )
    columns = (
        Column("Effect on the noise at the end", wide=True),
        Column("Before", numeric=True),
        Column("After", numeric=True),
        Column("Change, points (minus: smoother)", numeric=True),
        Column("p (Holm)", numeric=True),
        Column("Verdict", wide=True),
    )
    return Table(columns, tuple(rows)) if rows else None


def _points(value: float | None) -> str:
    """A difference of shares in percentage points."""
    return NONE if value is None else f"{100 * value:+.2f}".replace("-", MINUS)


def noise_table(ladder: LadderView) -> Table | None:
    """What another seed alone does, a row a tier and protocol."""
    rows = [
        Row(
            (
                rich(strong(tier.name)),
                rich(floor.protocol),
                rich(loss_text(floor.pooled)),
                rich(loss_text(floor.lowest)),
                rich(loss_text(floor.highest)),
                rich(str(floor.num_recipes)),
            )
        )
        for tier in ladder.tiers
        for floor in tier.noise
    ]
    columns = (
        Column("Tier"),
        Column("Protocol"),
        Column("Standard deviation between seeds, nats", numeric=True),
        Column("Steadiest recipe", numeric=True),
        Column("Least steady", numeric=True),
        Column("Recipes", numeric=True),
    )
    return Table(columns, tuple(rows)) if rows else None
