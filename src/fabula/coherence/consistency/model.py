"""A fitted consistency: three looks at a story, and the one number made of them.

Each look gives the logarithm of how much likelier the story is if it is whole than if it was damaged in one way: its
sentences in disorder (`order`), the end of another story (`halves`), he and she exchanged (`pronouns`). With equal
chances for the three ways, `consistency` is the probability that a story which may be whole or damaged is whole.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from fabula.coherence.consistency.halves import FEATURES, Themes, cut_features
from fabula.coherence.consistency.order import order_features
from fabula.coherence.consistency.pronouns import pronoun_features
from fabula.coherence.consistency.sparse import SIZE, Row, dot, hashed
from fabula.coherence.measures.people import names_of
from fabula.coherence.measures.sentences import Sentence, parsed
from fabula.errors import InputError
from fabula.record.files import write_bytes

LOOKS = ("order", "halves", "pronouns")
VERSION = 1
FEWEST_SENTENCES = 3
"""Two sentences have no order to speak of, and no halves."""


@dataclass(frozen=True)
class Looks:
    """What is seen of one story: the features of each look, None where it sees nothing."""

    order: Row | None
    halves: npt.NDArray[np.float64] | None
    """[cuts, FEATURES]"""
    pronouns: Row | None


@dataclass(frozen=True)
class Consistency:
    """Weights of the three looks, and how each look's sum becomes a logarithm of odds."""

    order: npt.NDArray[np.float64]
    pronouns: npt.NDArray[np.float64]
    halves: npt.NDArray[np.float64]
    center: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    themes: Themes
    slopes: npt.NDArray[np.float64]
    """[looks, 2]: factor and constant."""
    thresholds: npt.NDArray[np.float64]
    """The consistency from which on a story is called whole (as many errors on either side, on `tune`); and of the
    pronouns' logarithm, below which 1 % of the whole stories of `tune` lie."""
    fitted_on: str

    def sums(self, looks: Looks) -> npt.NDArray[np.float64]:
        """[looks]: NaN where a look sees nothing."""
        halves = math.nan
        if looks.halves is not None and len(looks.halves):
            scaled = np.clip((looks.halves - self.center) / self.spread, -4.0, 4.0)
            halves = float((scaled @ self.halves).mean())
        rows = [math.nan if row is None else dot(row, weights) for row, weights in
                ((looks.order, self.order), (looks.pronouns, self.pronouns))]  # fmt: skip
        return np.array([rows[0], halves, rows[1]])

    def odds(self, looks: Looks) -> npt.NDArray[np.float64]:
        """[looks]: natural logarithms; 0 where a look sees nothing."""
        sums = self.sums(looks)
        return np.where(np.isnan(sums), 0.0, self.slopes[:, 0] * np.nan_to_num(sums) + self.slopes[:, 1])

    def measures(self, text: str) -> dict[str, float | None]:
        """The three looks and `consistency` of a story; None where nothing can be said of it."""
        story = parsed(text)
        if len(story) < FEWEST_SENTENCES:
            return {"consistency": None, **dict.fromkeys(LOOKS)}
        looks = look(story, self.themes)
        odds = self.odds(looks)
        seen = ~np.isnan(self.sums(looks))
        each = {name: float(value) if there else None for name, value, there in zip(LOOKS, odds, seen, strict=True)}
        return {"consistency": whole(odds), **each}


def look(story: Sequence[Sentence], themes: Themes) -> Looks:
    names = names_of(story)
    pronouns = pronoun_features(story, names)
    return Looks(
        hashed(order_features(story, names)) if len(story) >= FEWEST_SENTENCES else None,
        cut_features(story, names, themes) if len(story) >= FEWEST_SENTENCES else None,
        hashed(pronouns) if pronouns else None,
    )


def whole(odds: npt.NDArray[np.float64]) -> float:
    """The probability of a whole story, if it is whole or damaged in one of the ways with equal chances."""
    damaged = float(np.logaddexp.reduce(-odds)) - math.log(len(odds))
    return 1.0 / (1.0 + math.exp(min(damaged, 700.0)))


def save(fitted: Consistency, path: Path) -> None:
    """In one file, each weight in a byte: 255 steps between the largest and its opposite."""
    words = list(fitted.themes.weights)
    arrays: dict[str, Any] = {
        "version": np.array(VERSION),
        "fitted_on": np.array(fitted.fitted_on),
        "words": np.frombuffer("\n".join(words).encode(), np.uint8),
        "word_weights": np.array([fitted.themes.weights[word] for word in words], np.float16),
        "directions": np.round(np.array([fitted.themes.directions[word] for word in words]) * 127).astype(np.int8),
    }
    for name in ("halves", "center", "spread", "slopes", "thresholds"):
        arrays[name] = getattr(fitted, name)
    for name in ("order", "pronouns"):
        weights = getattr(fitted, name)
        unit = float(np.abs(weights).max()) / 127
        arrays[name], arrays[f"{name}_unit"] = np.round(weights / unit).astype(np.int8), np.array(unit)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def load(path: Path) -> Consistency:
    """Raises InputError for a file of another version, or one that is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        words = bytes(arrays["words"]).decode().split("\n")
        directions = arrays["directions"].astype(np.float32) / 127
        themes = Themes(
            dict(zip(words, map(float, arrays["word_weights"]), strict=True)),
            dict(zip(words, directions, strict=True)),
            directions.shape[1],
        )
        order, pronouns = (arrays[name].astype(float) * float(arrays[f"{name}_unit"]) for name in ("order", "pronouns"))
        plain = {name: arrays[name] for name in ("halves", "center", "spread", "slopes", "thresholds")}
        fitted = Consistency(order=order, pronouns=pronouns, themes=themes, fitted_on=str(arrays["fitted_on"]), **plain)
        fits = int(arrays["version"]) == VERSION and len(order) == SIZE and len(fitted.halves) == len(FEATURES)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path} cannot be read ({error}); remove it, and it is made anew") from error
    if not fits:
        raise InputError(f"{path} is of another version of fabula; remove it, and it is made anew")
    return fitted
