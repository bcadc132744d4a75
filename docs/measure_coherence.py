"""Measures which measures of a story order human stories, well trained models, and badly trained ones.

python docs/measure_coherence.py --data DATA good=RUN[,RUN...] poor=RUN[,RUN...] [--samples N] [--tokens N]

DATA: the stories that the runs were trained on. Each run completes the beginnings of 44 validation stories, whose true
continuations are the human side. The record goes to docs/measured/coherence.json, which docs/coherence_page.py writes
into docs/coherence.md. The runs' evaluations.jsonl are appended to.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fabula.coherence.completing import Settings
from fabula.coherence.measuring import MEASURES, hold_against
from fabula.coherence.prompts.sets import prompt_set
from fabula.coherence.session import evaluate_run
from fabula.data.dataset import open_dataset
from fabula.record.reader import read_info

NAMED = ("consistency", "order", "prompt_returns", "rare_words")
"""Named before anything was measured, with the distance from human stories, which is made of all of them: each of these
is to be highest in human stories, lower in `good` (modern or packed) and lowest in `poor` (baseline)."""
RECORD = Path(__file__).parent / "measured" / "coherence.json"
SIDES = ("human", "good", "poor")
RESAMPLES = 2_000


def by_prompt(lines: Sequence[Mapping[str, Any]], name: str, human: bool) -> dict[int, float]:
    """Mean of a measure over the completions of each prompt that have it."""
    values: dict[int, list[float]] = {}
    for line in lines:
        if line["human"] == human and (value := line["measures"].get(name)) is not None:
            values.setdefault(line["number"], []).append(value)
    return {number: float(np.mean(each)) for number, each in values.items()}


def difference(one: Mapping[int, float], other: Mapping[int, float]) -> dict[str, Any] | None:
    """Mean over the prompts that both have, with its 95 % interval: prompts drawn anew."""
    common = sorted(one.keys() & other.keys())
    if len(common) < 8:
        return None
    values = np.array([one[number] - other[number] for number in common])
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values))).mean(1)
    return {"mean": values.mean(), "low": np.quantile(drawn, 0.025), "high": np.quantile(drawn, 0.975)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs=2, metavar="SIDE=RUN[,RUN...]")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200)
    given = parser.parse_args()
    data = open_dataset(given.data)
    held_against, sets = hold_against(data), [prompt_set("validation", data)]
    named = dict(each.split("=", 1) for each in given.runs)
    lines: dict[str, list[Mapping[str, Any]]] = {}
    record: dict[str, Any] = {
        "settings": {"samples": given.samples, "tokens": given.tokens},
        "runs": {},
        "distance": {},
    }
    for side in ("good", "poor"):
        for run in map(Path, named[side].split(",")):
            done = evaluate_run(run, None, sets, Settings(given.samples, given.tokens), held_against)
            lines.setdefault(side, []).extend(done.completions)
            info = read_info(run)
            record["runs"].setdefault(side, []).append({"recipe": info.get("recipe"), "steps": done.session["step"]})
            told = done.session["summary"]["validation"]
            for name, each in (("human", told["human"]), (side, told["model"])):
                row = {"combined": each["combined"], "interval": each["interval"], "made_of": each["made_of"]}
                record["distance"].setdefault(name, []).append(row)
            print(side, run, told["model"]["combined"], told["model"]["interval"], flush=True)
    record["distance"]["human"] = record["distance"]["human"][:1]
    record["measures"] = {}
    for name in MEASURES:
        means = {"human": by_prompt(lines["good"], name, True)}
        means |= {side: by_prompt(lines[side], name, False) for side in ("good", "poor")}
        row = {side: float(np.mean(list(each.values()))) for side, each in means.items() if each}
        if len(row) == len(SIDES):
            row["human_minus_good"] = difference(means["human"], means["good"])
            row["good_minus_poor"] = difference(means["good"], means["poor"])
            record["measures"][name] = row
    record["named"] = list(NAMED)
    RECORD.write_text(json.dumps(record, indent=1, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
