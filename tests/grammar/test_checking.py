"""The grammar's own stories are consistent; one changed word is found, and named."""

import re

import pytest

from fabula.grammar import generate
from fabula.grammar.checking import check
from fabula.grammar.people import HERO_BOYS, HERO_GIRLS

TEXTS = [generate(11, index).text for index in range(40)]


def test_what_the_grammar_tells_is_consistent() -> None:
    for text in TEXTS:
        assert check(text).consistent and check(text).followed == len(text)


@pytest.mark.parametrize("text", TEXTS[:12])
def test_another_name_is_found(text: str) -> None:
    hero = max(HERO_GIRLS + HERO_BOYS, key=text.count)
    at = text.rfind(hero)
    other = next(name for name in HERO_GIRLS if name != hero)
    found = check(text[:at] + other + text[at + len(hero) :])
    assert found.finished and not found.consistent and not found.kept("name") and found.kept("pronoun", "deed")
    assert [(slip.variable, slip.at, slip.said, slip.bound) for slip in found.slips] == [("hero", at, other, hero)]


@pytest.mark.parametrize("text", TEXTS[:12])
def test_an_exchanged_pronoun_is_found(text: str) -> None:
    changed = re.sub(r"\b(he|she)\b", lambda found: {"he": "she", "she": "he"}[found[1]], text, count=1)
    if changed == text:
        pytest.skip("nobody is a he or she in this one")
    found = check(changed)
    assert found.finished and [slip.what for slip in found.slips] == ["pronoun"]


def test_another_thing_is_found() -> None:
    text = next(text for index in range(5_000) if "had a red ball" in (text := generate(1, index).text))
    at = text.rfind("the ball") + 3
    found = check(f"{text[:at]} kite{text[at + 5 :]}")
    assert found.finished
    assert [(slip.what, slip.said, slip.bound) for slip in found.slips] == [("object", "kite", "ball")]


def test_what_happened_to_another_thing_is_no_resolution() -> None:
    rolled, blown = "It had rolled all the way there by itself.", "The wind had carried it there."
    text = next(told for index in range(2_000) if rolled in (told := generate(1, index).text))
    found = check(text.replace(rolled, blown))
    assert found.finished and not found.kept("deed") and found.kept("name", "pronoun", "object")


@pytest.mark.parametrize("text", TEXTS[:6])
def test_a_story_without_its_end_is_not_finished(text: str) -> None:
    found = check(text[:200])
    assert not found.finished and not found.consistent and not found.slips and 100 < found.followed <= 200
    assert not check(text + " And then?").finished


def test_other_texts_are_no_stories_of_it() -> None:
    for text in ("", "Banana.", "Once", "\0", "Once upon a time " * 200):
        found = check(text)
        assert not found.finished and found.followed <= 20
