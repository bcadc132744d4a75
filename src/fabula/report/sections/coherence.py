"""Does the model tell a story? Strengths, patterns and what is odd in its completions, each a count with the stories
behind it; what a judge says, greyed where the judge cannot be believed; scores over steps, phases and tiers."""

from collections.abc import Sequence

from fabula.record.sessions.judgements import MARKS
from fabula.record.wording import NONE, begun_large, plural, slug
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Column,
    Details,
    Heading,
    MarkedStories,
    Paragraph,
    Part,
    Rich,
    Row,
    Span,
    Table,
    Tone,
    code,
    quiet,
    rich,
    strong,
    told,
    toned,
)
from fabula.study.coherence.claims import counted
from fabula.study.coherence.evaluated import Evaluated, Telling
from fabula.study.coherence.marking import pieces
from fabula.study.coherence.patterns import patterns
from fabula.study.coherence.scores import Place, Scored, compared, effect_sentence, scored
from fabula.study.inference.statistics import Interval
from fabula.study.judging import words as judge_words
from fabula.study.judging.scores import OVERALL, Judged
from fabula.study.views import LadderView

MOST_SHOWN = 6
"""Stories behind a count: enough to see what is meant; the count says how many there are."""
TONES: dict[str, Tone] = {"reliable": "good", "unreliable": "failure", "not checked": "unknown"}
OUTCOMES: dict[str, Tone] = {"passed": "good", "failed": "failure", "not checked": "unknown"}
LEGEND = rich(
    "Marks in a story: ",
    Span("words of the beginning that came back", mark="prompt"),
    ", ",
    Span("what repeats itself", mark="repeated"),
    ", ",
    Span("what stands word for word in a training story", mark="copied"),
    ".",
)


def coherence_blocks(ladder: LadderView) -> list[Block]:
    """Nothing where no run was evaluated."""
    there = scored(ladder)
    if not there:
        return []
    blocks: list[Block] = [Heading(2, rich("Does it tell a story?"), "coherence", "Coherence")]
    if len(there) > 1:
        blocks += _side_by_side(ladder, there)
    for place in _shown(ladder, there):
        name = "" if len(ladder.runs) == 1 else f"{place[0]}/{place[1]}, seed {place[2]}: "
        last = there[place][-1]
        if last.evaluated is not None:
            blocks += _told(last.evaluated, name)
        if last.judged is not None:
            blocks += judge_blocks(last.judged, name)
        if len(there[place]) > 1:
            heading = Heading(3, rich(begun_large(f"{name}over the steps")), slug("coherence-steps", *map(str, place)))
            blocks += [heading, _over_steps(there[place])]
    return blocks


def _shown(ladder: LadderView, there: dict[Place, list[Scored]]) -> list[Place]:
    """Whose stories are told in full: of each tier the recipe with the lowest loss, or the last one that was
    evaluated; its first seed."""
    chosen = []
    for tier in ladder.tiers:
        places = [place for place in there if place[0] == tier.name]
        lowest = tier.lowest()
        best = [place for place in places if lowest is not None and place[1] == lowest.name]
        chosen += [best[0]] if best else places[-1:]
    return chosen


def _told(evaluated: Evaluated, name: str) -> list[Block]:
    """Strengths, interesting patterns, notable behaviour."""
    counts = counted(evaluated)
    number_of = plural(len(evaluated.stories), "completion")
    prompts = plural(len({each.prompt for each in evaluated.stories}), "beginning")
    anchor = slug("coherence", name or "run")
    blocks: list[Block] = [
        Heading(3, rich(begun_large(f"{name}what its stories show")), anchor),
        Paragraph(
            rich(
                f"Counted in {number_of} of {prompts} at step {evaluated.step:,}. ",
                "Simple measures: they look at words and marks and do not understand a story.",
            )
        ),
    ]
    strengths = [each for each in counts if each.is_strength]
    odd = [each for each in counts if not each.is_strength]
    if strengths:
        blocks.append(Heading(4, rich("Strengths"), slug(anchor, "strengths")))
        blocks += [_behind(rich(each.sentence), each.behind) for each in strengths]
    if found := patterns(evaluated):
        blocks.append(Heading(4, rich("Interesting patterns"), slug(anchor, "patterns")))
        blocks += [_behind(rich(each.sentence), each.stories) for each in found]
    if odd:
        blocks.append(Heading(4, rich("Notable behaviour"), slug(anchor, "notable")))
        blocks += [_behind(rich(each.sentence), each.behind) for each in odd]
    return [*blocks, Paragraph(LEGEND, "note")]


def _behind(sentence: Rich, stories: Sequence[Telling]) -> Details:
    shown = tuple(
        (
            rich(code(story.prompt), quiet("" if story.seed is None else f" seed {story.seed}")),
            story.beginning,
            _text(story),
        )
        for story in stories[:MOST_SHOWN]
    )
    more = len(stories) - len(shown)
    blocks: list[Block] = [MarkedStories(shown)]
    if more > 0:
        blocks.append(Paragraph(rich(f"And {plural(more, 'more', 'more')}; all are in evaluations.jsonl."), "note"))
    return Details(sentence, tuple(blocks))


def _text(story: Telling) -> Rich:
    return tuple(Span(text, mark=kind) for text, kind in pieces(story))


def judge_blocks(each: Judged, name: str) -> list[Block]:
    """What the judge says, and why it can be believed or not."""
    verdict = each.reliability.verdict
    grey = verdict != "reliable"
    first: list[Part] = [
        code(each.session.judge),
        " is ",
        toned(verdict, TONES[verdict]),
        ". ",
        judge_words.verdict_sentence(each),
    ]
    items = [judge_words.marks_sentence(each)]
    items += [judge_words.preferred_sentence(each.preferred)] if each.preferred else []
    blocks: list[Block] = [
        Heading(3, rich(begun_large(f"{name}what a judge says")), slug("judge", name or "run")),
        Paragraph(rich(*first)),
    ]
    if said := [_greyed(sentence, grey) for sentence in items if sentence]:
        blocks.append(Bullets(tuple(said)))
    if each.scores:
        blocks.append(_marks_table(each, grey))
    own = [judge_words.agreement_sentence(each.agreement)] if each.agreement else []
    own += [judge_words.position_sentence(each.position)] if each.position else []
    own += [sentence] if (sentence := judge_words.unanswered_sentence(each)) else []
    checks = tuple(
        rich(toned("", OUTCOMES[check.outcome]), strong(f"{judge_words.NAMES[check.name]}: "), f"{check.sentence}.")
        for check in each.reliability.checks
    )
    tested: list[Block] = [Bullets(checks), *([Bullets(tuple(rich(sentence) for sentence in own))] if own else [])]
    return [*blocks, Details(rich("How the judge was tested"), tuple(tested))]


def _greyed(sentence: str, grey: bool) -> Rich:
    return rich(quiet(sentence)) if grey else rich(sentence)


def _marks_table(each: Judged, grey: bool) -> Table:
    columns = (Column("Mark"), Column("This run", numeric=True), Column("True stories", numeric=True))
    rows = tuple(
        Row(
            (rich(name), _interval(each.scores[name], grey), _interval(each.human.get(name), grey)),
            "absent" if grey else "",
        )
        for name in (OVERALL, *MARKS)
        if name in each.scores
    )
    notes = [rich("From 1 to 10; the mean over the prompts with its 95 % interval.")]
    if each.ages:
        ages = ", ".join(f"{age}: {num}" for age, num in each.ages)
        notes.append(_greyed(f"Who would write like this, in the judge's opinion, by age: {ages}.", grey))
    return Table(columns, rows, tuple(notes))


def _interval(told_: Interval | None, grey: bool = False, digits: int = 1) -> Rich:
    if told_ is None:
        return rich(NONE)
    mean = f"{told_.mean:.{digits}f}".replace("-", "\N{MINUS SIGN}")
    ends = (
        f"{told_.low:.{digits}f} to {told_.high:.{digits}f}".replace("-", "\N{MINUS SIGN}")
        if told_.low is not None and told_.high is not None
        else ""
    )
    return rich(quiet(mean) if grey else strong(mean), quiet(ends, own_line=True))


SCORES = (
    Column("Consistency", numeric=True),
    Column("Distance from true stories", numeric=True),
    Column("Judge's mark", numeric=True),
)
SCORES_NOTE = rich(
    "Mean over the prompts with its 95 % interval. Consistency is what fabula's own measures make of a story, higher "
    "is better; the distance counts standard deviations of true stories, lower is better; the judge's mark goes from 1 "
    "to 10, and is grey where the judge was not shown to be reliable."
)


def _score_cells(each: Scored) -> tuple[Rich, Rich, Rich]:
    distance = None if each.evaluated is None else each.evaluated.distance
    return (
        _interval(each.consistency, digits=2),
        _interval(None if distance is None else Interval(*distance, None, 0), digits=2),
        _interval(each.mark, grey=not each.believed),
    )


def _over_steps(steps: Sequence[Scored]) -> Table:
    rows = tuple(Row((rich(f"{each.step:,}"), *_score_cells(each))) for each in steps)
    return Table((Column("Step", numeric=True), *SCORES), rows, (SCORES_NOTE,))


def _side_by_side(ladder: LadderView, there: dict[Place, list[Scored]]) -> list[Block]:
    """Every run that was evaluated, and what the changes did to the scores."""
    several = len({tier for tier, _, _ in there}) > 1
    rows = tuple(
        Row(
            (
                rich(strong(f"{tier}/{phase}" if several else phase), quiet(f" seed {seed}")),
                rich(f"{steps[-1].step:,}"),
                *_score_cells(steps[-1]),
            )
        )
        for (tier, phase, seed), steps in there.items()
    )
    blocks: list[Block] = [Table((Column("Run"), Column("Step", numeric=True), *SCORES), rows, (SCORES_NOTE,))]
    if effects := compared(ladder, there):
        blocks += [
            Heading(3, rich("What the changes did to the stories"), "coherence-effects"),
            Bullets(tuple(told(effect_sentence(each)) for each in effects)),
            Paragraph(
                rich(
                    "Compared as the losses are: paired seeds, the scatter of all runs of the tier, p values adjusted "
                    "by Holm over these lines."
                ),
                "note",
            ),
        ]
    return blocks
