"""The stories that the models wrote: one to begin with, all of them side by side, and what was found in them."""

from collections.abc import Sequence
from typing import Any

from fabula.findings.kinds import COMPLETIONS, KINDS, TOPICS
from fabula.findings.rules.completions import MIN_WORDS
from fabula.record.text.words import words
from fabula.record.wording import kind_words, plural
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Completions,
    Details,
    Heading,
    Paragraph,
    Part,
    Rich,
    Story,
    Tone,
    code,
    link,
    quiet,
    rich,
    strong,
    told,
    toned,
)
from fabula.study.health import FoundGroup
from fabula.study.views import LadderView, RunView

NUM_GROWTH_SAMPLES = 6
"""Completions of one prompt shown over the run, so that one sees the stories grow."""
NOT_CHOSEN = "First sample, not cherry-picked"
MOST_BEFORE = 90
"""Characters of what the untrained model wrote: enough to see that it is noise."""
NO_JUDGE = (
    "Simple rules checked these points; they do not understand a story. Read the stories yourself: does each sentence "
    "follow from the one before?"
)


def latest(view: RunView) -> list[dict[str, Any]]:
    """The last completion of every prompt."""
    last: dict[str, dict[str, Any]] = {}
    for sample in view.run.samples if view.run else ():
        if "prompt" in sample and "completion" in sample:
            last[sample["prompt"]] = sample
    return list(last.values())


def opening_story(ladder: LadderView) -> Story | None:
    """The first sample of the best recipe's first seed; where nothing is ranked, of the first run that wrote one."""
    best = [view for tier in ladder.tiers if (phase := tier.lowest()) is not None for view in phase.complete]
    for view in [*best, *ladder.runs]:
        if there := latest(view):
            return _story(view, there[0], alone=len(ladder.runs) == 1)
    return None


def _story(view: RunView, sample: dict[str, Any], alone: bool) -> Story:
    assert view.run is not None, "a run without a record wrote nothing"
    step = int(sample.get("step", 0))
    after = f"after {plural(step, 'step')} of training" if step else "before any training"
    who: list[Part] = [] if alone else [" by ", code(view.name), f", seed {view.seed}"]
    untrained = next(
        (each for each in view.run.samples if each.get("prompt") == sample["prompt"] and each.get("step") == 0), None
    )
    before = " ".join(str(untrained["completion"]).split())[:MOST_BEFORE] if untrained and step else ""
    return Story(
        label=NOT_CHOSEN,
        prompt=str(sample["prompt"]),
        text=str(sample["completion"]),
        source=rich(
            "Written", *who, f" {after}; the words in italics were given. ", link("All stories", "completions")
        ),
        before=before,
    )


def story_blocks(ladder: LadderView, groups: Sequence[FoundGroup]) -> list[Block]:
    """Every prompt with what each recipe's first seed made of it; of a single run with what is good and odd in it."""
    blocks: list[Block] = []
    for tier in ladder.tiers:
        writers = [view for phase in tier.phases for view in phase.read[:1] if view.run and view.run.samples]
        prompts = list(dict.fromkeys(sample["prompt"] for view in writers for sample in latest(view)))
        for prompt in prompts:
            entries = []
            for view in writers:
                sample = next((each for each in latest(view) if each["prompt"] == prompt), None)
                if sample is not None:
                    entries.append((_label(ladder, view, sample, groups), str(sample["completion"])))
            prefix = f"{tier.name}: " if len(ladder.tiers) > 1 else ""
            blocks.append(Completions(prefix + prompt, tuple(entries)))
        lowest = tier.lowest()
        grown = _growth([view for view in writers if lowest is None or view.phase == lowest.name])
        if grown is not None:
            blocks.append(grown)
    if not blocks:
        return []
    if len(ladder.runs) == 1:
        blocks += _good_and_odd(ladder.runs[0], groups)
    return [Heading(2, rich("The stories"), "completions", "Stories"), Paragraph(_sampling(ladder)), *blocks]


def _label(ladder: LadderView, view: RunView, sample: dict[str, Any], groups: Sequence[FoundGroup]) -> Rich:
    at = "" if sample.get("final") else f"step {int(sample['step']):,}"
    if len(ladder.runs) == 1:
        return rich(at, *_shown_by(view, sample, groups))
    seed = f" seed {view.seed}" + (f", {at}" if at else "")
    return rich(strong(view.phase), seed, *_shown_by(view, sample, groups))


def _shown_by(view: RunView, sample: dict[str, Any], groups: Sequence[FoundGroup]) -> list[Part]:
    """What was found in a completion, each with the way to where it is told."""
    parts: list[Part] = []
    for group in groups:
        if KINDS[group.kind].topic is not COMPLETIONS or (group.tier, group.phase) != (view.tier, view.phase):
            continue
        for other, finding in group.found:
            places = [(each["prompt"], each["step"]) for each in finding.evidence["completions"]]
            if other is view and (sample["prompt"], sample["step"]) in places:
                tone: Tone = "warning" if finding.severity == "warning" else "note"
                parts += [" ", toned("", tone), link(kind_words(group.kind), group.anchor)]
    return parts


def _sampling(ladder: LadderView) -> Rich:
    """Where the completions come from, and how they were drawn."""
    samples = [sample for view in ladder.runs if view.run for sample in view.run.samples]
    names = {"temperature": "temperature", "top_p": "top-p", "top_k": "top-k"}
    settings = [f"{name} {samples[0][key]}" for key, name in names.items() if samples and samples[0].get(key)]
    drawn = f", drawn with {' and '.join(settings)}" if settings else ""
    when = "at the end of training" if any(each.finished for each in ladder.runs) else "last"
    whose = "what the model wrote" if len(ladder.runs) == 1 else "what each recipe's first seed wrote"
    return rich(f"For every prompt {whose} {when}{drawn}: the first sample, not cherry-picked.")


def _growth(writers: Sequence[RunView]) -> Details | None:
    """The same prompt over the steps of the last one of these."""
    if not writers or writers[-1].run is None:
        return None
    told = [each for each in writers[-1].run.samples if "prompt" in each and "completion" in each]
    samples = [each for each in told if each["prompt"] == told[0]["prompt"]]
    if len(samples) < 3:
        return None
    places = {round(index * (len(samples) - 1) / (NUM_GROWTH_SAMPLES - 1)) for index in range(NUM_GROWTH_SAMPLES)}
    chosen = [samples[place] for place in sorted(places)]
    entries = tuple((rich(strong(f"step {int(each['step']):,}")), str(each["completion"])) for each in chosen)
    where = f"How the stories of {writers[-1].name} grew"
    return Details(rich(where), (Completions(str(chosen[0]["prompt"]), entries),))


def _good_and_odd(view: RunView, groups: Sequence[FoundGroup]) -> list[Block]:
    """What the rules on completions say of one run, the good first. Nothing where no story is long enough."""
    written = [each for each in latest(view) if each.get("step")]
    long = [each for each in written if len(words(str(each["completion"]))) >= MIN_WORDS]
    if view.diagnosis is None or not long:
        return []
    silent = {kind for each in view.diagnosis.silent for kind in each.kinds}
    group_of = {group.kind: group for group in groups}
    good: list[Rich] = []
    odd: list[Rich] = []
    anchors: list[str] = []
    for kind, (one, several) in ((each.name, each.kept) for each in TOPICS[COMPLETIONS]):
        if kind in silent:
            continue
        judged, kept = len(long), len(long)
        for finding in view.diagnosis.of(kind):
            warns = finding.severity == "warning"  # then it has a card, which links lead to
            anchor = group_of[kind].anchor
            odd.append(
                rich(told(finding.sentence), " ", link("What to do", anchor)) if warns else told(finding.sentence)
            )
            anchors.append("" if warns else anchor)
            judged = int(finding.evidence["num_judged"])
            kept = judged - int(finding.evidence["num_found"])
        if kept:
            all_of = "The story" if judged == 1 else "Both stories" if judged == 2 else f"All {judged} stories"
            good.append(
                rich(
                    f"{all_of if kept == judged else f'{kept} of {judged} stories'} ",
                    one if kept == 1 else several,
                    ".",
                )
            )
    nothing = Paragraph(rich("Nothing of what the rules look for."))
    num_short = len(written) - len(long)
    short = plural(num_short, "story was", "stories were") + f" not judged: fewer than {MIN_WORDS} words"
    return [
        Heading(3, rich("What is good in them"), "stories-good"),
        Bullets(tuple(good)) if good else nothing,
        Heading(3, rich("What is odd"), "stories-odd"),
        Bullets(tuple(odd), tuple(anchors)) if odd else nothing,
        Paragraph(rich(quiet(f"{NO_JUDGE} {short}." if num_short else NO_JUDGE))),
    ]
