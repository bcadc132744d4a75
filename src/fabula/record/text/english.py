"""English, as far as stories are judged by it: words that say he or she, words without a theme, and what repeats.

A story in another language has none of the first two, and nothing is concluded from them.
"""

import re
from collections.abc import Iterator

LONGEST_LOOP = 20
HE = frozenset(["he", "him", "his", "himself", "he's"])
SHE = frozenset(["she", "her", "hers", "herself", "she's"])
MALE = frozenset(["boy", "man", "king", "prince", "dad", "daddy", "father", "brother", "grandpa", "uncle", "son"])
FEMALE = frozenset(
    ["girl", "woman", "queen", "princess", "mom", "mommy", "mum", "mother", "sister", "grandma", "aunt", "lady"]
)
OTHERS = frozenset(
    """animal animals ant baby baker barber bear bee bird bug bunny butterfly cat caterpillar chef chicken child
    children clown couple cow crab dancer daughter deer doctor dog doll dolphin dragon driver duck elephant everybody
    everyone
    fairy family farmer fish fox friend frog ghost giant goat group guard hen horse its kid kitten knight lion mole
    monkey monster mouse neighbor neighbour other others owl owner parents people person pig pirate policeman puppy
    rabbit robot seller shark sheep snail snake soldier somebody someone spider squirrel stranger teacher them their
    they tiger toad turtle twins voice we whale witch wizard wolf worm""".split()
)
"""Whoever else a pronoun may mean. Once one of them has come up, nothing is concluded from a pronoun."""
FUNCTION_WORDS = frozenset(
    """about across after again against all along also always am among an and any anyone anything are around as asked at
    away back be because been before began behind being below beside between both but by came can could did do does
    down each ever every for from gave get go goes going gone got had has have having here how if in into is it just
    knew know like liked lived look looked made make many may maybe me more most much must my near never next no not
    nothing now of off often on once one only onto or other our out over own put said same saw say see so some soon
    still such take than that the their them then there these they thing things think this those though thought
    through to told too took toward towards two under until up upon us very want wanted was we well went were what
    when where which while who why will with without would yes yet you your""".split()
)
"""Words that carry no theme, however rare they are among the stories."""
OPENING_WORDS = frozenset(
    """afternoon afternoons ago beginning begin begins century centuries chapter dawn day days dusk end ended evening
    evenings ever far hour hours later long midnight minute minutes moment month months morning mornings next night
    nights noon olden past story stories tale tales telling time times today tomorrow tonight upon week weekend weeks
    year years yesterday spring summer autumn fall winter monday tuesday wednesday thursday friday saturday sunday
    special nice fine bright beautiful lovely sunny rainy cloudy snowy windy stormy foggy warm hot cold cool quiet
    early late first last whole ordinary normal usual""".split()
)
"""Words of the formulas that stories open with: `Once upon a time`, `One sunny morning`, `Long ago`. They say when, and
no story has to come back to that."""
SAYS_LITTLE = FUNCTION_WORDS | OPENING_WORDS
"""What tells nothing of what a story is about."""


def stem(word: str) -> str:
    """What `cat`, `cats` and `cat's`, or `sail`, `sailed` and `sailing`, have in common."""
    word = re.sub(r"['’]s$", "", word)
    for ending in ("ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


def repeated_share(story: list[str], length: int = 4) -> float:
    """Of the runs of `length` words, the share that stood in the story before; 0 for a story of a few words."""
    grams = list(zip(*(story[shift:] for shift in range(length)), strict=False))
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def loops(story: list[str]) -> Iterator[tuple[list[str], int]]:
    """For each length of up to LONGEST_LOOP words: what is said the most times in a row, and how many times."""
    for length in range(1, min(LONGEST_LOOP, len(story) // 2) + 1):
        longest = run = end = 0
        for index in range(length, len(story)):
            run = run + 1 if story[index] == story[index - length] else 0
            if run > longest:
                longest, end = run, index
        if longest >= length:
            yield story[end - length + 1 : end + 1], longest // length + 1


def pronouns(story: list[str]) -> tuple[int, int]:
    """How often the story says he, and how often she."""
    return sum(word in HE for word in story), sum(word in SHE for word in story)


def genders(story: list[str]) -> set[str]:
    """Which of "he" and "she" the nouns and pronouns of a text are."""
    return {"he" for word in story if word in HE | MALE} | {"she" for word in story if word in SHE | FEMALE}
