"""Writes the tables of scale.md from docs/measured/processes.json (benchmarks/processes.py).

python docs/scale_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "scale.md"
RECORD = DOCS / "measured" / "processes.json"
MISSING = "not measured yet"
PLACES = (("one process, 2 threads", 1, False), ("2, DDP", 2, False), ("4, DDP", 4, False),
          ("2, FSDP", 2, True), ("4, FSDP", 4, True))  # fmt: skip
"""A column each: processes, and whether they share the model out."""
Record = dict[str, Any]


def record() -> Record:
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}


def measured(known: Record) -> str:
    """One line a promise: what was measured of it, on what, and what was not."""
    rows = [
        ("2 and 4 processes make the losses of one", _parity(known.get("parity"), known.get("halves"))),
        ("stopped on one, gone on with on 2, on 4, on one", _chain(known.get("chain"))),
        ("killed processes cost no step of the record", _kills(known.get("kills"))),
        ("speed of two processes of one thread", _speed(known.get("speed"))),
        ("several GPUs (NCCL)", "not measured: there was never more than one GPU at hand"),
        ("several machines (`torchrun --nnodes`)", "not measured: the same code, over a real network"),
    ]
    return "\n".join(["| promise | measured |", "|---|---|", *(f"| {what} | {found} |" for what, found in rows)])


def parity(known: Record) -> str:
    """A line a recipe: the largest difference of a step's loss."""
    if "parity" not in known or "halves" not in known:
        return MISSING
    of_processes = {(row["recipe"], row["processes"], row["sharded"]): row["loss"] for row in known["parity"]["rows"]}
    titles = ["one process, in two halves", *(title for title, _, _ in PLACES)]
    lines = [f"| recipe | {' | '.join(titles)} |", f"|---|{'---:|' * len(titles)}"]
    for row in known["halves"]["rows"]:
        found = [row["loss"], *(of_processes[row["recipe"], size, sharded] for _, size, sharded in PLACES)]
        lines.append(f"| `{row['recipe']}` | {' | '.join(f'{each:.1e}' for each in found)} |")
    return "\n".join(lines)


def _parity(found: Record | None, halves: Record | None) -> str:
    if found is None or halves is None:
        return MISSING
    several = [row["loss"] for row in found["rows"] if row["processes"] > 1]
    alone = [row["loss"] for row in found["rows"] if row["processes"] == 1]
    added = max(row["loss"] for row in halves["rows"])
    recipes = len({row["recipe"] for row in found["rows"]})
    return (
        f"{recipes} recipes, {found['steps']} steps, whole and sharded: no loss is further than {max(several):.0e} of "
        f"itself from that of one process; one process that adds each batch up in two halves moves it by up to "
        f"{added:.0e}, another number of threads by up to {max(alone):.0e} ({_machine(found)})"
    )


def _chain(found: Record | None) -> str:
    if found is None:
        return MISSING
    furthest = max(row["loss"] for row in found["rows"])
    return f"whole and sharded, {found['steps']} steps: no loss further than {furthest:.0e} from an unbroken run's"


def _kills(found: Record | None) -> str:
    if found is None:
        return MISSING
    rows = found["rows"]
    num_kills, first = sum(row["kills"] for row in rows), sum(row["first"] for row in rows)
    elastic = sum(row["kills"] for row in rows if row["torchrun"])
    furthest = max(row["loss"] for row in rows)
    far = f"no loss is further than {furthest:.0e} from that" if furthest else "every loss is that"
    return (
        f"{num_kills} SIGKILLs at random moments, {first} of them of the first process, {elastic} of them under "
        f"`torchrun --max-restarts`: all {len(rows)} runs have every step once, and {far} "
        "of a run without kills"
    )


def _speed(found: Record | None) -> str:
    if found is None:
        return MISSING
    told = [f"{row['way']} {row['ratio']:.2f} on `{row['recipe']}`" for row in found["rows"] if row["ratio"] != 1.0]
    return f"against one process of two threads: {', '.join(told)} ({_machine(found)})"


def _machine(found: Record) -> str:
    return f"{found['cores']} cores, gloo, torch {found['torch']}"


def written(page: str) -> str:
    """`page` with its tables made anew, each between its two comments."""
    known = record()
    for name, table in (("measured", measured(known)), ("parity", parity(known))):
        start, end = f"<!-- {name}: written by scale_page.py -->\n", f"\n<!-- end of {name} -->"
        before, _, rest = page.partition(start)
        _, _, behind = rest.partition(end)
        page = f"{before}{start}{table}{end}{behind}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
