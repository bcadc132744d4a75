"""Writes what benchmarks/fleet.py and benchmarks/large_corpus.py measured into ladders.md and data.md.

python docs/fleet_page.py
"""

from __future__ import annotations

import json
from pathlib import Path

DOCS = Path(__file__).parent
FLEET, LARGE = DOCS / "measured" / "fleet.json", DOCS / "measured" / "large_corpus.json"


def fleet() -> str:
    """A row a cluster of benchmarks/fleet.py."""
    rows = [
        f"| {row['nodes']} | {row['runs']} of {row['steps']} steps | {row['killed']['workers']} and "
        f"{row['killed']['nodes']} | {row['finished']} | {row['each_step_once']} | {row['equal_bit_for_bit']} |"
        for row in json.loads(FLEET.read_text(encoding="utf-8"))["ray"]
    ]
    head = "| Ray nodes | runs | workers and nodes killed | finished | each step once | bit for bit as in one process |"
    return "\n".join([head, "|---:|---|---:|---:|---:|---:|", *rows])


def large() -> str:
    """A row a corpus of benchmarks/large_corpus.py, and what the whole ones say of the one that was only begun."""
    rows = json.loads(LARGE.read_text(encoding="utf-8"))["corpora"]
    wholes = [row for row in rows if row["whole"]]
    lines = [
        "| corpus | prepared | seconds | most memory of the command | and with its workers |",
        "|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        how = (
            f"whole, {row['stories']:,} stories, killed after {row['killed_after_seconds']} s and gone on"
            if row["whole"]
            else f"the first {row['read_gigabytes']:g} GB read"
        )
        memory = f"{row['peak_megabytes']:,} MB | {row['peak_megabytes_with_workers']:,} MB"
        lines.append(f"| {row['gigabytes']:g} GB | {how} | {row['seconds']:,} | {memory} |")
    for row in rows:
        if not row["whole"] and wholes:
            longest = wholes[-1]
            hours = longest["seconds"] / longest["gigabytes"] * row["gigabytes"] / 3600
            written = longest["written_megabytes"] / longest["gigabytes"] * row["gigabytes"] / 1000
            second, last = row["mean_megabytes_of_the_second_third"], row["mean_megabytes_of_the_last_third"]
            lines += [
                "",
                f"In that part of the {row['gigabytes']:g} GB, memory was {second:,} MB on average in the second third "
                f"of the time and {last:,} MB in the last. By what the {longest['gigabytes']:g} GB took, the whole of "
                f"it would take {hours:.1f} hours on this machine and fill {written:.0f} GB: an extrapolation, not a "
                "measurement. It was stopped in its first pass, which reads and compares the stories; the second, "
                f"which tokenizes them, was measured on the {longest['gigabytes']:g} GB.",
            ]
    return "\n".join(lines)


PARTS = {"ladders.md": ("fleet", FLEET, fleet), "data.md": ("large", LARGE, large)}


def written(name: str, page: str) -> str:
    """`page`, docs/NAME, with its table made anew; as it is where nothing was measured yet."""
    part, record, table = PARTS[name]
    if not record.is_file():
        return page
    start, end = f"<!-- {part}: written by fleet_page.py -->\n", "\n<!-- end -->"
    before, _, rest = page.partition(start)
    return f"{before}{start}{table()}{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    for name in PARTS:
        path = DOCS / name
        path.write_text(written(name, path.read_text(encoding="utf-8")), encoding="utf-8")
