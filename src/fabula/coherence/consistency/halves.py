"""Whether the end of a story is about what its beginning was about: a cut between any two sentences, and what the two
sides have in common."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fabula.coherence.consistency.order import LITTLE, stem_of
from fabula.coherence.measures.people import FEMALE, HE, MALE, SHE
from fabula.coherence.measures.sentences import Sentence

UNKNOWN = 8.0
"""Weight of a word that the fitted stories do not hold: -ln of its share, as of a word in one story of 3,000."""
CUTS = 6
"""At most, evenly spaced: to look at every cut takes twice the time."""
FEATURES = (
    "theme", "theme nearby", "common words", "share of right known", "share of left taken up", "left themes return",
    "right themes known", "new names", "lost names", "common names", "no common name", "names left only",
    "names right only", "hero lost", "hero new", "new definite things", "he or she turns", "he", "they", "I", "it",
    "speech", "begins with a new name", "begins with a pronoun", "sentences", "place", "words right", "words left",
)  # fmt: skip


@dataclass(frozen=True)
class Themes:
    """How much a stem says (-ln of the share of stories that hold it), and what it stands beside, as a direction."""

    weights: Mapping[str, float]
    directions: Mapping[str, npt.NDArray[np.float32]]
    num_directions: int

    def weight(self, word: str) -> float:
        return self.weights.get(word, UNKNOWN)

    def of(self, words: Sequence[str]) -> npt.NDArray[np.float64]:
        total = np.zeros(self.num_directions)
        for word in set(words):
            if word in self.directions:
                total += self.weight(word) * self.directions[word]
        return total


def theme_words(sentence: Sentence, names: Mapping[str, int]) -> list[str]:
    """Stems of the words that say what it is about, names left out."""
    words = (word.removesuffix("'s") for word in sentence.lower if word[0].isalpha())
    return [stem_of(word) for word in words if word and word not in names and word not in LITTLE]


def cut_features(story: Sequence[Sentence], names: Mapping[str, int], themes: Themes) -> npt.NDArray[np.float64]:
    """[cuts, FEATURES]: of cuts between a fifth and four fifths of the story; none for one of one sentence."""
    number = len(story)
    said = [theme_words(sentence, names) for sentence in story]
    named = [[name for word in each.lower if (name := word.removesuffix("'s")) in names] for each in story]
    things = [_definite(sentence) for sentence in story]
    counts = np.array([_counts(sentence) for sentence in story], dtype=float)
    vectors = np.array([themes.of(words) for words in said])
    rows = []
    first, last = max(1, number // 5), min(number - 1, number - number // 5)
    for cut in sorted({round(each) for each in np.linspace(first, last, CUTS)} if number > 1 else ()):
        left, right = (Counter(word for words in side for word in words) for side in (said[:cut], said[cut:]))
        names_left, names_right = (
            Counter(name for each in side for name in each) for side in (named[:cut], named[cut:])
        )
        common = _common(left, right, themes)
        row = [
            _cosine(vectors[:cut].sum(0), vectors[cut:].sum(0)),
            _cosine(vectors[max(0, cut - 3) : cut].sum(0), vectors[cut : cut + 3].sum(0)),
            *common,
            *_names(names_left, names_right),
            sum(themes.weight(word) for word in set().union(*things[cut:]) - set(left)) / (number - cut) / 5.0,
            *_people(counts[:cut].sum(0), counts[cut:].sum(0)),
            *_beginning(story[cut], names_left, names_right),
            math.log(number), cut / number, math.log1p(len(right)), math.log1p(len(left)),
        ]  # fmt: skip
        rows.append(row)
    return np.array(rows, dtype=float).reshape(len(rows), len(FEATURES))


def _definite(sentence: Sentence) -> set[str]:
    """What is spoken of as known: `the dog`."""
    pairs = zip(sentence.lower, sentence.lower[1:], strict=False)
    return {
        stem_of(word)
        for before, word in pairs
        if before in ("the", "that") and word[0].isalpha() and word not in LITTLE
    }


def _counts(sentence: Sentence) -> list[int]:
    groups = (HE | MALE, SHE | FEMALE, HE, SHE, {"they", "them", "their"}, {"i", "my", "me", "we"}, {"it"}, {'"'})
    return [*(sum(word in group for word in sentence.lower) for group in groups), len(sentence.lower)]


def _cosine(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(one @ other / (np.sqrt((one @ one) * (other @ other)) + 1e-9))


def _common(left: Counter[str], right: Counter[str], themes: Themes) -> list[float]:
    """How much of each side the other has, weighted by how much a word says."""
    weights = {word: themes.weight(word) for word in left | right}
    both = [word for word in left if word in right]
    squares = [math.sqrt(sum(weights[word] ** 2 for word in side)) for side in (left, right)]
    shares = [
        sum(weights[word] * min(side[word], 3) for word in both)
        / (sum(weights[word] * min(times, 3) for word, times in side.items()) + 1e-9)
        for side in (right, left)
    ]
    leading = [
        sum(word in other for word in sorted(side, key=lambda word: -side[word] * weights[word])[:5]) / 5
        for side, other in ((left, right), (right, left))
    ]
    return [sum(weights[word] ** 2 for word in both) / (squares[0] * squares[1] + 1e-9), *shares, *leading]


def _names(left: Counter[str], right: Counter[str]) -> list[float]:
    common = sum(name in right for name in left)
    new = sum(times for name, times in right.items() if name not in left)
    lost = sum(times for name, times in left.items() if name not in right)
    hero_lost = bool(left) and left.most_common(1)[0][0] not in right
    hero_new = bool(right) and right.most_common(1)[0][0] not in left
    return [
        new / (right.total() + 1), lost / (left.total() + 1), min(3, common), bool(left and right) and not common,
        bool(left) and not right, bool(right) and not left, hero_lost, hero_new,
    ]  # fmt: skip


def _people(left: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> list[float]:
    """How differently the two sides speak of he and she, of they, I and it, and how much is spoken."""
    (he_left, she_left), (he_right, she_right) = left[:2], right[:2]
    turns = (he_left and not she_left and she_right and not he_right) or (
        she_left and not he_left and he_right and not she_right
    )
    shares = [(side[2] + 0.5) / (side[2] + side[3] + 1.0) for side in (left, right)]
    rates = np.abs(left[4:8] / left[8] - right[4:8] / right[8])
    return [float(bool(turns)), abs(shares[0] - shares[1]), *(rates * (20.0, 20.0, 20.0, 10.0))]


def _beginning(sentence: Sentence, left: Counter[str], right: Counter[str]) -> list[float]:
    first = next(word for word in sentence.lower if word[0].isalnum()).removesuffix("'s")
    return [float(first in right and first not in left), float(first in ("he", "she", "they", "it"))]
