"""Writes the tables of performance.md that are of a GPU, from docs/benchmarks/gpu.json (benchmarks/gpu.py).

python docs/gpu_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE, RECORD = DOCS / "performance.md", DOCS / "benchmarks" / "gpu.json"
BEGIN, END = "<!-- gpu: written by gpu_page.py -->\n", "<!-- end -->"
EXPECTED = ("basic", "mid", "quality", "modern", "modern-large", "gemma3-270m-gpt2", "gemma3-270m")
MISSING = "not measured"
Record = dict[str, Any]


def speed(record: Record) -> list[str]:
    """A row for each recipe."""
    ours = {each["recipe"]: each for each in record["speed"] if each["kind"] == "fabula"}
    lines = [
        "| | tokens/s | step, ms | MFU | over the plain loop | over transformers bfloat16 | memory, GiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for recipe in EXPECTED:
        each = ours.get(recipe)
        if each is None:
            lines.append(f"| `{recipe}` | {MISSING} |" + " |" * 5)
            continue
        over = [
            f"{each['over'][kind]['median']:.2f} x" if kind in each["over"] else MISSING
            for kind in ("plain loop", "transformers bfloat16")
        ]
        cells = (
            f"`{recipe}`",
            f"{each['positions_per_second']['median']:,.0f}",
            f"{each['step_seconds']['median'] * 1e3:.2f}",
            "unknown" if each["mfu"] is None else f"{each['mfu']:.1%}",
            *over,
            f"{each['peak_memory_bytes'] / 2**30:.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def trained(record: Record) -> list[str]:
    """A row for each training."""
    lines = [
        "| `fabula train` | parameters | steps | tokens | training | all of it | loss | 1.86 reached after |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each in record["training"]:
        reached = each["reached"]
        when = "never" if reached is None else f"{reached['seconds']:.1f} s, step {reached['step']:,}"
        cells = (
            f"`{' '.join(each['arguments'])}`",
            f"{each['parameters']:,}",
            f"{each['steps']:,}",
            f"{each['tokens'] / 1e6:.1f} M",
            f"{each['timings']['training_seconds']:.1f} s",
            f"{each['wall_seconds']:.0f} s",
            f"{each['val_loss_gpt2']:.3f}",
            when,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def written(page: str) -> str:
    """`page` with the tables between its marks."""
    before, rest = page.split(BEGIN)
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else None
    if record is None:
        lines = [f"{MISSING.capitalize()}."]
    else:
        counts = ", ".join(f"{number} {name}" for name, number in record["tests"]["counts"].items())
        lines = [
            f"{record['device']}, torch {record['versions']['torch']}. Tests marked `gpu`: {counts}. A product of "
            f"8,192 x 8,192 matrices makes {record['matrix_flop_per_second'] / 1e12:,.0f} TFLOP/s. "
            f"{record['turns']} turns of about {record['turn_seconds']:g} s.",
            "",
            *speed(record),
            "",
            *trained(record),
            *(line for each in record.get("remarks", []) for line in ("", each)),
        ]
    return before + BEGIN + "\n".join(lines) + "\n" + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
