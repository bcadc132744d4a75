"""Writes reliability.md from what `make fuzz`, `make test-crash` and benchmarks/checkpoints.py measured.

python docs/reliability_page.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "reliability.md"
MEASURED = DOCS / "measured"


def read(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))
    return record


def crash() -> str:
    record = read("crash")
    rows = [
        f"| {name} | {row['trials']:,} | {row.get('kills') or '–'} | {row['failures']:,} |"
        for name, row in record["rows"].items()
        if row["trials"]
    ]
    return "\n".join(["| promise | trials | killed | failures |", "|---|---:|---:|---:|", *rows])


def fuzz() -> str:
    record = read("fuzz")
    kinds = sorted(record["kinds"].items(), key=lambda each: -each[1])
    listed = ", ".join(f"{name} ({count:,})" for name, count in kinds)
    return "\n".join(
        [
            "| | |",
            "|---|---:|",
            f"| damaged inputs | {record['inputs']:,} |",
            f"| tracebacks, hangs over 10 s, over 1 GB, refusals in several lines | {len(record['failures'])} |",
            f"| longest, seconds of the processor | {record['slowest_seconds']} |",
            f"| most memory that one took, MB | {record['peak_megabytes']} |",
            "",
            f"Of which: {listed}.",
        ]
    )


def cost() -> str:
    record = read("checkpoints")

    def row(name: str, shares: Sequence[float]) -> str:
        low, middle, high = (f"{100 * share:+.1f} %".replace("-", "−") for share in shares)
        return f"| {name} | {middle} | {low}, {high} |"

    return "\n".join(
        [
            f"| `{record['recipe']}`, {len(record['seconds']['off'])} turns | longer by | lowest and highest |",
            "|---|---:|---:|",
            row("a checkpoint a minute", record["one_checkpoint_a_minute"]),
            row("`guard.policy=rollback`, nothing to roll back", record["guard"]),
        ]
    )


def written(page: str) -> str:
    """`page` with its tables made anew, each between its two comments."""
    for name, table in (("fuzz", fuzz()), ("crash", crash()), ("cost", cost())):
        start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, behind = rest.partition(end)
        page = f"{before}{start}{table}{end}{behind}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
