"""What a tracker is told of a line of the record: scalars by the names that trackers group by, texts."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import PurePath
from typing import Any

from fabula.record.text.markup import markdown

NOT_TOLD = {"kind", "step", "attempt", "non_finite", "positions", "seconds", "evaluation_seconds", "full", "final"}
"""What counts or places a line, and how long all has taken so far, which every tracker keeps by itself."""
SHORTER = {"train": ("train", "train_"), "eval": ("val", "val_")}
"""Kind of line -> the group of its scalars, and what their names need not say again."""
OF_AN_EVALUATION = {"train_loss": "train/loss_as_evaluated"}
"""The training stories by the protocol of the evaluation: not the loss of a step."""
LONGEST_NAME = 60
"""Letters of a prompt in a name: as many as a tracker's list shows."""
CONFIGURATION = ("recipe", "seed", "steps", "device", "threads", "vocabulary", "clip")


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """`{"kind": "train", "loss": 3.2}` as `{"train/loss": 3.2}`; NaN for what was written as not finite.

    >>> scalars({"kind": "eval", "step": 5, "val_loss": 3.1, "train_loss": 2.9, "full": True})
    {'val/loss': 3.1, 'train/loss_as_evaluated': 2.9}
    """
    group, prefix = SHORTER[line["kind"]]
    lost = line.get("non_finite") or ()
    told = {}
    for name, value in line.items():
        if name in NOT_TOLD or isinstance(value, bool):
            continue
        if name in lost and value is None:
            value = math.nan
        if isinstance(value, int | float):
            known = OF_AN_EVALUATION.get(name) if line["kind"] == "eval" else None
            told[known or f"{group}/{name.removeprefix(prefix)}"] = float(value)
    return told


@dataclass
class Prompts:
    """What the completions of each prompt are called: its beginning, with a number where another one's is the same to
    the eye or in a path.

    >>> prompts = Prompts()
    >>> [prompts.name(each) for each in ("Tom ran.", "Tom ran!", "", "Tom ran.")]
    ['Tom ran.', 'Tom ran! 2', 'unprompted', 'Tom ran.']
    """

    names: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def name(self, prompt: str) -> str:
        if prompt not in self.names:
            short = prompt[:LONGEST_NAME].strip() or "unprompted"
            possible = chain([short], (f"{short} {number}" for number in count(2)))
            self.names[prompt] = next(each for each in possible if plain(each).casefold() not in self.taken)
            self.taken.add(plain(self.names[prompt]).casefold())
        return self.names[prompt]


def plain(name: str) -> str:
    """What may stand between two "/" of a path.

    >>> plain("He and/or she...")
    'He and-or she---'
    """
    return re.sub(r"[^\w -]", "-", name)


def completion(sample: Mapping[str, Any]) -> str:
    """A prompt and what became of it, as Markdown: the prompt in bold."""
    rest = sample.get("completion") or sample.get("text") or ""
    prompt = markdown(str(sample.get("prompt") or ""))
    return (f"**{prompt}**" if prompt else "") + "\n\n".join(markdown(each) for each in str(rest).split("\n"))


def event(line: Mapping[str, Any]) -> str:
    """`step 70: resumed`, with what else the event says."""
    rest = [f"{name} {value}" for name, value in line.items() if name not in ("kind", "step", "event", "attempt")]
    return f"step {line.get('step')}: {line.get('event')}" + (f" ({', '.join(rest)})" if rest else "")


def findings(found: list[dict[str, Any]]) -> str:
    """All findings as Markdown, a line each."""
    return "\n".join(f"- **{each['severity']}** `{each['kind']}`: {markdown(each['sentence'])}" for each in found)


def configuration(info: Mapping[str, Any], recipe_toml: str) -> dict[str, Any]:
    """The recipe by dotted names, and what run.json says of the run: no path of this machine, which is nobody's
    business on a server."""
    data = info.get("data") or {}
    told = {name: info[name] for name in CONFIGURATION if isinstance(info.get(name), str | int | float)}
    told |= {f"parameters.{name}": count for name, count in (info.get("parameters") or {}).items()}
    told |= {f"data.{name}": data[name] for name in ("tokenizer", "tokenizer_hash") if data.get(name)}
    if source := data.get("source") or data.get("path"):
        told["data.name"] = PurePath(str(source)).name
    return told | dict(_flat(tomllib.loads(recipe_toml)))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif name != "prompts":
            yield prefix + name, value if isinstance(value, str | int | float) else str(value)
