"""Measures how well the consistency tells whole stories from damaged ones.

python docs/measure_consistency.py DATA [--older FILE.jsonl[.gz]] [--fit] [--stories N] [--processes P]

DATA: TinyStories, prepared; its `validation` split is measured, with the thresholds that `tune` gave. FILE: chapters of
older books, of which those are measured that docs/fit_consistency.py leaves alone. --fit: with what is learned from
DATA, as `fabula evaluate --stories FILE --data DATA` does, instead of what comes with fabula. The record goes to
docs/measured/consistency.json, which docs/coherence_page.py writes into docs/coherence.md. Two minutes of
processor time.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from multiprocessing import Pool
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from fit_consistency import passages

from fabula.coherence.consistency.damage import exchanged, shuffled, spliced
from fabula.coherence.consistency.of_data import fitted_on
from fabula.coherence.consistency.shipped import shipped
from fabula.coherence.stories import texts_of
from fabula.data.dataset import open_dataset
from fabula.study.inference.statistics import wilson_interval

RECORD = Path(__file__).parent / "measured" / "consistency.json"
LOOKS = ("consistency", "pronouns")


def naive(text: str) -> list[str]:
    """Sentences as anybody cuts them: behind a full stop."""
    return [each for each in re.split(r"(?<=[.!?])\s+", text) if each]


def halved(text: str, other: str, cut: Callable[[str], Sequence[str]], between: str, share: float) -> str:
    one, two = cut(text), cut(other)
    return between.join([*one[: max(1, round(share * len(one)))], *two[round(share * len(two)) :]])


def damaged(texts: Sequence[str], seed: int) -> dict[str, list[str]]:
    """The same stories, damaged in ways that the fit saw (the first three) and in others."""
    random = Random(seed)
    places = [(place + random.randrange(1, len(texts))) % len(texts) for place in range(len(texts))]
    cut = [naive(text) for text in texts]
    pairs = [(text, texts[place]) for text, place in zip(texts, places, strict=True)]
    return {
        "sentences shuffled": [shuffled(text, random) for text in texts],
        "second half of another": [spliced(*pair) for pair in pairs],
        "exchanged": [exchanged(text) for text in texts],
        "shuffled, cut behind full stops": [" ".join(random.sample(each, len(each))) for each in cut],
        "halves exchanged": [
            " ".join([*each[len(each) // 2 :], *each[: len(each) // 2]]) for each in map(naive, texts)
        ],
        "another's half, cut in words": [halved(*pair, str.split, " ", 0.5) for pair in pairs],
        "another's half, cut in letters": [halved(*pair, list, "", 0.5) for pair in pairs],
        "another's last third": [halved(*pair, naive, " ", 2 / 3) for pair in pairs],
        "exchanged from the middle on": [exchanged(text, 0.5) for text in texts],
    }


class Scored:
    """`consistency` and `pronouns` of a text, in any process."""

    def __init__(self, data: Path | None) -> None:
        self.data = data

    def __call__(self, text: str) -> list[float]:
        judge = shipped() if self.data is None else fitted_on(open_dataset(self.data))
        measures = judge.measures(text)
        return [np.nan if measures[name] is None else float(measures[name] or 0.0) for name in LOOKS]


def measured(texts: Sequence[str], scored: Scored, thresholds: Sequence[float], pool: Any) -> dict[str, Any]:
    whole = np.array(pool.map(scored, texts, 16))
    found: dict[str, Any] = {
        "stories": len(texts),
        "whole_called_whole": int((whole[:, 0] >= thresholds[0]).sum()),
        "whole_accused_of_pronouns": int((whole[:, 1] < thresholds[1]).sum()),
        "ways": {},
    }
    for way, others in damaged(texts, 7).items():
        scores = np.array(pool.map(scored, others, 16))
        changed = np.array([one != other for one, other in zip(texts, others, strict=True)])
        found["ways"][way] = {
            "damaged": int(changed.sum()),
            "lower_than_whole": int((scores[:, 0] < whole[:, 0])[changed].sum()),
            "called_damaged": int((scores[:, 0] < thresholds[0])[changed].sum()),
            "accused_of_pronouns": int((scores[:, 1] < thresholds[1])[changed].sum()),
        }
        row = found["ways"][way]
        print(f"{way}: {row}; paired {wilson_interval(row['lower_than_whole'], row['damaged'])}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--older", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--stories", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    data = open_dataset(given.data)
    judge = fitted_on(data, print) if given.fit else shipped()
    scored, name = Scored(given.data if given.fit else None), "learned from the data" if given.fit else "as shipped"
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    with Pool(given.processes) as pool:
        texts = texts_of(data, "validation", given.stories)
        record[f"TinyStories, {name}"] = measured(texts, scored, list(judge.thresholds), pool)
        if given.older and not given.fit:
            unseen = passages(given.older, 100_000)[-given.stories // 2 :]
            record[f"older books, {name}"] = measured(unseen, scored, list(judge.thresholds), pool)
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
