"""Writes the measured parts of referee.md.

python docs/referee_page.py
"""

from __future__ import annotations

import json
from pathlib import Path

from fabula.study.inference.statistics import wilson_interval

DOCS = Path(__file__).parent
PAGE = DOCS / "referee.md"
LOOPS = DOCS / "measured" / "referee.json"
"""Written by measure_referee.py."""
FOREIGN = DOCS / "measured" / "foreign_groups.json"
"""Written by benchmarks/foreign_groups.py."""


def loops() -> str:
    """What loops keep of changes that do nothing, and of changes that help."""
    told = json.loads(LOOPS.read_text(encoding="utf-8"))
    naive, changes = told["one_run_each"], told["loops"][0]["changes"]
    one = " or ".join(f"{kept:.0f} ({name})" for name, kept in naive["kept"].items())
    lines = [
        f"{told['loops'][0]['loops']:,} loops a row, each proposing {changes} changes that do nothing. A loop that "
        f"makes one run a change, and keeps what is lower, keeps {one} of them, and believes to be better by "
        f"{naive['better_by_luck']:.1f} standard deviations.",
        "",
        f"| spread of the seeds | what is kept | kept of {changes}, mean | at most 5 are kept in | runs a change |",
        "|---|---|---:|---|---:|",
    ]
    for row in told["loops"]:
        low, high = wilson_interval(row["at_most"], row["loops"])
        base = "becomes the base" if row["becomes_base"] else "leaves the base as it is"
        share = f"{100 * row['at_most'] / row['loops']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        lines.append(f"| {row['noise']} | {base} | {row['kept']:.2f} | {share} | {row['runs_a_change']:.1f} |")
    columns = (1, 2)
    by_size = {(row["size"], row["looks"]): row for row in told["power"]}
    sizes = [row for row in told["power"] if row["looks"] == 2]
    lines += [
        "",
        f"And what becomes of a change that helps, with {told['first']} runs a group at first and {told['most']} at "
        f"most ({sizes[0]['changes']:,} changes a row):",
        "",
        "| it helps by | kept at one look, runs of it | kept after two looks, runs of it |",
        "|---:|---:|---:|",
    ]
    for row in sizes:
        cells = []
        for column in columns:
            here = by_size[row["size"], column]
            cells.append(f"{100 * here['kept'] / here['changes']:.1f} %, {here['new']:.1f}")
        unit = "standard deviation" if row["size"] == 1 else "standard deviations"
        lines.append(f"| {row['size']:g} {unit} | {' | '.join(cells)} |")
    return "\n".join(lines)


def calls() -> str:
    """How often one look tells something of nothing, and what shared spreads would do."""
    rows = json.loads(LOOPS.read_text(encoding="utf-8"))["calls"]
    lines = [
        f"One look at a base and {rows[0]['groups'] - 1} groups that change nothing, three runs each "
        f"({rows[0]['calls']:,} a cell): how often one of them is called better or worse, at an error rate of 5 %.",
        "",
        "| spread of the seeds | each group with the base alone, as it is done | spreads shared by all groups |",
        "|---|---|---|",
    ]
    told = {(row["noise"], row["shared"]): row for row in rows}
    for name in dict.fromkeys(row["noise"] for row in rows):
        cells = []
        for shared in (False, True):
            row = told[name, shared]
            low, high = wilson_interval(row["told"], row["calls"])
            cells.append(f"{100 * row['told'] / row['calls']:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def foreign() -> str:
    """What the command says of real runs of other programs."""
    lines = [
        "| trained by | the change | look | runs | the loss moves by | 97.5 % interval | decision |",
        "|---|---|---:|---|---:|---:|---|",
    ]
    for row in json.loads(FOREIGN.read_text(encoding="utf-8")):
        low, high = row["interval"]
        numbers = f"{row['difference']:+.3f} | {low:+.3f} to {high:+.3f}".replace("-", "−")
        lines.append(
            f"| {row['tool']} | {row['change']} | {row['look']} | {row['base']} and {row['new']} | {numbers} | "
            f"`{row['decision']}` |"
        )
    return "\n".join(lines)


PARTS = {"calls": calls, "loops": loops, "foreign": foreign}


def written(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, part in PARTS.items():
        begin, end = f"<!-- {name}: written by referee_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + part() + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
