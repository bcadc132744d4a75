"""What a report says in words. Every sentence is made from findings and records; none names an unmeasured cause."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fabula.findings.effects import Effect, sentence, signed
from fabula.report.blocks import (
    Column,
    Part,
    Rich,
    Row,
    Span,
    Table,
    Tone,
    code,
    joined,
    link,
    quiet,
    rich,
    strong,
    told,
    toned,
)
from fabula.report.ladder_view import LadderView, PhaseView, RunView, TierView
from fabula.report.stability import FoundGroup, unfinished_of
from fabula.report.wording import (
    count_text,
    loss_text,
    mean_of,
    plural,
    run_label,
    share_text,
    slug,
)


def lead(ladder: LadderView) -> Rich:
    """The one sentence at the top: what came out."""
    lowest = [(tier, tier.lowest()) for tier in ladder.tiers]
    clauses: list[Part] = []
    for tier, phase in lowest:
        if phase is None:
            continue
        name = rich(code(phase.name), f" ended lowest on {tier.name}" if len(ladder.tiers) > 1 else " ended lowest")
        clauses.append(rich(name, ", at ", strong(loss_text(mean_of(phase.final_losses()))), " nats a token"))
    names = {phase.name for _, phase in lowest if phase is not None}
    if len(clauses) > 1 and len(names) == 1:
        losses = [
            rich(strong(loss_text(mean_of(phase.final_losses()))), f" on {tier.name}")
            for tier, phase in lowest
            if phase is not None
        ]
        return rich(code(names.pop()), " ended lowest: ", joined(losses), ", in nats a token.")
    if clauses:
        return rich(joined(clauses, "; "), ".")
    done = [view for view in ladder.runs if view.final]
    if len(done) == 1:
        return rich(
            code(run_label(done[0])), " ended at ", strong(loss_text(done[0].final["val_loss"])), " nats a token."
        )
    if not done:
        return rich("No run has finished yet; what there is, is shown.")
    return rich(f"{plural(len(done), 'run')} finished; they do not share a ruler or a tier, so none is ranked.")


VERDICT_WORDS = {
    "improved": "improved",
    "worse": "worse",
    "no evidence": "No evidence",
    "depends on the protocol": "depends on the protocol",
    "no verdict": "no verdict",
}
TONES: dict[str, Tone] = {"improved": "good", "worse": "failure", "depends on the protocol": "warning"}


def _with_strong(text: Rich, word: str) -> Rich:
    """The same text with the first `word` strong."""
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
    """An item for each effect of a single tier, in the ladder's order, then what is out of order."""
    items = []
    for each in ladder.effects if len(ladder.tiers) == 1 else ():  # several tiers: see `glance`
        if each.headline is None and not each.reason:
            continue
        tone: Tone = TONES.get(each.verdict, "unknown")
        items.append(
            rich(
                toned("", tone),
                _with_strong(told(sentence(each)), VERDICT_WORDS[each.verdict]),
                " ",
                link("Numbers", slug("effects", each.tier)),
            )
        )
    for tier in ladder.tiers:
        items.extend(out_of_order(tier, name_tier=len(ladder.tiers) > 1))
    return items


def glance(ladder: LadderView) -> Table | None:
    """With several tiers, every effect in one table: a row a phase, a column a tier."""
    if len(ladder.tiers) < 2 or not ladder.effects:
        return None
    by_place = {(each.tier, each.before, each.after): each for each in ladder.effects}
    pairs = list(dict.fromkeys((each.before, each.after) for each in ladder.effects))
    rows = [
        Row(
            (
                rich(strong(after), f" against {before}"),
                *(_glance_cell(by_place.get((tier.name, before, after))) for tier in ladder.tiers),
            )
        )
        for before, after in pairs
    ]
    return Table(
        (Column("Effect on the final loss"), *(Column(tier.name, wide=True) for tier in ladder.tiers)), tuple(rows)
    )


def _glance_cell(each: Effect | None) -> Rich:
    if each is None or each.headline is None:
        return rich(toned("no verdict", "unknown"))
    paired = each.headline.paired
    size = signed(paired.mean)
    if paired.low is not None and paired.high is not None:
        size += f" ({signed(paired.low)} to {signed(paired.high)})"
    return rich(toned(each.verdict, TONES.get(each.verdict, "unknown")), quiet(size, own_line=True))


def seeds_sentence(ladder: LadderView) -> Rich:
    """How much the page may claim."""
    if ladder.num_paired_seeds < 2:
        words = "One seed only" if ladder.num_seeds < 2 else "One seed so far"
        return rich(
            strong(f"{words}: this page gives no verdict. "),
            "A difference between two single runs may be chance; run more seeds to tell.",
        )
    scale = ladder.plan.get("scale")
    at = f" ({100 * float(scale):g} % of the tiers' steps)" if scale not in (None, 1, 1.0) else ""
    return rich(
        f"Verdicts speak of this scale{at} and these learning rates. They compare final evaluations over all "
        f"validation stories, paired by seed, with one error rate of 5 % for the whole table."
    )


def out_of_order(tier: TierView, name_tier: bool) -> list[Rich]:
    """Every pair of phases that came out in another order than the ladder's, with its numbers.

    The ladder expects each phase to end below the ones before it.
    """
    items = []
    for index, later in enumerate(tier.phases):
        for earlier in tier.phases[:index]:
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
                    " was expected to end below ",
                    code(earlier.name),
                    f" and ended {loss_text(difference)} above it "
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
    """How many runs finished, and what the findings say of them."""
    runs = [view for view in ladder.runs if view.diagnosis is not None]
    missing = len(ladder.runs) - len(runs)
    finished = sum(view.finished for view in runs)
    parts: list[Part] = [f"{finished} of {plural(len(ladder.runs), 'run')} finished"]
    if missing:
        parts.append(f"{missing} not there")
    for verdict, tone in (("healthy", "good"), ("warning", "warning"), ("failed", "failure")):
        number = sum(view.diagnosis is not None and view.diagnosis.verdict == verdict for view in runs)
        if number:
            word = f"{number} healthy" if verdict == "healthy" else f"{number} with warnings"
            parts.append(toned(word if verdict != "failed" else f"{number} failed", tone))  # type: ignore[arg-type]
    return rich(joined(parts, ", "), ". ", link("Findings", "findings"))


def why(tier: TierView, groups: Sequence[FoundGroup]) -> list[Rich]:
    """What each effect came with: the mechanism where one was measured; else "cause not measured"."""
    items = []
    phases = {phase.name: phase for phase in tier.phases}
    for each in tier.effects:
        if each.verdict not in ("improved", "worse", "depends on the protocol") or each.headline is None:
            continue
        mechanism = measured_mechanism(phases[each.before], phases[each.after])
        items.append(rich(strong(each.after), f", {each.verdict}: ", mechanism or "cause not measured."))
    return items


def measured_mechanism(before: PhaseView, after: PhaseView) -> Rich:
    """What the records show to have changed with a phase: the first loss, padding, cut-off stories, tokens seen."""
    parts: list[Part] = []
    first = [mean_of([view.start_loss for view in phase.counted]) for phase in (before, after)]
    if first[0] is not None and first[1] is not None and abs(first[0] - first[1]) > 0.05 * min(first[0], first[1]):
        parts.append(f"the loss before the first update went from {loss_text(first[0])} to {loss_text(first[1])}")

    def layout(phase: PhaseView, key: str) -> float | None:
        return mean_of([view.of("layout", key) for view in phase.counted])

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
    return rich("measured with it: ", joined(parts, ", "), ".") if parts else ()


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
    """What could not be looked for, by name, and what was lacking."""
    lacks: dict[tuple[str, tuple[str, ...]], list[RunView]] = {}
    for view in views:
        for silent in view.diagnosis.silent if view.diagnosis else ():
            lacks.setdefault((silent.lacks, silent.kinds), []).append(view)
    total = sum(view.diagnosis is not None for view in views)
    items = []
    for (what, kinds), there in lacks.items():
        where = "" if len(there) == total else f" in {plural(len(there), 'run')}"
        items.append(rich(joined([code(kind) for kind in kinds]), f": no {_without_article(what)}{where}."))
    return items


def _without_article(text: str) -> str:
    for article in ("a ", "an ", "the "):
        if text.startswith(article):
            return text[len(article) :]
    return text
