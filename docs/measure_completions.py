"""Measures how often the rules on completions speak: of real stories, and of stories that were damaged on purpose.

python docs/measure_completions.py DATA [DATA ...]

DATA: prepared folders; the record goes to docs/measured/completions.json, which findings_page.py reads. A story is cut
behind its first sentence: what stands before is the prompt, the next 120 tokens are the completion.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fabula.data.dataset import Dataset, open_dataset
from fabula.findings import Facts
from fabula.findings.kinds import COMPLETIONS, TOPICS
from fabula.findings.rule import Silent
from fabula.findings.rules.completions import MIN_WORDS
from fabula.record.text.words import words
from fabula.score.known_stories import KnownStories, know_stories

RECORD = Path(__file__).parent / "measured" / "completions.json"
NUM_TOKENS = 120
SENTENCE_END = re.compile(r"[.!?][\"”]?(?=\s)")
OTHER_PRONOUN = {"he": "she", "him": "her", "his": "her", "himself": "herself", "she": "he", "her": "his",
                 "hers": "his", "herself": "himself"}  # fmt: skip
Random = np.random.Generator


@dataclass(frozen=True)
class Told:
    """A story cut in two: text, and the token ids of its second part."""

    prompt: str
    completion: str
    ids: tuple[int, ...]


def stories(data: Dataset, split: str) -> list[Told]:
    """The stories of a split whose second part is long enough to be judged."""
    whole = data.split(split)  # type: ignore[arg-type]
    found = []
    for index in range(whole.num_stories):
        text = data.tokenizer.decode(whole.story(index))
        end = SENTENCE_END.search(text)
        if end is None:
            continue
        ids = tuple(data.tokenizer.encode(text[end.end() :]).tolist()[:NUM_TOKENS])
        completion = data.tokenizer.decode(ids)
        if len(words(completion)) >= MIN_WORDS:
            found.append(Told(text[: end.end()], completion, ids))
    return found


def _halves(told: Told) -> tuple[str, str]:
    """A completion cut behind the sentence that ends nearest to its middle."""
    ends = [match.end() for match in SENTENCE_END.finditer(told.completion)] or [len(told.completion) // 2]
    at = min(ends, key=lambda end: abs(end - len(told.completion) // 2))
    return told.completion[:at], told.completion[at:]


def looped(told: Told, other: Told, random: Random) -> str:
    """From somewhere on, the last 1 to 12 words again and again."""
    parts = told.completion.split(" ")
    length, at = int(random.integers(1, 13)), int(random.uniform(0.3, 0.6) * len(parts))
    stretch = parts[max(0, at - length) : at]
    return " ".join([*parts[:at], *(stretch * len(parts))][: len(parts)])


def of_another(told: Told, other: Told, random: Random) -> str:
    return other.completion


def spliced(told: Told, other: Told, random: Random) -> str:
    return _halves(told)[0] + _halves(other)[1]


def other_pronouns(told: Told, other: Told, random: Random) -> str:
    """He for she and she for he, in the whole completion."""

    def exchanged(match: re.Match[str]) -> str:
        word = match.group()
        new = OTHER_PRONOUN.get(word.lower(), word)
        return new.capitalize() if word[0].isupper() else new

    return re.sub(r"[A-Za-z]+", exchanged, told.completion)


Damage = Callable[[Told, Told, Random], str]
DAMAGED: dict[str, tuple[str, str, Damage]] = {
    "another story's completion": ("prompt_drift", "of all", of_another),
    "the last 1 to 12 words again and again": ("repetition", "of all", looped),
    "the second half is another story's": ("inconsistency", "of all", spliced),
    "he for she and she for he": ("inconsistency", "of those that have such a word", other_pronouns),
}


def copied_from_training(data: Dataset, told: list[Told], random: Random) -> Iterator[tuple[Told, int]]:
    """Completions in which 40 to 100 tokens are exchanged for a training story's."""
    train = data.split("train")
    for each in told:
        length = int(random.integers(40, 101))
        story = train.story(int(random.integers(train.num_stories)))
        while len(story) < length + 10:
            story = train.story(int(random.integers(train.num_stories)))
        begin = int(random.integers(0, len(story) - length))
        at = int(random.integers(0, max(1, len(each.ids) - length)))
        ids = (*each.ids[:at], *story[begin : begin + length].tolist(), *each.ids[at + length :])[:NUM_TOKENS]
        yield Told(each.prompt, data.tokenizer.decode(ids), tuple(ids)), length


def found_in(known: KnownStories, told: list[Told]) -> dict[str, int]:
    """Kind -> in how many of the completions it is found."""
    counts = {kind.name: 0 for kind in TOPICS[COMPLETIONS]}
    for start in range(0, len(told), 100):
        some = told[start : start + 100]
        prompts, ids, texts = zip(*((each.prompt, each.ids, each.completion) for each in some), strict=True)
        fields = known.fields(prompts, ids, texts)
        for each, more in zip(some, fields, strict=True):
            facts = Facts(samples=[{"step": 1, "prompt": each.prompt, "completion": each.completion, **more}])
            for kind in TOPICS[COMPLETIONS]:
                assert kind.rule is not None
                outcome = kind.rule.look(facts)
                if isinstance(outcome, Silent):  # where stories resemble each other too much to tell a copy
                    assert kind.name == "copying", outcome
                    continue
                for finding in outcome:
                    counts[finding.kind] += 1
    return counts


def measure(folder: Path, split: str) -> dict[str, Any]:
    data = open_dataset(folder)
    known, told = know_stories(data), stories(data, split)
    random = np.random.default_rng(0)
    order = random.permutation(len(told))
    others = [told[place] for place in np.roll(order, 1)[np.argsort(order)]]  # no story is its own other
    record: dict[str, Any] = {
        "source": Path(data.manifest.source).name,
        "split": split,
        "num_stories": len(told),
        "as_they_are": found_in(known, told),
        "damaged": {},
    }
    for name, (kind, of, damage) in DAMAGED.items():
        made = [
            Told(each.prompt, text, tuple(data.tokenizer.encode(text).tolist()))
            for each, other in zip(told, others, strict=True)
            if (text := damage(each, other, random)) != each.completion and len(words(text)) >= MIN_WORDS
        ]
        record["damaged"][name] = {"kind": kind, "of": of, "num": len(made), "found": found_in(known, made)[kind]}
    copied = [each for each, _ in copied_from_training(data, told, random) if len(words(each.completion)) >= MIN_WORDS]
    record["damaged"]["40 to 100 tokens of a training story"] = {
        "kind": "copying", "of": "of all", "num": len(copied), "found": found_in(known, copied)["copying"],
    }  # fmt: skip
    return record


if __name__ == "__main__":
    measured = [measure(Path(folder), split) for folder in sys.argv[1:] for split in ("validation", "tune")]
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=1))
