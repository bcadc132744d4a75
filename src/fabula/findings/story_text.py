"""What can be read from a story's words alone: who appears, and what they are called.

Names come with the record, since only the training stories tell them from other words. The pronouns, and the nouns
that say he or she, are English; a story in another language has none of them, and nothing is said.
"""

from collections.abc import Collection, Iterator
from itertools import pairwise

from fabula.record.text.english import FEMALE, HE, MALE, OTHERS, SHE
from fabula.record.text.words import TOKEN, words_with_starts

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
