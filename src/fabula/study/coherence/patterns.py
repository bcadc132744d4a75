"""What a model likes: the words that many of its stories begin with, a phrase that returns, a character of its own.

Counted over completions of different prompts, since those of one prompt have their beginning in common.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import kruskal

from fabula.record.text.english import SAYS_LITTLE
from fabula.record.text.words import TOKEN, words, words_with_starts
from fabula.record.wording import plural
from fabula.study.coherence.evaluated import Evaluated, Telling

PHRASE = 5
"""Words of a phrase that returns. Four are found in any two stories."""
OPENING = 3
LEAST_PROMPTS = 3
LEAST_SHARE = 0.05
SIGNIFICANT = 0.05
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
    return [" ".join(each) for each in groups if not SAYS_LITTLE.issuperset(each)]


def _own_names(story: Telling) -> list[str]:
    tokens = TOKEN.findall(story.text)
    inside = {word for _, word, starts in words_with_starts(tokens) if not starts and _CAPITAL.match(word)}
    small = {token for token in tokens if token[0].islower()}
    others = small.union(words(story.beginning), NAMELESS, SAYS_LITTLE)
    return [word for word in inside if word.lower() not in others and len(word) > 1]


def _by_task(stories: Sequence[Telling]) -> Pattern | None:
    """Which kind of beginning the model leaves most often, where the kinds differ by more than luck: the share of each
    prompt's stories is one number, and ranks decide (Kruskal and Wallis 1952)."""
    of_task: dict[str, dict[str, list[Telling]]] = {}
    for story in stories:
        if story.asks and "prompt_returns" in story.measures:
            of_task.setdefault(story.asks, {}).setdefault(story.prompt, []).append(story)
    of_task = {task: told for task, told in of_task.items() if len(told) >= LEAST_PROMPTS}
    shares = {task: [_share_left(each) for each in told.values()] for task, told in of_task.items()}
    if len(shares) < 2 or len({share for each in shares.values() for share in each}) == 1:
        return None
    if kruskal(*shares.values()).pvalue >= SIGNIFICANT:
        return None
    means = {task: sum(each) / len(each) for task, each in shares.items()}
    most, least = max(means, key=lambda task: means[task]), min(means, key=lambda task: means[task])
    told = {task: [story for each in of_task[task].values() for story in each] for task in (most, least)}
    left = {task: [story for story in each if _is_left(story)] for task, each in told.items()}
    return Pattern(
        f"It leaves its beginning most often where that asks for {TASKS.get(most, most)} ({len(left[most])} of "
        f"{plural(len(told[most]), 'completion')}), least often for {TASKS.get(least, least)} "
        f"({len(left[least])} of {len(told[least])}).",
        tuple(left[most]),
    )


def _is_left(story: Telling) -> bool:
    return story.measures["prompt_returns"] == 0.0


def _share_left(stories: Sequence[Telling]) -> float:
    return sum(map(_is_left, stories)) / len(stories)


TASKS = {
    "plot": "a plot",
    "cut": "the end of a sentence",
    "knowledge": "knowledge of the world",
    "reasoning": "one thing to follow from another",
    "tracking": "knowing who has what",
    "validation": "going on as a validation story does",
}
