"""Writes the measured parts of coherence.md.

python docs/coherence_page.py
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from fabula.coherence.measuring import MEASURES
from fabula.study.inference.statistics import wilson_interval

DOCS = Path(__file__).parent
PAGE = DOCS / "coherence.md"
CONSISTENCY = DOCS / "measured" / "consistency.json"
"""Written by measure_consistency.py."""
ORDERING = DOCS / "measured" / "coherence.json"
"""Written by measure_coherence.py."""


def measures() -> str:
    """What each measure is."""
    rows = [f"| `{name}` | {says[0].upper()}{says[1:]} |" for name, says in MEASURES.items()]
    return "\n".join(["| measure | what it is |", "|---|---|", *rows])


def percent(found: int, of: int) -> str:
    low, high = wilson_interval(found, of)
    return f"{100 * found / of:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def consistency() -> str:
    """How well whole stories are told from damaged ones."""
    if not CONSISTENCY.exists():
        return "Not measured yet."
    lines = []
    for name, told in json.loads(CONSISTENCY.read_text(encoding="utf-8")).items():
        number = told["stories"]
        lines += [
            f"**{name}**: {number:,} stories that were not fitted on. Of the whole ones, "
            f"{percent(told['whole_called_whole'], number)} % are called whole, and "
            f"{percent(told['whole_accused_of_pronouns'], number)} % accused of exchanged pronouns.",
            "",
            "| damaged | lower than whole, % | called damaged, % | right of both kinds, % | pronouns accused, % |",
            "|---|---:|---:|---:|---:|",
        ]
        for way, row in told["ways"].items():
            of = row["damaged"]
            both = told["whole_called_whole"] + row["called_damaged"] * number // of
            accused = percent(row["accused_of_pronouns"], of) if way.startswith("exchanged") else ""
            lines.append(
                f"| {way} | {percent(row['lower_than_whole'], of)} | {percent(row['called_damaged'], of)} | "
                f"{percent(both, 2 * number)} | {accused} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def ordering() -> str:
    """Which measures order human stories, good and poor models."""
    if not ORDERING.exists():
        return "Not measured yet."
    told = json.loads(ORDERING.read_text(encoding="utf-8"))
    sides = {
        side: ", ".join(f"{run['recipe']} at step {run['steps']:,}" for run in runs)
        for side, runs in told["runs"].items()
    }
    lines = [
        f"`good`: {sides['good']}; `poor`: {sides['poor']}. {told['settings']['samples']} completions of each prompt.",
        "",
        "| distance from human stories | combined | 95 % interval |",
        "|---|---:|---:|",
    ]
    for side, rows in told["distance"].items():
        for row in rows:
            low, high = row["interval"]
            lines.append(f"| {side} | {row['combined']:.2f} | {low:.2f} to {high:.2f} |")
    lines += [
        "",
        "| measure | human | good | poor | human - good | good - poor | orders |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    kept = {"the distance": _apart(told["distance"])}
    for name, row in told["measures"].items():
        steps = [row["human_minus_good"], row["good_minus_poor"]]
        cells = [f"{each['mean']:.3g} ({each['low']:.3g} to {each['high']:.3g})" if each else "" for each in steps]
        signs = [(each["low"] > 0) - (each["high"] < 0) if each else 0 for each in steps]
        orders = "yes" if signs[0] and signs[0] == signs[1] else "no"
        if orders == "yes" and name in told["named"] and signs[0] < 0:
            orders = "the other way round"
        if name in told["named"]:
            kept[f"`{name}`"] = orders == "yes"
        mark = "**" if name in told["named"] else ""
        values = " | ".join(f"{row[side]:.3g}" for side in ("human", "good", "poor"))
        lines.append(f"| {mark}{name}{mark} | {values} | {' | '.join(cells)} | {orders} |")
    names = {right: ", ".join(name for name, found in kept.items() if found == right) for right in (True, False)}
    lines += ["", f"As was named before: {names[True] or 'none'}. Not as was named: {names[False] or 'none'}."]
    return "\n".join(lines)


def _apart(distances: dict[str, list[dict[str, Any]]]) -> bool:
    """Whether the intervals of each side end below those of the next one, further from human stories."""
    return all(
        one["interval"][1] < other["interval"][0]
        for near, far in pairwise(distances.values())
        for one in near
        for other in far
    )


PARTS = {"measures": measures, "consistency": consistency, "ordering": ordering}


def written(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, part in PARTS.items():
        begin, end = f"<!-- {name}: written by coherence_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + part() + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
