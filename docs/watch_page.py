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
        "(`benchmarks/watching.py`). From turn to turn the machine by itself is faster or slower by more than watching "
        "costs, so the last column says more than the two before it: all that the watching process does, looks every "
        "two seconds and whole readings.", "",
    ])  # fmt: skip


def written(page: str) -> str:
    before, rest = page.split(BEGIN)
    _, behind = rest.split(END)
    return f"{before}{BEGIN}{cost(json.loads(RECORD.read_text(encoding='utf-8')))}{END}{behind}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
