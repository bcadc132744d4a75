"""The rules on completions: by hand, and on real stories, damaged and whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.findings import Diagnosis, diagnose
from fabula.findings.story_text import changed_pronoun, newcomer
from fabula.record.content.columns import to_columns
from fabula.record.reader import Run
from fabula.record.text.english import loops, repeated_share, stem
from fabula.record.text.words import words
from fabula.score.known_stories import names_in

KINDS = ("prompt_drift", "repetition", "copying", "inconsistency")
PROMPT = "The kingdom was at war, and a brave knight"
SHARES = {"the": 0.99, "kingdom": 0.01, "was": 0.97, "at": 0.6, "war": 0.003, "and": 0.99, "a": 0.99, "brave": 0.06,
          "knight": 0.004}  # fmt: skip
STORY = (
    " rode out at dawn. The knight met an old man who had lost his horse, and they looked for it together until the"
    " sun went down. At last they heard a sound behind the hill, and there it stood."
)


def sample(completion: str = STORY, **fields: Any) -> dict[str, Any]:
    line = {"step": 100, "prompt": PROMPT, "completion": completion, "tokens": 60, "copied_tokens": 10,
            "validation_copied_tokens": 12, "prompt_words": SHARES, "names": [], "final": True}  # fmt: skip
    return line | fields


def diagnosed(*samples: dict[str, Any]) -> Diagnosis:
    return diagnose(Run(Path("made"), {}, to_columns([]), to_columns([]), samples=list(samples)))


def found(*samples: dict[str, Any]) -> list[str]:
    return [finding.kind for finding in diagnosed(*samples).findings]


def silent(*samples: dict[str, Any]) -> dict[str, str]:
    return {kind: rule.lacks for rule in diagnosed(*samples).silent for kind in rule.kinds if kind in KINDS}


def test_a_story_that_keeps_to_its_prompt_shows_nothing() -> None:
    assert found(sample()) == []
    assert silent(sample()) == {}


def test_a_completion_that_leaves_its_prompt() -> None:
    airport = STORY.replace("knight", "boy").replace("horse", "ticket") + " They went to the airport."
    (finding,) = diagnosed(sample(airport)).of("prompt_drift")
    assert finding.scope == "completions" and finding.severity == "note" and finding.steps == (100, 100)
    (shown,) = finding.evidence["completions"]
    assert shown["words"] == ["kingdom", "war", "brave", "knight"]
    assert PROMPT in finding.sentence
    plural = airport + " The knights were far away."
    assert found(sample(plural)) == [], "knights are knights"


def test_the_other_pronoun_leaves_the_prompt() -> None:
    prompt = {"prompt": "The cat lost her hat", "prompt_words": {"cat": 0.1, "hat": 0.05, "her": 0.8}}
    she = " and she looked for the hat everywhere. She asked the dog, and she asked the bird, but nobody had seen" + (
        " it on that day in the big green wood."
    )
    he = she.replace(" she ", " he ").replace("She", "He")
    assert found(sample(she, **prompt)) == []
    assert found(sample(he, **prompt)) == ["prompt_drift"]


def test_loops_and_repeated_phrases() -> None:
    assert found(sample(STORY + " very very very good")) == []
    assert found(sample(STORY + " very very very very good")) == ["repetition"]
    assert found(sample(STORY + " the knight saw a big cat the knight saw a big cat")) == ["repetition"]
    again = "The knight went to the hill and sat. The knight went to the lake and sat. The knight went to the tree "
    (finding,) = diagnosed(sample(again + "and sat. The knight went to the sea and sat.")).of("repetition")
    assert finding.evidence["completions"][0]["repeated_share"] > 0.15


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_a_loop_is_there_as_it_is_told(story: list[str]) -> None:
    for stretch, times in loops(story):
        text = "".join(stretch) * times
        assert text in "".join(story)
    assert 0.0 <= repeated_share(story) < 1.0


def test_copying_is_measured_against_what_validation_stories_share() -> None:
    assert found(sample(copied_tokens=31)) == []
    (finding,) = diagnosed(sample(copied_tokens=40)).of("copying")
    assert finding.severity == "warning"
    assert finding.evidence["completions"][0]["copied_tokens"] == 40
    assert found(sample(copied_tokens=40, validation_copied_tokens=30)) == [], "these stories share phrases that long"
    assert silent(sample(copied_tokens=60, validation_copied_tokens=59)).keys() == {"copying"}


def test_somebody_whom_nobody_introduced() -> None:
    names = ["Lily", "Tom"]
    unknown = STORY + " Then Lily laughed and ran home."
    assert found(sample(unknown, names=names)) == ["inconsistency"]
    known = STORY + " Then a girl named Lily came, and Lily laughed."
    assert found(sample(known, names=names)) == []
    assert newcomer("Tom went home. Tom slept.", names, after=2) is None, "who is there from the start is known"
    assert newcomer("He went home to Dad and slept. Mom sang.", ["Mom", "Dad"], after=2) is None


def test_the_only_person_changes() -> None:
    start = "Once upon a time there was a girl named Lily. "
    assert changed_pronoun(start + "He liked to play.") == ("girl named Lily", "He liked to play")
    assert changed_pronoun(start + "She liked to play with her ball.") is None
    assert changed_pronoun(start + "One day she saw a bear. He was big.") is None, "he is the bear"
    assert changed_pronoun(start + '"He is gone," she said.') is None, "speech is about anybody"
    assert changed_pronoun("Tom met a girl named Lily. He liked her.") is None
    assert found(sample(" named Lily sat. " + STORY)) == []
    lily = {"prompt": "There was a girl", "prompt_words": {"girl": 0.4}, "names": ["Lily"]}
    story = " named Lily. He had a red ball, and he liked to roll it down the hill behind the house, over and over"
    assert found(sample(story + " until it was dark outside.", **lily)) == ["inconsistency"]


def test_what_is_not_there_is_named() -> None:
    assert silent().keys() == set(KINDS)
    old = {key: value for key, value in sample().items() if key in ("step", "prompt", "completion")}
    assert silent(old).keys() == {"prompt_drift", "copying", "inconsistency"}
    assert silent(sample(" rode out.")).keys() == set(KINDS), "too short to be judged"
    untrained = sample("war war war war " * 20, step=0)
    assert found(untrained) == [] and silent(untrained).keys() == set(KINDS)


def test_the_last_completion_of_a_prompt_counts() -> None:
    assert found(sample(STORY + " very very very very", step=50), sample(step=100)) == []
    (finding,) = diagnosed(
        sample(STORY + " so so so so", step=50, prompt="One day"), sample(step=100)
    ).of("repetition")  # fmt: skip
    assert finding.steps == (50, 50)
    assert finding.sentence.startswith("1 of 2 completions repeats itself")


@pytest.mark.parametrize(("word", "others"), [("cat", ["cats", "cat's"]), ("sail", ["sailed", "sailing", "sails"]),
                                              ("story", ["stories"]), ("hop", ["hopped", "hopping"])])  # fmt: skip
def test_stems(word: str, others: list[str]) -> None:
    assert {stem(each) for each in others} == {stem(word)}


def test_completions_change_no_verdict_but_by_copying() -> None:
    assert diagnosed(sample(STORY + " so so so so")).verdict == "not judged"  # no loss beside it
    assert diagnosed(sample(copied_tokens=50)).verdict == "warning"


@pytest.mark.long
def test_stories_are_hardly_ever_flagged(stories: Path) -> None:
    """With what they themselves say of their words, and cut as in docs/measure_completions.py.

    Their second halves exchanged, or looped, they are."""
    lines = (stories / "validation.jsonl").read_text("utf-8").splitlines()[:300]
    texts = [json.loads(each)["text"] for each in lines]
    held = [set(words(text)) for text in texts]
    cut = [(text.split(". ", 1)[0] + ".", " " + text.split(". ", 1)[1]) for text in texts if ". " in text]
    names = sorted(names_in(texts))
    shares = {word: sum(word in each for each in held) / len(held) for word in set().union(*held)}

    def line(prompt: str, completion: str) -> dict[str, Any]:
        told = {word: shares[word] for word in words(prompt)}
        return sample(" ".join(completion.split(" ")[:100]), prompt=prompt, prompt_words=told, names=names)

    def rate(kind: str, lines: list[dict[str, Any]]) -> float:
        return float(np.mean([kind in found(each) for each in lines]))

    whole = [line(*each) for each in cut]
    moved = [line(prompt, cut[place - 1][1]) for place, (prompt, _) in enumerate(cut)]
    looped = [line(prompt, (" ".join(rest.split(" ")[:30]) + " ") * 3) for prompt, rest in cut]
    assert rate("prompt_drift", whole) < 0.05 < 0.75 < rate("prompt_drift", moved)
    assert rate("repetition", whole) < 0.01 < 0.99 < rate("repetition", looped)
    assert rate("inconsistency", whole) < 0.02


@pytest.mark.parametrize("prompt", ["Once upon a time", "One day", "One morning", "Long ago", "One sunny afternoon",
                                    "It was a rainy day", "A long time ago", "Last summer"])  # fmt: skip
def test_a_prompt_that_is_a_formula_names_nothing(prompt: str) -> None:
    rare = {word: 0.9 if word in ("a", "it", "was") else 0.001 for word in prompt.lower().split()}
    assert not diagnosed(sample(prompt=prompt, prompt_words=rare)).of("prompt_drift")
    named = sample(prompt=f"{prompt} a pirate", prompt_words={**rare, "pirate": 0.001})
    (finding,) = diagnosed(named).of("prompt_drift")
    assert '"pirate"' in finding.sentence and '"time"' not in finding.sentence


@pytest.mark.parametrize("field", ["prompt_words", "names", "tokens", "copied_tokens", "validation_copied_tokens"])
def test_what_a_sample_does_not_know_may_be_null(field: str) -> None:
    """As what it does not have."""
    whole = sample(copied_tokens=58)
    lacking = {name: value for name, value in whole.items() if name != field}
    assert diagnosed(whole | {field: None}).as_json() == diagnosed(lacking).as_json()
