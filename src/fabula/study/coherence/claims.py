"""What is good and what is odd in completions: counts, each with the completions behind it.

A claim looks at one measure of one story and says yes or no; true stories of the same data are counted beside it, so
that nobody takes for odd what human writers do as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fabula.record.wording import plural
from fabula.study.coherence.evaluated import Evaluated, Telling

SELDOM = 0.1
"""What is wrong with one story in ten or fewer is a strength; more is worth a look."""
FEWEST = 5
"""Stories that have the measure; of fewer a count says nothing."""


@dataclass(frozen=True)
class Claim:
    measure: str
    is_odd: Callable[[float], bool]
    odd: str
    good: str
    """Both follow `in 3 of 44 completions `."""


CLAIMS = (
    Claim(
        "names_return", lambda share: share == 0.0,
        "the main character does not return", "a character that the beginning names comes back",
    ),
    Claim(
        "prompt_returns", lambda share: share == 0.0,
        "nothing comes back that the beginning is about", "something comes back that the beginning is about",
    ),
    Claim("ended", lambda ended: ended == 0.0, "the story does not come to its end", "the story comes to its end"),
    Claim("repeated_sentences", lambda share: share > 0.0, "a sentence is said twice", "no sentence is said twice"),
    Claim(
        "looped_words", lambda share: share >= 0.15,
        "the same words are said again and again in a row", "nothing is said again and again",
    ),
    Claim(
        "closed_quotes", lambda closed: closed == 0.0,
        "somebody begins to speak and no mark ends it", "all that is spoken has its marks",
    ),
    Claim(
        "speeches_with_speaker", lambda share: share < 0.5,
        "one cannot tell who speaks", "one can tell who speaks",
    ),
    Claim(
        "broken_words", lambda share: share > 0.0, "some words are no real words", "every word looks like a real one",
    ),
    Claim(
        "copied_run", lambda tokens: tokens >= 32.0,
        "32 tokens or more in a row are those of a training story", "no long stretch is copied from a training story",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Counted:
    """A claim and the stories that it was asked of."""

    claim: Claim
    odd: tuple[Telling, ...]
    good: tuple[Telling, ...]
    true_odd: int
    true_judged: int

    @property
    def judged(self) -> int:
        return len(self.odd) + len(self.good)

    @property
    def is_strength(self) -> bool:
        return len(self.odd) <= SELDOM * self.judged

    @property
    def behind(self) -> tuple[Telling, ...]:
        """The stories that the sentence counts; one a prompt first, so that not all that is shown has one beginning."""
        told = self.good if self.is_strength else self.odd
        first: dict[str, Telling] = {}
        for story in told:
            first.setdefault(story.prompt, story)
        return (*first.values(), *(story for story in told if first[story.prompt] is not story))

    @property
    def sentence(self) -> str:
        """`In 31 of 44 completions the main character does not return (true stories: 2 of 40).`"""
        true = self.true_judged - self.true_odd if self.is_strength else self.true_odd
        beside = f" (true stories: {true} of {self.true_judged})" if self.true_judged >= FEWEST else ""
        what = self.claim.good if self.is_strength else self.claim.odd
        return f"In {len(self.behind)} of {plural(self.judged, 'completion')} {what}{beside}."


def counted(evaluated: Evaluated) -> list[Counted]:
    """Every claim that enough stories can be asked about, the most telling first."""
    found = []
    for claim in CLAIMS:
        odd, good = _ask(claim, evaluated.stories)
        true_odd, true_good = _ask(claim, evaluated.true)
        if len(odd) + len(good) >= FEWEST:
            found.append(Counted(claim, odd, good, len(true_odd), len(true_odd) + len(true_good)))
    return sorted(found, key=lambda each: -len(each.odd) / each.judged)


def _ask(claim: Claim, stories: Sequence[Telling]) -> tuple[tuple[Telling, ...], tuple[Telling, ...]]:
    """Those that are odd and those that are not."""
    odd: list[Telling] = []
    good: list[Telling] = []
    for each in stories:
        if (value := each.measures.get(claim.measure)) is not None:
            (odd if claim.is_odd(value) else good).append(each)
    return tuple(odd), tuple(good)
