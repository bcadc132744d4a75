"""Whether a text keeps to its prompt: do its names, animals and things come back?"""

from collections.abc import Mapping

from fabula.coherence.measures.people import HE, NAMELESS, SHE, names_in
from fabula.coherence.measures.sentences import sentences_of
from fabula.record.text.english import SAYS_LITTLE, stem
from fabula.record.text.words import words

TELLING_SHARE = 0.15
"""With the stories at hand: a word that more than 15 % of them hold says nothing of this prompt."""
COMMON = frozenset(
    """day little big good happy sad small old new play played playing friend friends mom dad mommy daddy mother
    father boy girl man woman child children home house name named called loved love lived live people way time
    very nice great best hard back found find felt feel started start tried try help helped wanted didn't couldn't
    don't can't wasn't who's it's let let's please yes no""".split()
)
"""Without them: words that any story holds."""
_LITTLE = SAYS_LITTLE | HE | SHE | NAMELESS


def telling_words(prompt: str, shares: Mapping[str, float] | None = None) -> list[str]:
    """The words that say what a prompt is about: its names, and what is rare among the stories, in its order. A formula
    (`Once upon a time, there was a`) has none."""
    names = set(names_in(prompt))
    found = []
    for word in dict.fromkeys(each.removesuffix("'s").removesuffix("’s") for each in words(prompt)):
        if word in names:
            found.append(word)
        elif word in _LITTLE or len(word) < 3:
            continue
        elif shares.get(word, 0.0) <= TELLING_SHARE if shares is not None else word not in COMMON:
            found.append(word)
    return found


def returned_words(prompt: str, text: str, shares: Mapping[str, float] | None = None) -> list[str]:
    """The telling words of the prompt that come back in the text, in any form."""
    said = {stem(word) for word in words(text)}
    return [word for word in telling_words(prompt, shares) if stem(word) in said]


def prompt_returns(prompt: str, text: str, shares: Mapping[str, float] | None = None) -> float | None:
    """The share of the prompt's telling words that come back; None where it has none."""
    telling = telling_words(prompt, shares)
    return len(returned_words(prompt, text, shares)) / len(telling) if telling else None


def names_return(prompt: str, text: str) -> float | None:
    """The share of the prompt's names that come back; None where it has none."""
    names, said = names_in(prompt), set(words(text)) | {word.removesuffix("'s") for word in words(text)}
    return sum(name in said for name in names) / len(names) if names else None


def ends_sentence(text: str) -> float | None:
    """1 where the text stops behind a whole sentence, else 0."""
    last = sentences_of(text)[-1:]
    return float(last[0].rstrip("\"'”’)")[-1:] in set(".!?…")) if last else None
