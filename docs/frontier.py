"""Writes what `fabula plan` knows: losses from the records that are kept, and how fast one machine is.

python docs/frontier.py runs             src/fabula/study/frontier/runs.toml, from docs/runs and docs/frontier
python docs/frontier.py speeds DATA      src/fabula/train/machine/speeds.toml, on a machine that is idle
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import product
from operator import attrgetter
from pathlib import Path

from fabula.data.stories.sources import GRAMMAR
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES
from fabula.recipe.presets.shapes import Size, in_size
from fabula.record.reader import find_runs, read_run
from fabula.study.frontier.known import TABLE, known_run

BUILT_IN = {GRAMMAR: "the built-in stories"}
CORPUS = "TinyStories"
"""What all others are."""
KEPT = tuple(Path(__file__).parent / name for name in ("runs", "frontier"))
"""Those in docs/frontier are of `fabula ladder frontier`, and of sizes of it on fewer stories."""
SIZES = ((2, 64), (3, 96), (4, 128), (4, 160), (4, 192), (5, 224), (6, 256))
"""On one line from small to large, for the law asks only how many weights are at work: widths of 32 to 53 a layer."""


def _toml(table: str, rows: list[dict[str, object]]) -> str:
    lines = []
    for row in rows:
        values = (f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in row.items())
        lines.append(f"\n[[{table}]]\n" + "\n".join(values) + "\n")
    return "".join(lines)


def runs_written() -> str:
    records = [read_run(path) for folder in KEPT for path in find_runs(folder)]
    found = {known_run(run, BUILT_IN.get((run.info.get("data") or {}).get("source", ""), CORPUS)) for run in records}
    runs = sorted(
        (run for run in found if run is not None),
        key=attrgetter("corpus", "family", "parameters", "tokens", "unique", "peak", "seed"),
    )
    head = "# Final losses of runs in several sizes and lengths. Written by docs/frontier.py from run folders.\n"
    return head + _toml("runs", [asdict(run) for run in runs])


def write_speeds(data: Path) -> None:
    from fabula.data.dataset import open_dataset
    from fabula.train.life.length.probing import step_seconds
    from fabula.train.machine.pace import TABLE as SPEEDS
    from fabula.train.machine.threads import use_threads

    prepared = open_dataset(data, load_recipe(FAMILIES[0]).tokenizer)
    use_threads(None)
    rows = []
    for family, (layers, width) in product(FAMILIES, SIZES):
        recipe = in_size(load_recipe(family), Size(layers, width))
        recipe = recipe.with_values(**{"model.vocabulary": prepared.tokenizer.vocabulary})
        seconds = step_seconds(recipe, prepared, print, anew=True)
        print(family, layers, width, round(seconds, 4))
        rows.append({
            "family": family, "layers": layers, "width": width, "context": recipe.model.context,
            "positions": recipe.positions_per_step, "seconds": round(seconds, 4),
        })  # fmt: skip
    head = "# Seconds of a step on two idle cores without AVX-512. Written by docs/frontier.py.\n"
    SPEEDS.write_text(head + _toml("speeds", rows), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "runs":
        TABLE.write_text(runs_written(), encoding="utf-8")
    else:
        write_speeds(Path(sys.argv[2]))
