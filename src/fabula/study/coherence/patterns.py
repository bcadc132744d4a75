"""What a model likes: the words that many of its stories begin with, a phrase that returns, a character of its own.

Counted over completions of different prompts, since those of one prompt have their beginning in common.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fabula.record.english import FUNCTION_WORDS, OPENING_WORDS
from fabula.record.wording import plural
from fabula.record.words import TOKEN, words, words_with_starts
from fabula.study.coherence.evaluated import Evaluated, Telling

PHRASE = 5
"""Words of a phrase that returns. Four are found in any two stories."""
OPENING = 3
LEAST_PROMPTS = 3
LEAST_SHARE = 0.05
NAMELESS = frozenset("i i'm i'll ok god mom mommy dad daddy mr mrs english".split())
_CAPITAL = re.compile(r"[A-Z][a-z]+$")


@dataclass(frozen=True)
class Pattern:
    """What many stories share, in a sentence, and these stories."""

    sentence: str
    stories: tuple[Telling, ...]


def patterns(evaluated: Evaluated) -> list[Pattern]:
    """At most one of each sort; what few stories share is none."""
    stories = evaluated.stories
    found = [
        _most_shared(stories, _opening, "begin with the same words: “{}”"),
        _most_shared(stories, _phrases, "hold the same phrase: “{}”"),
        _most_shared(stories, _own_names, "bring in somebody named {}, whom the beginning does not name"),
        _by_task(stories),
    ]
    return [each for each in found if each is not None]


def _most_shared(stories: Sequence[Telling], parts_of: Callable[[Telling], Iterable[str]], what: str) -> Pattern | None:
    holders: dict[str, list[Telling]] = {}
    for story in stories:
        for part in set(parts_of(story)):
            holders.setdefault(part, []).append(story)
    enough = {
        part: told
        for part, told in holders.items()
        if len({each.prompt for each in told}) >= LEAST_PROMPTS and len(told) >= LEAST_SHARE * len(stories)
    }
    if not enough:
        return None
    part = max(enough, key=lambda each: (len(enough[each]), each))
    told = enough[part]
    return Pattern(f"{len(told)} of {plural(len(stories), 'completion')} {what.format(part)}.", tuple(told))


def _opening(story: Telling) -> list[str]:
    said = words(story.text)[:OPENING]
    return [" ".join(said)] if len(said) == OPENING else []


def _phrases(story: Telling) -> list[str]:
    """Those with a word that says something."""
    said = words(story.text)
    groups = (said[start : start + PHRASE] for start in range(len(said) - PHRASE + 1))
    return [" ".join(each) for each in groups if not FUNCTION_WORDS.union(OPENING_WORDS).issuperset(each)]


def _own_names(story: Telling) -> list[str]:
    begun = set(words(story.beginning))
    tokens = TOKEN.findall(story.text)
    inside = {word for _, word, starts in words_with_starts(tokens) if not starts and _CAPITAL.match(word)}
    small = {token for token in tokens if token[0].islower()}
    return [
        word
        for word in inside
        if word.lower() not in begun | small | NAMELESS | FUNCTION_WORDS | OPENING_WORDS and len(word) > 1
    ]


def _by_task(stories: Sequence[Telling]) -> Pattern | None:
    """Which kind of beginning the model leaves most often."""
    of_task: dict[str, list[Telling]] = {}
    for story in stories:
        if story.asks and "prompt_returns" in story.measures:
            of_task.setdefault(story.asks, []).append(story)
    lost = {task: [each for each in told if each.measures["prompt_returns"] == 0.0] for task, told in of_task.items()}
    shares = {task: len(lost[task]) / len(told) for task, told in of_task.items() if len(told) >= 2 * LEAST_PROMPTS}
    if len(shares) < 2 or max(shares.values()) == 0.0:
        return None
    most, least = max(shares, key=lambda task: shares[task]), min(shares, key=lambda task: shares[task])
    return Pattern(
        f"It leaves its beginning most often where that asks for {TASKS.get(most, most)} ({len(lost[most])} of "
        f"{plural(len(of_task[most]), 'completion')}), least often for {TASKS.get(least, least)} "
        f"({len(lost[least])} of {len(of_task[least])}).",
        tuple(lost[most]),
    )


TASKS = {
    "plot": "a plot",
    "cut": "the end of a sentence",
    "knowledge": "knowledge of the world",
    "reasoning": "one thing to follow from another",
    "tracking": "knowing who has what",
    "validation": "going on as a validation story does",
}
