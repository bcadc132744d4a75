"""Near-duplicates: what counts as the same story, against a slow reference of the stated rule."""

import json
import random
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.data.prepare import duplicates
from fabula.data.prepare.duplicates import SHINGLE, HeldOut, normalise, shingles, story_keys


def words(seed: int, num: int) -> list[str]:
    generator = random.Random(seed)
    return ["".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=generator.randint(2, 8))) for _ in range(num)]


def index_of(texts: list[str], rate: int = 8) -> HeldOut:
    letters = [normalise(text) for text in texts]
    return HeldOut.build(story_keys(texts, letters), *shingles(letters, rate), rate)


def resembling(held_out: HeldOut, texts: list[str]) -> list[bool]:
    letters = [normalise(text) for text in texts]
    return duplicates.resembling([held_out], story_keys(texts, letters), letters)[0].tolist()


def test_normalising_keeps_letters_and_digits() -> None:
    assert normalise("It's 3 o'clock, Tom!\n") == b"its3oclocktom"
    assert normalise("“Zoë” – ﬁne, 日本") == "zoëfine日本".encode()
    assert normalise("?!… —") == b""


@given(st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("“”’–…é\u0301\u037a™½ aZ1<")), max_size=12))
def test_normalising_follows_its_definition(text: str) -> None:
    folded = unicodedata.normalize("NFKC", text).casefold()
    assert normalise(text) == "".join(filter(str.isalnum, folded)).encode()


def test_case_spacing_and_punctuation_do_not_make_another_story() -> None:
    held_out = index_of(['Tom said, "Go!" And he went.'])
    assert resembling(held_out, ["tom said: “GO” — and he went", "Tom said go and he came"]) == [True, False]


def test_stories_without_letters_are_told_apart_by_their_text() -> None:
    assert resembling(index_of(["!!!"]), ["!!!", "???"]) == [True, False]


@pytest.mark.parametrize(
    ("share_kept", "expected"), [(1.0, True), (0.8, True), (0.65, True), (0.35, False), (0.0, False)]
)
def test_a_share_of_the_story_decides(share_kept: float, expected: bool) -> None:
    original = words(1, 400)
    changed = original[: int(400 * share_kept)] + words(2, 400 - int(400 * share_kept))
    assert resembling(index_of([" ".join(original)]), [" ".join(changed)]) == [expected]


def test_a_story_inside_a_longer_one_is_found_from_both_sides() -> None:
    inner, around = words(3, 200), words(4, 1500)
    longer = " ".join(around[:700] + inner + around[700:])
    assert resembling(index_of([" ".join(inner)]), [longer]) == [True]
    assert resembling(index_of([longer]), [" ".join(inner)]) == [True]


def test_the_halves_of_two_held_out_stories_make_no_duplicate() -> None:
    first, second, third = words(5, 300), words(6, 300), words(7, 300)
    mixed = " ".join(first[:100] + second[:100] + third[:100])
    held_out = index_of([" ".join(part) for part in (first, second, third)])
    assert resembling(held_out, [mixed]) == [False]


def test_formulas_are_no_evidence() -> None:
    opening = " ".join(words(8, 40))
    held_out = index_of([f"{opening} {' '.join(words(100 + i, 10))}" for i in range(duplicates.FORMULA + 5)])
    assert resembling(held_out, [f"{opening} {' '.join(words(9, 10))}"]) == [False]


def test_an_index_survives_its_file(tmp_path: Path) -> None:
    texts = [" ".join(words(i, 60)) for i in range(20)]
    held_out = index_of(texts)
    held_out.save(tmp_path / "index")
    again = HeldOut.load(tmp_path / "index")
    assert again.rate == held_out.rate
    assert resembling(again, [texts[7], " ".join(words(99, 60))]) == [True, False]


def test_nothing_resembles_an_empty_index() -> None:
    empty = HeldOut.build(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))
    assert resembling(empty, ["a story"]) == [False]
    assert resembling(index_of(["a story"]), []) == []


@settings(deadline=None)
@given(st.lists(st.text("ab c", max_size=120), max_size=8))
def test_shingles_are_those_of_each_story_alone(texts: list[str]) -> None:
    """Hashes of runs of bytes: equal runs have equal hashes, and no run crosses from one story to the next."""
    letters = [normalise(text) for text in texts]
    hashes, owners = shingles(letters, rate=1)
    for index, data in enumerate(letters):
        runs = {data[i : i + SHINGLE] for i in range(len(data) - SHINGLE + 1)}
        mine = hashes[owners == index]
        assert len(mine) == len(runs)
        alone, _ = shingles([data], rate=1)
        assert sorted(alone) == sorted(mine)


def slow_rule(held_out: list[str], text: str) -> bool:
    """The rule as its sentence says it, one pair at a time."""
    mine = normalise(text)
    kept = set(shingles([mine])[0].tolist())
    for other in held_out:
        letters = normalise(other)
        if letters == mine:
            return True
        theirs = set(shingles([letters])[0].tolist())
        fewer = min(len(kept), len(theirs))
        if fewer >= duplicates.MIN_SHINGLES and len(kept & theirs) >= duplicates.SHARE * fewer:
            return True
    return False


def test_the_index_is_the_rule_on_mixed_stories() -> None:
    generator = random.Random(11)
    pool = [" ".join(words(200 + i, 20)) for i in range(30)]
    held_out = [" ".join(generator.sample(pool, generator.randint(2, 8))) for _ in range(40)]
    asked = [" ".join(generator.sample(pool, generator.randint(2, 8))) for _ in range(60)] + held_out[:3]
    found = resembling(index_of(held_out), asked)
    assert found == [slow_rule(held_out, text) for text in asked]
    assert 0 < sum(found) < len(asked)


def test_stories_are_not_taken_for_each_other(stories: Path) -> None:
    """Free of duplicates already: no false alarm; a copy in which a word has changed is still found."""
    texts = [json.loads(line)["text"] for line in (stories / "validation.jsonl").read_text("utf-8").splitlines()]
    held_out, others = texts[: len(texts) // 2], texts[len(texts) // 2 :]
    assert len(others) >= 16 and not any(resembling(index_of(held_out), others))
    edited = [re.sub(r"\b(Lily|Sam|Rosa|Anna|Leo|happy|glad|bear|fox|Ben)\b", "Mia", text) for text in held_out[:100]]
    assert sum(new != old for new, old in zip(edited, held_out, strict=False)) >= 8
    assert np.mean(resembling(index_of(held_out), edited)) >= 0.95
