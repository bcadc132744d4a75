"""Writes into record.md what recording costs and what real loops showed, from docs/benchmarks.

python docs/record_page.py
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "record.md"
BEGIN, END = "<!-- record: written by docs/record_page.py -->\n", "<!-- end -->"

BARE = "ours, without its evaluations on training stories"
LOOPS = {
    "plain": "a plain loop",
    "trainer": "the Trainer of transformers",
    "lightning": "Lightning",
    "ours": "`fabula train`",
}


def cost(record: dict[str, Any]) -> list[str]:
    lines = ["| a line of | microseconds of the processor | from | to |", "|---|---:|---:|---:|"]
    for name, each in record["microseconds"].items():
        lines.append(f"| {name} | {each['median']:.0f} | {each['low']:.0f} | {each['high']:.0f} |")
    place = record["machine"]
    return [
        *lines, "",
        f"`record.train` with four numbers of that kind, the median of runs of {record['lines']:,} lines on "
        f"{place['processor']} with {place['cores']} cores and a load of {record['load']:.1f}. "
        f"`alarm()` at each of 10,000 updates took {record['alarm_seconds_of_10000_updates']:.1f} seconds in all.",
    ]  # fmt: skip


def loops(record: dict[str, Any]) -> list[str]:
    """What was found of each fault in each loop, and what was seen of those that were watched and killed."""
    return [*_found(record), *_watched(record)]


def _found(record: dict[str, Any]) -> list[str]:
    seeds = record["seeds"]
    pairs = [
        (bare, plain)
        for found in record["found"].values()
        for bare, plain in zip(found[BARE], found["plain"], strict=True)
    ]
    lines = ["", "| fault | warnings and failures | in which loops | against the loop without it |",
             "|---|---|---|---|"]  # fmt: skip
    for fault, what in record["faults"].items():
        for found, where in _alike(record["found"][fault], seeds):
            decided = sorted({f"`{record['compared'][fault][name]}`" for name in where} if fault != "none" else set())
            told = "all four" if len(where) == len(LOOPS) else ", ".join(LOOPS[name] for name in where)
            lines.append(f"| {what} | {found} | {told} | {', '.join(decided)} |")
    return [
        *lines, "",
        "Four loops, three of them not ours, have the same model with the same first weights "
        f"({record['parameters']:,} parameters), the same batches of stories and the same faults: "
        f"{_listed([*LOOPS.values()])}. Each is trained with {seeds} seeds for {record['steps']} steps; a kind stands "
        "in all seeds unless it says in how many. The last column is what `fabula compare` decides, "
        f"{seeds} seeds with the fault against {seeds} without it.",
        "",
        f"{LOOPS['ours']} also evaluates training stories, always the same ones, which none of the other loops does. "
        "Left out of its record, the same kinds are found in it as in the plain loop in "
        f"{sum(bare == plain for bare, plain in pairs)} of {len(pairs)} runs.",
    ]  # fmt: skip


def _watched(record: dict[str, Any]) -> list[str]:
    titles = ("loop, fault", "killed at step, gone on from", "steps on the page, before and after",
              "what it said of the kill", "findings at the end")  # fmt: skip
    lines = ["", f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for fault, watched in record["watched"].items():
        for name, each in watched.items():
            same = each["is_found_as_by_diagnose"] and each["watch_lived"]
            lines.append(
                f"| {LOOPS[name]}, {record['faults'][fault]} | {each['killed_at']}, {each['resumed_from']} | "
                f"{_shown(each['steps_shown'])}; {_shown(each['steps_shown_after'])} | "
                f'"{each["state_when_killed"]}" after {each["told_after_seconds"]:.0f} s | '
                f"{'as `fabula diagnose` has them' if same else 'others'} |"
            )
    return [
        *lines, "",
        "`fabula watch` showed these from before the training began to its end, while the training's process was "
        'killed and started again. "3, 20 to 60": it showed three different steps, the first was 20, the last 60.',
    ]  # fmt: skip


def _alike(found: dict[str, list[list[str]]], seeds: int) -> list[tuple[str, list[str]]]:
    """What was found, and the loops in which just that was."""
    groups: dict[str, list[str]] = {}
    for name in LOOPS:
        counts = sorted(Counter(kind for kinds in found[name] for kind in kinds).items())
        told = [f"`{kind}`" + (f" ({count} of {seeds})" if count < seeds else "") for kind, count in counts]
        groups.setdefault(", ".join(told) or "none", []).append(name)
    return list(groups.items())


def _shown(steps: list[int]) -> str:
    return f"{len(set(steps))}, {min(steps)} to {steps[-1]}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def main() -> None:
    parts = [(DOCS / "benchmarks" / "recording.json", cost), (DOCS / "benchmarks" / "recorded_loops.json", loops)]
    told = [
        line for path, tell in parts if path.is_file() for line in tell(json.loads(path.read_text(encoding="utf-8")))
    ]
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END, 1)[1]
    PAGE.write_text(before + BEGIN + "\n".join([*told, ""]) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
