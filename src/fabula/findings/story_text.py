"""What can be read from a story's words alone: loops, repeated phrases, who appears, and what they are called.

Names come with the record, since only the training stories tell them from other words. The pronouns, and the nouns
that say he or she, are English; a story in another language has none of them, and nothing is said.
"""

import re
from collections.abc import Collection, Iterator
from itertools import pairwise

from fabula.record.words import TOKEN, words_with_starts

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
BEFORE_A_NEWCOMER = frozenset(
    """a am an and aunt bear bird both boy brother by called captain cat cousin daughter doctor dog friend friends girl
    i'm is king kitten little meet meets met miss mister mr mrs ms name named names of or prince princess puppy queen
    rabbit saw sister son the uncle was with grandma grandpa""".split()
)
"""Words after which a name introduces somebody."""
NO_PERSONS = frozenset(
    """aunt christmas dad daddy dr easter english friday god grandma grandpa halloween mama miss mister mom mommy monday
    mr mrs ms mum mummy papa saturday sunday thursday tuesday uncle wednesday""".split()
)
"""Written like names, and never introduced."""
OPENERS = frozenset(
    """a an the he she it they we i you his her its their our my your this that these those there here one once two
    three some many all every each no and but or so then when while as if because after before since until at in on of
    to from with without for by into over under what who why how where which yes oh now today tomorrow yesterday
    suddenly finally soon later next first last again also even just still only both another on long far
    deep""".split()
)
"""Words that begin a sentence without being a name."""
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


def newcomer(text: str, names: Collection[str], after: int) -> str | None:
    """The first name that comes up after `after` tokens without anything that introduces it; None: there is none.

    What introduces a name: `named`, `her friend`, a comma on either side, `and` or `with` before it.
    """
    tokens = TOKEN.findall(text)
    seen: set[str] = set()
    for index, word, _ in words_with_starts(tokens):
        if word not in names or word.lower() in NO_PERSONS or word in seen:
            continue
        seen.add(word)
        before = tokens[index - 1].lower() if index else ""
        introduced = before in BEFORE_A_NEWCOMER or before == "," or tokens[index + 1 : index + 2] == [","]
        if index >= after and not introduced and not (before == "." and _is_title(tokens[index - 2])):
            return word
    return None


def _is_title(word: str) -> bool:
    return word.lower() in ("dr", "mr", "mrs", "ms", "st")


def changed_pronoun(text: str) -> tuple[str, str] | None:
    """Who is introduced as the only person, and the first sentence that calls them by the other pronoun.

    Looked for until anybody else comes up, outside of speech; None where no such sentence is found.
    """
    said = list(_sentences(text))
    hero = next((each for each in map(_introduced, said) if each is not None), None)
    if hero is None:
        return None
    who, name = hero
    start = next(place for place, sentence in enumerate(said) if _introduced(sentence) == hero)
    if any(_someone(word) for sentence in said[:start] for word in sentence):
        return None
    for sentence in said[start + 1 :]:
        for place, word in enumerate(sentence):
            lower = word.lower()
            if lower in HE | SHE:
                if (lower in SHE) != (who in FEMALE):
                    return (f"{who} named {name}" if name else who), " ".join(sentence)
            else:
                unknown = word[0].isupper() and word != name and (place > 0 or lower not in OPENERS)
                if unknown or (lower != who and _someone(word)):
                    return None
    return None


def _sentences(text: str) -> Iterator[list[str]]:
    """The words of each sentence, possessives taken off; what stands between quotation marks is left out."""
    tokens, in_speech, start = TOKEN.findall(text), False, 0
    starts = {index: word for index, word, _ in words_with_starts(tokens)}
    edges = [0, *(place + 1 for place, token in enumerate(tokens) if token in '.!?\n"“”'), len(tokens)]
    for start, stop in pairwise(edges):
        if start and tokens[start - 1] in '"“”':
            in_speech = not in_speech
        sentence = [starts[index] for index in range(start, stop) if index in starts]
        if sentence and not in_speech:
            yield sentence


def _introduced(sentence: list[str]) -> tuple[str, str] | None:
    """Noun and name of the only person that a sentence introduces (`there was a girl named Lily`); name may lack."""
    lower = [word.lower() for word in sentence]
    nouns = [place for place, word in enumerate(lower) if word in MALE | FEMALE]
    if len(nouns) != 1 or any(_other(word) for word in lower) or lower[0] not in OPENERS:
        return None
    (noun,) = nouns
    call = next((place for place, word in enumerate(lower) if word in ("named", "called")), None)
    capital = [place for place in range(1, len(sentence)) if sentence[place][0].isupper()]
    if call is not None and call > noun and capital == [call + 1]:
        return lower[noun], sentence[call + 1]
    if not capital and call is None and {"a", "an"} & set(lower[max(0, noun - 3) : noun]):
        return lower[noun], ""
    return None


def _other(lower: str) -> bool:
    return lower in OTHERS or lower.removesuffix("s") in OTHERS


def _someone(word: str) -> bool:
    lower = word.lower()
    return lower in MALE | FEMALE or lower.removesuffix("s") in MALE | FEMALE or _other(lower)
