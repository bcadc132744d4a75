"""Writes src/fabula/study/planning/seed_noise.toml, how far seeds of kept recipes ended apart, and ladders.md's table.

python docs/seed_noise.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fabula.recipe.schema import Recipe
from fabula.recipe.toml import read_toml
from fabula.record.reader import find_runs, read_run
from fabula.record.wording import count_text
from fabula.study.planning.known_noise import TABLE, KeptNoise, family_of, kept_noise, protocols_together

DOCS = Path(__file__).parent
PAGE = DOCS / "ladders.md"
BEGIN, END = "<!-- noise: written by seed_noise.py -->\n", "<!-- end -->"
HEAD = (
    "# How far seeds of kept recipes ended apart: standard deviations of the final loss (nats), by length.\n"
    "# Written by docs/seed_noise.py from docs/runs and docs/ladders; do not edit by hand.\n\n"
)
COLUMNS = ("val_loss", "val_loss_story")
FEWEST_RUNS = 2


def rows() -> tuple[list[KeptNoise], float]:
    """The kept recipes with several seeds, and how the two protocols rise and fall together over them."""
    groups: dict[tuple[str, int, str], dict[int, tuple[Recipe, float, tuple[float, ...]]]] = {}
    for root in ("runs", "ladders"):
        for folder in find_runs(DOCS / root):
            run = read_run(folder)
            final = run.full_evals()
            if run.status != "finished" or any(column not in final for column in COLUMNS):
                continue
            recipe = Recipe.from_tree(read_toml(folder / "recipe.toml"))
            key = (str(run.info["recipe"]), int(run.info["steps"]), str(run.info["rulers"]["stream"]))
            losses = tuple(float(final[column][-1]) for column in COLUMNS)
            groups.setdefault(key, {})[int(run.info["seed"])] = recipe, float(final["positions"][-1]), losses
    made, together = [], []
    for (name, steps, _), seeds in groups.items():
        if len(seeds) < FEWEST_RUNS:
            continue
        recipe, positions, _ = next(iter(seeds.values()))
        loss_SP = np.array([losses for *_, losses in seeds.values()])
        spread_P = loss_SP.std(0, ddof=1)
        unit_SP = (loss_SP - loss_SP.mean(0)) / spread_P
        together.append(float((unit_SP[:, 0] * unit_SP[:, 1]).sum()) / (len(seeds) - 1))
        made.append(
            KeptNoise(
                recipe=name,
                family=family_of(recipe),
                steps=steps,
                positions=round(positions),
                runs=len(seeds),
                loss=round(float(loss_SP[:, 0].mean()), 4),
                stream=round(float(spread_P[0]), 5),
                story=round(float(spread_P[1]), 5),
            )
        )
    return sorted(made, key=lambda row: row.stream), round(float(np.mean(together)), 3)


def as_toml(made: list[KeptNoise], together: float) -> str:
    def value(each: object) -> str:
        return f'"{each}"' if isinstance(each, str) else str(each)

    parts = [HEAD, "# Correlation of the two protocols of a run over the seeds, the mean over the recipes.\n"]
    parts.append(f"together = {together}\n")
    parts += [
        "\n[[recipes]]\n" + "".join(f"{name} = {value(each)}\n" for name, each in vars(row).items()) for row in made
    ]
    return "".join(parts)


def table(made: tuple[KeptNoise, ...], together: float) -> str:
    spreads = [row.stream for row in made]
    lines = [
        "| recipe | kind | steps | positions | seeds | loss | SD on `stream` | SD on `story` |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {row.recipe} | {row.family} | {row.steps:,} | {count_text(row.positions)} | {row.runs} "
            f"| {row.loss:.2f} | {row.stream:.4f} | {row.story:.4f} |"
            for row in made
        ),
        "",
        f"The median is {np.median(spreads):.4f} nats, and the noisiest recipe has "
        f"{max(spreads) / min(spreads):.0f} times the spread of the quietest. The two protocols of a run rise and fall "
        f"together with a correlation of {together:.2f}.",
    ]
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its table renewed."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table(kept_noise(), protocols_together()) + "\n" + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    TABLE.write_text(as_toml(*rows()), encoding="utf-8")
    kept_noise.cache_clear()
    protocols_together.cache_clear()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
