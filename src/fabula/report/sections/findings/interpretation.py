"""What a report says in words. Every sentence is made from findings and records; none names an unmeasured cause."""

from collections.abc import Sequence

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
from fabula.study.health import unfinished_of
from fabula.study.inference.effect_words import in_parts
from fabula.study.inference.effects import Effect
from fabula.study.inference.statistics import mean_of
from fabula.study.phases.mechanism import measured_with
from fabula.study.phases.out_of_order import out_of_order
from fabula.study.views import LadderView, PhaseView


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
        finished = [phase for tier in ladder.tiers for phase in tier.phases if phase.final_losses()]
        if len(finished) == 1:
            mean = f" nats per token, the mean of {plural(len(done), 'seed')} (lower is better)."
            return rich(code(finished[0].name), " reached a validation loss of ", _strong_loss(finished[0]), mean)
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
        on_every = "on every size" if all(tier.in_order for tier in ladder.tiers) else "in every group"
        losses = [rich(_strong_loss(phase), f" on {tier.name}") for tier, phase in winners]
        return rich(code(names.pop()), f" has the lowest validation loss {on_every}: ", joined(losses), unit, ".")
    each = [rich(code(phase.name), f" on {tier.name} (", _strong_loss(phase), ")") for tier, phase in winners]
    return rich("The lowest validation loss, in nats per token (lower is better): ", joined(each), ".")


def _strong_loss(phase: PhaseView) -> Span:
    return strong(loss_text(mean_of(phase.final_losses())))


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
        said = in_parts(each)
        sentence = rich(told(said.before), strong(said.verdict), told(said.after))
        items.append(rich(toned("", tone_of(each)), sentence, " ", link("Numbers", anchor)))
    for tier in ladder.tiers:
        where = f" on {tier.name}" if len(ladder.tiers) > 1 else ""
        items += [
            rich(toned("Out of order", "warning"), f"{where}: ", told(each.sentence())) for each in out_of_order(tier)
        ]
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
    estimate = each.headline.estimate
    size = difference_text(estimate.mean, estimate.low, estimate.high)
    return rich(toned(each.verdict, tone_of(each)), quiet(size, own_line=True))


def seeds_sentence(ladder: LadderView) -> Rich:
    """How much the page may claim."""
    if not ladder.effects:
        return rich(strong("One recipe: nothing is compared. "), "What chance does, its seeds show.")
    if ladder.num_paired_seeds == 0:
        return rich(
            strong("No common seed: this page gives no verdict. "),
            "Another seed alone changes the loss; train the recipes with the same seeds to tell.",
        )
    if ladder.num_paired_seeds < 2:
        words = "One seed only" if ladder.num_seeds < 2 else "One seed so far"
        return rich(
            strong(f"{words}: this page gives no verdict. "),
            "A difference between two single runs may be chance; run more seeds to tell.",
        )
    scale, claims = ladder.plan.get("scale"), plural(ladder.num_questions, "claim")
    at = f" ({share_of_steps(ladder)})" if scale not in (None, 1, 1.0) else ""
    return rich(
        f"Verdicts speak of this scale{at} and these learning rates. They compare final evaluations over all "
        f"validation stories, paired by seed, with one error rate of 5 % for the whole table ({claims})."
    )


def share_of_steps(ladder: LadderView) -> str:
    """How far the runs went, for a ladder that says so."""
    return f"{100 * float(ladder.plan['scale']):.2g} % of the full number of steps"


def health(ladder: LadderView) -> Rich:
    """How many runs finished, and their health; which ones are meant, "Final metrics" tells from the same source."""
    finished = sum(view.finished for view in ladder.runs)
    counts = health_counts(ladder.runs)
    return rich(
        f"{finished} of {plural(len(ladder.runs), 'run')} finished: ", counts, ". ", link("Findings", "findings")
    )


MEASURED = {
    "start_loss": ("the loss before the first update went from {} to {}", loss_text),
    "padding_share": ("padding from {} to {} of the positions", share_text),
    "truncated_share": ("story tokens cut off from {} to {}", share_text),
    "distinct_story_tokens": ("distinct story tokens seen from {} to {} at equal positions", count_text),
}
"""What was measured together with an effect, in words."""


def measured_mechanism(before: Sequence[PhaseView], after: Sequence[PhaseView]) -> Rich:
    """What the records show to have changed with an effect."""
    parts: list[Part] = []
    for name, values in measured_with(before, after).items():
        words, text = MEASURED[name]
        parts.append(words.format(*map(text, values)))
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
