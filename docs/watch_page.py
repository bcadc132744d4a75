"""Writes into watch.md what watching costs, from docs/benchmarks/watching.json (benchmarks/watching.py).

python docs/watch_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "watch.md"
RECORD = DOCS / "benchmarks" / "watching.json"
BEGIN, END = "<!-- cost: written by watch_page.py -->\n", "<!-- end of cost -->"


def cost(record: dict[str, Any]) -> str:
    """Steps a second alone and watched, and what the watching process took."""
    lines = ["| | steps a second | turn by turn, of alone | of one processor |", "|---|---:|---:|---:|"]
    for side in ("alone", "watched", "in a browser"):
        if (found := record.get(side)) is None:
            continue
        rates = found["steps a second"]
        told = [side, f"{rates['median']:.3f} ({rates['low']:.3f} to {rates['high']:.3f})", "", ""]
        if side != "alone":
            ratio, share = found["turn by turn"], found["processor share"]
            told[2] = f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"
            told[3] = f"{100 * share['median']:.1f} %"
        lines.append(f"| {' | '.join(told)} |")
    place = record["machine"]
    return "\n".join([
        *lines, "",
        f"`{record['recipe']}` at steps up to {record['steps']:,}, {record['turns']} turns of {record['seconds']:.0f} "
        f"seconds each, behind the start; medians and quartiles, on {place['processor']} with {place['cores']} cores "
        "(`benchmarks/watching.py`). The last column is all that the watching process does: looks every two "
        f"seconds and whole readings. {lost(record['watched'])}", "",
    ])  # fmt: skip


def lost(watched: dict[str, Any]) -> str:
    """Whether the training lost more than the watching process took."""
    ratio, share = watched["turn by turn"], watched["processor share"]
    if ratio["high"] >= 1.0 - share["median"]:
        return "From turn to turn the machine by itself is faster or slower by more than that."
    return "The training lost more than that, in every turn; why is not found yet."


def written(page: str) -> str:
    before, rest = page.split(BEGIN)
    _, behind = rest.split(END)
    return f"{before}{BEGIN}{cost(json.loads(RECORD.read_text(encoding='utf-8')))}{END}{behind}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
