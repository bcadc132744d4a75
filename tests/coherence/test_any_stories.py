"""`fabula evaluate --stories` as a user meets it."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.coherence.commands import evaluate_command as command

from fabula.coherence.measuring import MEASURES
from fabula.coherence.stories import Told
from fabula.errors import InputError

WHOLE = (
    "Once upon a time, there was a girl named Lily. She had a red ball. One day, the ball rolled into the pond. Lily "
    "was sad. Her mom took a long stick and got the ball. Lily hugged her mom. They were happy."
)


def measured(path: Path, *lines: object) -> dict[str, Any]:
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    document: dict[str, Any] = json.loads(command("--stories", path, "--json")[0])
    return document


def test_each_story_has_its_measures_and_one_consistency(tmp_path: Path) -> None:
    pieces = WHOLE.split(". ")
    disorder = (
        ". ".join([pieces[5], pieces[0], pieces[6].rstrip("."), pieces[2], pieces[4], pieces[1], pieces[3]]) + "."
    )
    found = measured(tmp_path / "s.jsonl", {"text": WHOLE}, {"text": disorder}, {"text": "Oh."}, WHOLE)
    whole, damaged, short, again = found["stories"]
    assert [each["number"] for each in found["stories"]] == [0, 1, 2, 3]
    assert whole["consistency"] > found["consistency"]["whole_from"] > damaged["consistency"]
    assert short["consistency"] is None and short["measures"]["words"] == 1
    assert again["consistency"] == whole["consistency"] == whole["measures"]["consistency"]
    assert list(whole["measures"]) == list(MEASURES) and whole["measures"]["shared_groups"] == 1.0


def test_a_prompt_is_part_of_the_story_but_not_of_the_text(tmp_path: Path) -> None:
    prompt, rest = WHOLE[:46], WHOLE[46:]
    apart, whole, joined = measured(
        tmp_path / "s.jsonl",
        {"prompt": prompt, "completion": rest},
        {"prompt": prompt, "text": WHOLE},
        {"story": WHOLE},
    )["stories"]
    assert apart["consistency"] == whole["consistency"] == joined["consistency"]
    assert apart["measures"]["names_return"] == 1.0 and joined["measures"]["names_return"] is None
    assert apart["measures"] == whole["measures"] and apart["measures"]["words"] < joined["measures"]["words"]


def test_where_a_prompt_joins() -> None:
    assert Told("ran.", "Tom").whole == "Tom ran." and Told(" ran.", "Tom").whole == "Tom ran."
    assert Told(", he ran.", "Tom").whole == "Tom, he ran." and Told("x").continuation == "x"


def test_a_page_for_the_eye(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(json.dumps({"text": WHOLE}) + "\n")
    out, _ = command("--stories", tmp_path / "s.jsonl")
    assert out.startswith("1 story; mean of each measure:") and "0 of 1 story read more like a damaged" in out


def test_wrong_input(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    for content, message in (
        ("", "holds no story"),
        ("{", "line 1: not valid JSON"),
        ('{"text": "a"}\n{"tekst": "a"}', "line 2: no story"),
        ('{"text": 3}', "line 1: no story"),
        ('{"text": "a", "prompt": 3}', "line 1: no story"),
        ("[1]", "line 1: no story"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            command("--stories", path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        command("--stories", path)
    with pytest.raises(InputError, match="does not exist"):
        command("--stories", tmp_path / "none.jsonl")
    path.write_text('{"text": "a"}')
    for others, names in (
        ([tmp_path], "RUN"),
        (["--step", 3, "--best"], "--step and --best"),
        (["--prompts", "x"], "--p"),
    ):
        with pytest.raises(InputError, match=f"leave out {names}"):
            command(*others, "--stories", path)
    with pytest.raises(InputError, match="not a prepared folder"):
        command("--stories", path, "--data", tmp_path)
