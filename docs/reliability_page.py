"""Writes reliability.md from what `make fuzz` and `make test-crash` measured.

python docs/reliability_page.py
"""

from __future__ import annotations

import json
from pathlib import Path

DOCS = Path(__file__).parent
PAGE = DOCS / "reliability.md"
FUZZ, CRASH = DOCS / "measured" / "fuzz.json", DOCS / "measured" / "crash.json"


def crash() -> str:
    record = json.loads(CRASH.read_text(encoding="utf-8"))
    rows = [
        f"| {name} | {row['trials']:,} | {row.get('kills') or '–'} | {row['failures']:,} |"
        for name, row in record["rows"].items()
        if row["trials"]
    ]
    return "\n".join(["| promise | trials | killed | failures |", "|---|---:|---:|---:|", *rows])


def fuzz() -> str:
    record = json.loads(FUZZ.read_text(encoding="utf-8"))
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


def written(page: str) -> str:
    """`page` with its tables made anew, each between its two comments."""
    for name, table in (("fuzz", fuzz()), ("crash", crash())):
        start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, behind = rest.partition(end)
        page = f"{before}{start}{table}{end}{behind}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
