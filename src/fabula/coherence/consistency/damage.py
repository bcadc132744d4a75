"""Stories that do not hold together, made of ones that do: what the consistency is fitted and measured on."""

import re
from random import Random

from fabula.coherence.measures.sentences import sentences_of

EXCHANGED = {
    "he": "she", "she": "he", "him": "her", "his": "her", "hers": "his", "himself": "herself", "herself": "himself",
}  # fmt: skip
GENDERED = re.compile(
    r"\b(he|she|him|his|her|hers|himself|herself)((?:['’](?:s|d|ll))?)\b(?=(\s+[a-z]+)?)", re.IGNORECASE
)
NOT_OWNED = frozenset(
    """a an the to and but or so if as that in on at with from for by of into up down out off over back home because
    when while what why how where who then too very all again not was is were are had has did could would will can
    go come came went some any this there here about after before""".split()
)
"""Before these words `her` stands for `him` (`gave her a`), before any other for `his`."""


def shuffled(text: str, random: Random) -> str:
    """The same sentences in another order; the text itself where it has fewer than three."""
    pieces = sentences_of(text)
    if len(pieces) < 3:
        return text
    order = pieces[:]
    while order == pieces:
        random.shuffle(order)
    return " ".join(order)


def spliced(text: str, other: str, share: float = 0.5) -> str:
    """The first half of `text` and the second half of `other`, in sentences."""
    first, second = sentences_of(text), sentences_of(other)
    at = [max(1, min(len(each) - 1, round(share * len(each)))) for each in (first, second)]
    return " ".join([*first[: at[0]], *second[at[1] :]])


def exchanged(text: str, from_share: float = 0.0) -> str:
    """He for she and she for he, from a share of the text on; the text itself where it says neither."""
    start = int(from_share * len(text))

    def other(found: re.Match[str]) -> str:
        word, ending = found[1].lower(), found[2]
        if word == "her":
            follows = (found[3] or "").strip()
            new = "him" if not follows or follows in NOT_OWNED else "his"
        else:
            new = EXCHANGED[word]
        return (new.capitalize() if found[1][0].isupper() else new) + ending

    return text[:start] + GENDERED.sub(other, text[start:])
