"""Fitting a consistency: whole stories against the same ones damaged."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from fabula.coherence.consistency.damage import exchanged, shuffled, spliced
from fabula.coherence.consistency.halves import Themes, theme_words
from fabula.coherence.consistency.model import Consistency, Looks, look, whole
from fabula.coherence.consistency.sparse import logistic, stacked
from fabula.coherence.measures.people import names_of
from fabula.coherence.measures.sentences import parsed

DIRECTIONS = 64
LEAST_STORIES = 5
"""A word that fewer stories hold has no direction to be trusted."""
PENALTY = {"order": 1e-4, "pronouns": 1e-3, "halves": 1e-3}
"""Of 1e-5, 1e-4 and 1e-3 on `tune`: the order lies within a point for all three, pronouns are best at the last."""
ACCUSED = 0.01
"""Whole stories whose pronouns may be called exchanged."""
Map = Callable[[Callable[[str], Looks], Iterable[str]], Iterable[Looks]]


def fit(
    texts: Sequence[str],
    tune: Sequence[str],
    fitted_on: str,
    themes: Themes | None = None,
    each: Map = map,
    seed: int = 0,
) -> Consistency:
    """Weights from `texts`, odds and thresholds from `tune`. `each`: a map, for whoever has several processes."""
    themes = themes or fit_themes(texts)
    true, *damaged = _looks(texts, Random(seed), themes, each)
    order = _weights([true, damaged[0]], "order")
    pronouns = _weights([true, damaged[2]], "pronouns")
    cuts = [np.concatenate([looks.halves for looks in side if looks.halves is not None]) for side in (true, damaged[1])]
    both = np.concatenate(cuts)
    center, spread = both.mean(0), both.std(0) + 1e-9
    is_true = np.arange(len(both)) < len(cuts[0])
    halves, _ = logistic(np.clip((both - center) / spread, -4.0, 4.0), is_true, PENALTY["halves"])
    raw = Consistency(
        order, pronouns, halves, center, spread, themes, np.tile([1.0, 0.0], (3, 1)), np.zeros(2), fitted_on
    )
    tuned, *tuned_damaged = _looks(tune, Random(seed + 1), themes, each)
    return _with_odds(raw, tuned, tuned_damaged)


def damaged_in_each_way(texts: Sequence[str], random: Random) -> list[list[str]]:
    """The same stories: sentences in disorder, the end of another, he and she exchanged."""
    return [
        [shuffled(text, random) for text in texts],
        [spliced(text, texts[(place + random.randrange(1, len(texts))) % len(texts)], random.uniform(0.35, 0.65))
         for place, text in enumerate(texts)],
        [exchanged(text) for text in texts],
    ]  # fmt: skip


def _looks(texts: Sequence[str], random: Random, themes: Themes, each: Map) -> list[list[Looks]]:
    see = Seen(themes)
    return [list(each(see, side)) for side in (texts, *damaged_in_each_way(texts, random))]


class Seen:
    """A look at a text, which other processes can be given."""

    def __init__(self, themes: Themes) -> None:
        self.themes = themes

    def __call__(self, text: str) -> Looks:
        return look(parsed(text), self.themes)


def _weights(sides: Sequence[Sequence[Looks]], name: str) -> npt.NDArray[np.float64]:
    rows = [[row for looks in side if (row := getattr(looks, name)) is not None] for side in sides]
    is_true = np.arange(sum(map(len, rows))) < len(rows[0])
    weights, _ = logistic(stacked([row for side in rows for row in side]), is_true, PENALTY[name])
    return weights


def _with_odds(raw: Consistency, true: Sequence[Looks], damaged: Sequence[Sequence[Looks]]) -> Consistency:
    """The same, with the logarithm of odds that each look's sum is worth."""
    sums = np.array([raw.sums(looks) for looks in true])
    slopes = np.zeros((3, 2))
    for index, side in enumerate(damaged):
        others = np.array([raw.sums(looks) for looks in side])[:, index]
        values = np.concatenate([sums[:, index], others])
        is_true = np.arange(len(values)) < len(sums)
        known = ~np.isnan(values)
        factor, constant = logistic(values[known, None], is_true[known], 1e-6)
        slopes[index] = float(factor[0]), constant
    fitted = replace(raw, slopes=slopes)
    good = np.array([whole(fitted.odds(looks)) for looks in true])
    bad = np.array([whole(fitted.odds(looks)) for side in damaged[:2] for looks in side])
    among = np.sort(np.concatenate([good, bad]))
    right = [(good >= threshold).mean() + (bad < threshold).mean() for threshold in among]
    pronouns = np.quantile([fitted.odds(looks)[2] for looks in true], ACCUSED)
    return replace(fitted, thresholds=np.array([among[int(np.argmax(right))], pronouns]))


def fit_themes(texts: Sequence[str]) -> Themes:
    """Weights of words, and directions in which words that stand in the same stories lie close (latent semantic
    analysis, Deerwester et al. 1990)."""
    held = []
    for text in texts:
        story = parsed(text)
        names = names_of(story)
        held.append({word for sentence in story for word in theme_words(sentence, names)})
    counts: dict[str, int] = {}
    for words in held:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    known = {word: place for place, word in enumerate(sorted(word for word in counts if counts[word] >= LEAST_STORIES))}
    weights = {word: float(np.log(len(texts) / counts[word])) for word in known}
    cells = [
        (row, known[word], weights[word]) for row, words in enumerate(held) for word in sorted(words) if word in known
    ]
    rows, columns, values = (np.array(each) for each in zip(*cells, strict=True))
    table = scipy.sparse.csr_matrix((values.astype(np.float32), (rows, columns)), shape=(len(texts), len(known)))
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(1)).ravel())
    table = scipy.sparse.diags(1.0 / np.maximum(lengths, 1e-9)) @ table
    number = min(DIRECTIONS, min(table.shape) - 1)
    _, _, directions = scipy.sparse.linalg.svds(table.astype(np.float32), k=number, random_state=0)
    directions = directions.T / np.maximum(np.linalg.norm(directions.T, axis=1, keepdims=True), 1e-9)
    return Themes(weights, {word: directions[place] for word, place in known.items()}, number)
