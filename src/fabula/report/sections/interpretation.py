"""What a report says in words. Every sentence is made from findings and records; none names an unmeasured cause."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fabula.record.wording import count_text, difference_text, loss_text, plural, share_text, slug
from fabula.report.render.blocks import (
    Column,
    Part,
    Rich,
    Row,
    Span,
    Table,
    code,
    joined,
    link,
    quiet,
    rich,
    strong,
    told,
    toned,
)
from fabula.report.sections.cells import health_counts
from fabula.report.sections.effects.tables import asked_cell
from fabula.report.tones import tone_of
from fabula.study.effect_words import sentence
from fabula.study.effects import Effect
from fabula.study.health import unfinished_of
from fabula.study.statistics import mean_of
from fabula.study.views import LadderView, PhaseView, RunView, TierView


def lead(ladder: LadderView) -> Rich:
    """The one sentence at the top: what won, and where it started from."""
    winners = [(tier, phase) for tier in ladder.tiers if (phase := tier.lowest()) is not None]
    unit = " nats per token (lower is better)"
    if not winners:
        done = [view for view in ladder.runs if view.final]
        if not done:
            return rich("No run has finished yet; what there is, is shown.")
        if len(done) == 1:
            loss = strong(loss_text(done[0].final["val_loss"]))
            return rich(code(done[0].name), " reached a validation loss of ", loss, unit, ".")
        return rich(f"{plural(len(done), 'run')} finished; they were not measured alike, so none is ranked.")
    if len(ladder.tiers) == 1:
        ((tier, phase),) = winners
        first = tier.phases[0]
        parts: list[Part] = [code(phase.name), " has the lowest validation loss: ", _strong_loss(phase), unit]
        if first is not phase and first.final_losses():
            parts += ["; ", code(first.name), f" reached {loss_text(mean_of(first.final_losses()))}"]
        return rich(*parts, ".")
    names = {phase.name for _, phase in winners}
    if len(names) == 1 and len(winners) > 1:
        losses = [rich(_strong_loss(phase), f" on {tier.name}") for tier, phase in winners]
        return rich(code(names.pop()), " has the lowest validation loss on every size: ", joined(losses), unit, ".")
    each = [rich(code(phase.name), f" on {tier.name} (", _strong_loss(phase), ")") for tier, phase in winners]
    return rich("The lowest validation loss, in nats per token (lower is better): ", joined(each), ".")


def _strong_loss(phase: PhaseView) -> Span:
    return strong(loss_text(mean_of(phase.final_losses())))


VERDICT_WORDS = (
    "No evidence",
    "no verdict",
    "No verdict",
    "depends on the protocol",
    "better together",
    "worse together",
    "helps more",
    "helps less",
    "improved",
    "made worse",
    "worse",
)


def _with_strong(text: Rich, words: Sequence[str] = VERDICT_WORDS) -> Rich:
    """The same text with the first of `words` that it has strong."""
    plain = [span.text for span in text if not span.code]
    word = next((each for each in words if any(each in part for part in plain)), "\0")
    spans: list[Span] = []
    found = False
    for span in text:
        before, match, after = ("", "", "") if span.code or found else span.text.partition(word)
        if match:
            found = True
            spans += [replace(span, text=before), replace(span, text=match, strong=True), replace(span, text=after)]
        else:
            spans.append(span)
    return tuple(span for span in spans if span.text)


def verdicts(ladder: LadderView) -> list[Rich]:
    """An item for each effect and interaction of a single tier, with several for how effects differ between them;
    then what is out of order."""
    items = []
    for each in ladder.effects if len(ladder.tiers) == 1 else ladder.across:  # several tiers: see `glance`
        if each.headline is None and not each.reason:
            continue
        anchor = slug("effects" if each.kind == "effect" else "interactions", each.tier)
        if each in ladder.across:
            anchor = "across"
        items.append(rich(toned("", tone_of(each)), _with_strong(told(sentence(each))), " ", link("Numbers", anchor)))
    for tier in ladder.tiers:
        items.extend(out_of_order(tier, name_tier=len(ladder.tiers) > 1))
    return items


def glance(ladder: LadderView) -> Table | None:
    """With several tiers, every effect in one table: a row a phase, a column a tier."""
    if len(ladder.tiers) < 2 or not ladder.effects:
        return None
    effects = [each for tier in ladder.tiers for each in tier.effects if each.kind == "effect"]
    by_place = {(each.tier, each.before, each.after): each for each in effects}
    asked = {(each.before, each.after): asked_cell(each) for each in effects}
    rows = [
        Row((cell, *(_glance_cell(by_place.get((tier.name, *sides))) for tier in ladder.tiers)))
        for sides, cell in asked.items()
    ]
    return Table(
        (Column("Effect on the final loss"), *(Column(tier.name, wide=True) for tier in ladder.tiers)), tuple(rows)
    )


def _glance_cell(each: Effect | None) -> Rich:
    if each is None or each.headline is None:
        return rich(toned("no verdict", "unknown"))
    paired = each.headline.paired
    size = difference_text(paired.mean, paired.low, paired.high)
    return rich(toned(each.verdict, tone_of(each)), quiet(size, own_line=True))


def seeds_sentence(ladder: LadderView) -> Rich:
    """How much the page may claim."""
    if ladder.num_paired_seeds < 2:
        words = "One seed only" if ladder.num_seeds < 2 else "One seed so far"
        return rich(
            strong(f"{words}: this page gives no verdict. "),
            "A difference between two single runs may be chance; run more seeds to tell.",
        )
    scale, claims = ladder.plan.get("scale"), plural(ladder.num_claims, "claim")
    at = f" ({share_of_steps(ladder)})" if scale not in (None, 1, 1.0) else ""
    return rich(
        f"Verdicts speak of this scale{at} and these learning rates. They compare final evaluations over all "
        f"validation stories, paired by seed, with one error rate of 5 % for the whole table ({claims})."
    )


def share_of_steps(ladder: LadderView) -> str:
    """How far the runs went, for a ladder that says so."""
    return f"{100 * float(ladder.plan['scale']):.2g} % of the full number of steps"


def out_of_order(tier: TierView, name_tier: bool) -> list[Rich]:
    """Every pair of phases that came out in another order than the ladder's, with its numbers.

    The ladder expects each phase to end below those that it builds upon.
    """
    items = []
    for index, later in enumerate(tier.path):
        for earlier in tier.path[:index]:
            if earlier.includes and not set(earlier.includes) < set(later.includes):
                continue
            pairs = _paired(earlier, later)
            if not pairs:
                continue
            difference = float(np.mean([after - before for before, after in pairs]))
            if difference <= 0:
                continue
            where = f" on {tier.name}" if name_tier else ""
            items.append(
                rich(
                    toned("Out of order", "warning"),
                    f"{where}: ",
                    code(later.name),
                    " was expected to have a lower loss than ",
                    code(earlier.name),
                    f" and ended higher by {loss_text(difference)} "
                    f"({loss_text(float(np.mean([b for _, b in pairs])))} against "
                    f"{loss_text(float(np.mean([a for a, _ in pairs])))}, {plural(len(pairs), 'seed')}).",
                )
            )
    return items


def _paired(before: PhaseView, after: PhaseView) -> list[tuple[float, float]]:
    """Final `stream` losses of the seeds that both phases have finished on one ruler."""
    first = {view.seed: view for view in before.complete}
    second = {view.seed: view for view in after.complete}
    return [
        (first[seed].final["val_loss"], second[seed].final["val_loss"])
        for seed in sorted(first.keys() & second.keys())
        if first[seed].of("rulers", "stream") == second[seed].of("rulers", "stream")
        and "val_loss" in first[seed].final
        and "val_loss" in second[seed].final
    ]


def health(ladder: LadderView) -> Rich:
    """How many runs finished, and their health; which ones are meant, "Final metrics" tells from the same source."""
    finished = sum(view.finished for view in ladder.runs)
    counts = health_counts(ladder.runs)
    return rich(
        f"{finished} of {plural(len(ladder.runs), 'run')} finished: ", counts, ". ", link("Findings", "findings")
    )


def measured_mechanism(before: Sequence[PhaseView], after: Sequence[PhaseView]) -> Rich:
    """What the records show to have changed with an effect: the first loss, padding, cut-off stories, tokens seen.
    Of several recipes on a side, their mean."""
    parts: list[Part] = []

    def mean(phases: Sequence[PhaseView], value: Callable[[RunView], float | None]) -> float | None:
        return mean_of([mean_of([value(view) for view in phase.counted]) for phase in phases])

    first = [mean(side, lambda view: view.start_loss) for side in (before, after)]
    if first[0] is not None and first[1] is not None and abs(first[0] - first[1]) > 0.05 * min(first[0], first[1]):
        parts.append(f"the loss before the first update went from {loss_text(first[0])} to {loss_text(first[1])}")

    def layout(phases: Sequence[PhaseView], key: str) -> float | None:
        return mean(phases, lambda view: view.of("layout", key))

    words = {
        "padding_share": ("padding from {} to {} of the positions", share_text, 0.005),
        "truncated_share": ("story tokens cut off from {} to {}", share_text, 0.005),
    }
    for key, (words_of, text, least) in words.items():
        old, new = layout(before, key), layout(after, key)
        if old is not None and new is not None and abs(new - old) > least:
            parts.append(words_of.format(text(old), text(new)))
    old, new = layout(before, "distinct_story_tokens"), layout(after, "distinct_story_tokens")
    if old and new and not math.isclose(old, new, rel_tol=0.02):
        parts.append(f"distinct story tokens seen from {count_text(old)} to {count_text(new)} at equal positions")
    return rich("Measured with it: ", joined(parts, ", "), ".") if parts else ()


def unfinished(ladder: LadderView) -> list[Rich]:
    """Runs that are missing or did not finish; they are in no comparison."""
    items = []
    for tier in ladder.tiers:
        for phase in tier.phases:
            name = phase.name if phase.name == tier.name else f"{tier.name}/{phase.name}"
            items += [
                rich(code(name), f" {seeds}: {state}; in no comparison.") for seeds, state in unfinished_of(phase)
            ]
    return items


def silent_rules(views: Sequence[RunView]) -> list[Rich]:
    """What was not checked, by name, and why."""
    lacking: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    diagnosed = [view for view in views if view.diagnosis is not None]
    for lacks, kind in dict.fromkeys(
        (silent.lacks, kind)
        for view in diagnosed
        for silent in (view.diagnosis.silent if view.diagnosis else ())
        for kind in silent.kinds
    ):
        there = tuple(index for index, view in enumerate(diagnosed) if _lacks(view, lacks, kind))
        lacking.setdefault((lacks, there), []).append(kind)
    items = []
    for (lacks, there), kinds in lacking.items():
        where = "" if len(there) == len(diagnosed) else f" in {plural(len(there), 'run')}"
        items.append(rich("Not checked", where, ": ", joined([code(kind) for kind in kinds]), f" ({lacks})."))
    return items


def _lacks(view: RunView, lacks: str, kind: str) -> bool:
    assert view.diagnosis is not None
    return any(silent.lacks == lacks and kind in silent.kinds for silent in view.diagnosis.silent)
