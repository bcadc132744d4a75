"""Where beginnings of stories come from."""

import json
from collections import Counter
from pathlib import Path

import pytest

from fabula.coherence.prompts.sets import prompt_set, unique_names
from fabula.coherence.prompts.validation import beginning_of
from fabula.errors import InputError
from fabula.recipe.schema import ORIGINAL_PROMPTS

STORY = "Tom had a dog. The dog was big. They ran. " + "Then they went home and ate a lot of good soup. " * 12


def test_ours_are_44_beginnings_of_each_kind() -> None:
    prompts = prompt_set("fabula", None).prompts
    assert len({prompt.text for prompt in prompts}) == 44
    asks = Counter(prompt.asks for prompt in prompts)
    assert set(asks) == {"plot", "cut", "knowledge", "reasoning", "tracking"} and min(asks.values()) >= 8
    assert all(prompt.text == prompt.text.strip() for prompt in prompts)
    assert [each.text for each in prompt_set("original", None).prompts] == list(ORIGINAL_PROMPTS)


@pytest.mark.parametrize("number", range(6))
def test_a_validation_story_is_cut_and_nothing_is_lost(number: int) -> None:
    begun, rest = beginning_of(STORY, number)  # type: ignore[misc]
    assert begun + rest == STORY and begun.startswith("Tom had a dog.")
    assert begun.endswith(".") == (number % 3 < 2)


def test_a_story_that_leaves_nothing_to_tell_is_no_beginning() -> None:
    assert beginning_of("Tom had a dog. The dog was big.", 0) is None
    assert beginning_of("word " * 200, 0) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.txt", "One day\n\n  Tom saw a cat and  \nOne day\n"),
        ("mine.jsonl", '{"prompt": "One day"}\n\n"Tom saw a cat and"\n'),
        ("mine", '\ufeff{"prompt": "One day"}\r\n{"prompt": "Tom saw a cat and "}\r\n'),
    ],
)
def test_a_file_of_ones_own(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = prompt_set(str(tmp_path / name), None)
    assert (found.name, [each.text for each in found.prompts]) == ("mine", ["One day", "Tom saw a cat and"])


def test_a_known_continuation_is_the_human_anchor(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"prompt": "One day", "continuation": " it rained."}) + "\n")
    with_it = prompt_set(str(path), None)
    assert with_it.prompts[0].continuation == " it rained."
    path.write_text(json.dumps({"prompt": "One day"}) + "\n")
    assert prompt_set(str(path), None).hash != with_it.hash
    assert [each.name for each in unique_names([with_it, with_it])] == ["mine", "mine-2"]


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    for content, message in (
        ("", "holds no prompt"),
        ('{"text": "x"}', "line 1: no beginning"),
        ('{"prompt": " "}', "line 1: no beginning"),
        ('{"prompt": "a"}\n[1', "line 2: not valid JSON"),
        ('{"prompt": "a", "continuation": 3}', "`continuation` is not a text"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            prompt_set(str(path), None)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        prompt_set(str(path), None)
    with pytest.raises(InputError, match='did you mean "validation"'):
        prompt_set("validaton", None)
    with pytest.raises(InputError, match="--data DIR"):
        prompt_set("validation", None)
