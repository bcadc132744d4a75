"""Whether a story holds together: whole ones against the same ones damaged."""

import dataclasses
import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest

from fabula.coherence.consistency.damage import exchanged, shuffled, spliced
from fabula.coherence.consistency.fitting import damaged_in_each_way, fit
from fabula.coherence.consistency.model import LOOKS, Consistency, load, save
from fabula.coherence.consistency.shipped import shipped
from fabula.coherence.measures.sentences import sentences_of
from fabula.errors import InputError

STORY = (
    "Once upon a time, there was a girl named Lily. She had a red ball. One day, the ball rolled into the pond. Lily "
    'was sad. "Can you help me?" she asked her mom. Her mom took a long stick and got the ball. Lily hugged her.'
)


@pytest.fixture(scope="module")
def texts(stories: Path) -> list[str]:
    """Of the kind that it was fitted on, and stories that were written for these tests, which are another kind."""
    lines = (stories / "validation.jsonl").read_text(encoding="utf-8").splitlines()[:60]
    return [json.loads(line)["text"] for line in lines]


def scores(texts: list[str], name: str = "consistency") -> np.ndarray:
    return np.array([shipped().measures(text)[name] for text in texts], dtype=float)


def test_damage() -> None:
    pieces = sentences_of(STORY)
    assert (
        sorted(sentences_of(shuffled(STORY, Random(0)))) == sorted(pieces)
        and shuffled("One. Two.", Random(0)) == "One. Two."
    )
    other = "Tom ran. He fell. He cried. He slept."
    assert spliced(STORY, other) == " ".join([*pieces[:4], "He cried.", "He slept."])
    changed = exchanged(STORY)
    assert "He had a red ball" in changed and "he asked his mom" in changed and "Lily hugged him." in changed
    assert exchanged("He's here; his dog saw him. HERS") == "She's here; her dog saw her. His"
    assert exchanged("He ran. He ran.", 0.5) == "He ran. She ran."
    assert exchanged("They ran.") == "They ran."


@pytest.fixture(scope="module")
def least(stories: Path) -> float:
    """The share that must be told right."""
    return 0.85 if "tinystories" in stories.parts else 0.65


def test_damaged_stories_are_told_from_whole_ones(texts: list[str], least: float) -> None:
    whole = scores(texts)
    disorder, others_end, exchanged_ = map(scores, damaged_in_each_way(texts, Random(1)))
    threshold = shipped().thresholds[0]
    for damaged in (disorder, others_end):
        assert (whole > damaged).mean() >= least
        assert ((whole >= threshold).mean() + (damaged < threshold).mean()) / 2 >= least
    gendered = np.array([exchanged(text) != text for text in texts])
    assert (whole > exchanged_)[gendered].mean() >= least - 0.1


def test_other_ways_to_damage(texts: list[str], least: float) -> None:
    """Cut at words instead of sentences, joined in other ways."""
    whole, random = scores(texts), Random(2)
    naive = [re.split(r"(?<=[.!?]) ", text) for text in texts]
    apart = [text.split() for text in texts]
    words = [
        " ".join(one[: len(one) // 2] + other[len(other) // 2 :])
        for one, other in zip(apart, apart[1:] + apart[:1], strict=True)
    ]
    shuffled_naively = [" ".join(random.sample(each, len(each))) for each in naive]
    assert (whole > scores(words)).mean() >= least and (whole > scores(shuffled_naively)).mean() >= least


def test_white_space_and_the_shape_of_quotation_marks_say_nothing() -> None:
    first = shipped().measures(STORY)
    curly = re.sub(r'"([^"]*)"', r"“\1”", STORY).replace(". ", ".\n\n")
    assert shipped().measures(curly) == first and set(first) == {"consistency", *LOOKS}


@pytest.mark.parametrize("text", ["", " ", "One word", "One. Two.", "?!", "\n\n", "5. 6. 7.", "日本。語。"])
def test_any_text_has_a_number_or_none(text: str) -> None:
    measures = shipped().measures(text)
    assert all(value is None or np.isfinite(value) for value in measures.values())
    assert (measures["consistency"] is None) == (text != "5. 6. 7.")


def test_a_long_text_has_a_number() -> None:
    assert 0.0 < _of(shipped(), "It was a long day and they went on. " * 400) < 1.0


def test_who_is_meant_is_known_from_what_was_said() -> None:
    right = "There was a boy named Zorb. He had a cat. Zorb loved his cat. He was happy."
    wrong = exchanged(right)
    assert shipped().measures(right)["pronouns"] > 1 > -1 > shipped().measures(wrong)["pronouns"]  # type: ignore[operator]
    neutral = "The sun was hot. The stones were hot. The sand was hot."
    assert shipped().measures(neutral)["pronouns"] is None


def made_up(number: int) -> list[str]:
    """Stories of six sentences with an order of their own."""
    random = Random(number)
    told = []
    for _ in range(number):
        who, he = random.choice([("Anna", "she"), ("Ben", "he")])
        thing = random.choice(["ball", "kite", "boat", "drum", "cake", "lamp"])
        told.append(
            f"First {who} woke up. Then {he} took a {thing}. Next the {thing} was lost. {he.title()} cried. "
            f"Soon {who} found the {thing}. At last {he} slept."
        )
    return told


@pytest.mark.long
def test_a_fit_on_other_stories_is_kept_and_read_again(tmp_path: Path) -> None:
    fitted = fit(made_up(80), made_up(40), "made up")
    tested = made_up(30)
    save(fitted, tmp_path / "kept.npz")
    kept = load(tmp_path / "kept.npz")
    for one in (fitted, kept):
        pairs = [(_of(one, text), _of(one, shuffled(text, Random(3)))) for text in tested]
        assert np.mean([whole > damaged for whole, damaged in pairs]) >= 0.9
    assert kept.fitted_on == "made up" and _of(kept, tested[0]) == pytest.approx(_of(fitted, tested[0]), abs=0.05)


def _of(fitted: Consistency, text: str) -> float:
    found = fitted.measures(text)["consistency"]
    assert found is not None
    return found


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "kept.npz"
    for content in (b"", b"PK\x03\x04", b"x" * 1000):
        path.write_bytes(content)
        with pytest.raises(InputError, match="remove it"):
            load(path)
    save(dataclasses.replace(shipped(), halves=np.zeros(3)), path)
    with pytest.raises(InputError, match="another version"):
        load(path)
