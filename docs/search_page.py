"""Writes the trials of docs/log.md from docs/measured/modern_search.jsonl.

python docs/search_page.py
"""

from __future__ import annotations

import json
from pathlib import Path

DOCS = Path(__file__).parent
BEGIN, END = "<!-- search: written by search_page.py -->", "<!-- end -->"
BASES = {
    1: "the prototype: Muon 0.02, embedding 0.1, head 0.005",
    2: "with Muon 0.01 and head 0.01",
    3: "and value embeddings, the token before, beta2 0.99",
    4: "`modern` as first put together: bpe:8192, width 128, SwiGLU",
    5: "`modern-portable` as first put together: bpe:8192, SwiGLU, neither value embeddings nor the token before",
}


def table() -> str:
    """The trials, those on one base together, the best first."""
    trials = [json.loads(line) for line in (DOCS / "measured" / "modern_search.jsonl").read_text("utf-8").splitlines()]
    lines = ["| what was changed | loss | parameters | tokens/s |", "|---|---:|---:|---:|"]
    for number, base in BASES.items():
        lines.append(f"| **{base}** | | | |")
        lines += [
            f"| {trial['change']} | {trial['loss']:.3f} | {trial['parameters'] / 1e6:.2f} M | "
            f"{trial['tokens_per_second']:,} |"
            for trial in trials
            if trial["base"] == number
        ]
    return "\n".join(lines)


def written(text: str) -> str:
    """`text` with the table between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    page = DOCS / "log.md"
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
