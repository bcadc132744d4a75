"""Writes into record.md what recording costs and what real loops showed, from docs/benchmarks.

python docs/record_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "record.md"
BEGIN, END = "<!-- record: written by docs/record_page.py -->\n", "<!-- end -->"

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
    """A row for each loop: what was killed and resumed, and what was found with a fault and without."""
    titles = ("loop", "killed at step, gone on from", "steps on record", "warnings, as it should be", "rate too high")
    lines = ["", f"| {' | '.join(titles)} |",
             "|---|---|---:|---|---|"]  # fmt: skip
    for name, each in record["loops"].items():
        found = {fault: ", ".join(f"`{kind}`" for kind in kinds) or "none" for fault, kinds in each["found"].items()}
        resumed = "" if each["killed_at"] is None else f"{each['killed_at']}, {each['resumed_from']}"
        lines.append(f"| {LOOPS[name]} | {resumed} | {each['steps']} | {found['none']} | {found['rate']} |")
    decisions = ", ".join(f"{LOOPS[name]}: `{told}`" for name, told in record["compared"].items())
    return [
        *lines, "",
        f"The same stories in four loops, three of them not ours, {record['steps']} steps with a model of "
        f"{record['parameters']:,} parameters. \"Rate too high\" is {record['factor']:g} times the rate, compared with "
        f"the loop as it should be by `fabula compare`, {record['seeds']} seeds against {record['seeds']}: "
        f"{decisions}.",
    ]  # fmt: skip


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
