"""Writes the tables of models.md, generation.md and export.md from the recipes and from docs/benchmarks/*.json.

python docs/model_pages.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fabula.exchange.homes import find_home
from fabula.recipe.counts import count_parameters
from fabula.recipe.presets import load_recipe, tier_names, whole_recipe_names

DOCS = Path(__file__).parent
NAMES = [*tier_names(), *whole_recipe_names()]


def recipes() -> str:
    lines = [
        "| recipe | parameters | in the layers | layers | width | context | vocabulary |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in NAMES:
        recipe = load_recipe(name)
        counts, model = count_parameters(recipe.model, recipe.vocabulary), recipe.model
        lines.append(
            f"| `{name}` | {counts.total:,} | {counts.without_embeddings:,} | {model.layers} | {model.width} | "
            f"{model.context:,} | {recipe.vocabulary:,} |"
        )
    return "\n".join(lines)


def homes() -> str:
    lines = ["| recipe | home | folded into its weights |", "|---|---|---|"]
    for name in NAMES:
        home = find_home(load_recipe(name).model)
        lines.append(f"| `{name}` | `{home.architecture}` | {', '.join(home.folded) or 'nothing'} |")
    return "\n".join(lines)


def _benchmark(name: str) -> dict[str, Any] | None:
    path = DOCS / "benchmarks" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def full_size() -> str:
    record = _benchmark("full_size")
    if record is None:
        return "Not measured yet."
    lines = [
        f"{record['threads']} threads, torch {record['torch']}:",
        "",
        "| recipe | positions of a micro-step | seconds | micro-steps of a step | seconds a step | peak memory | "
        "the whole run |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| `{each['recipe']}` | {each['positions_per_micro_step']:,} | {each['seconds_per_micro_step']:.1f} | "
        f"{each['micro_steps_of_a_step']} | {each['seconds_per_step']:,.0f} | "
        f"{each['peak_memory_bytes'] / 2**30:.1f} GiB | {each['days_for_the_run']:,.0f} days |"
        for each in record["results"]
    ]
    return "\n".join(lines)


def speed() -> str:
    record = _benchmark("decoding")
    if record is None:
        return "Not measured yet."
    names = list(dict.fromkeys(name for each in record["results"] for name in each["tokens_per_second"]))
    others = [name for name in names if name != "fabula"]
    header = ["recipe", "rows", *(f"{name}, tokens/s" for name in names), *(f"fabula : {name}" for name in others)]
    lines = [
        f"The same weights in float32, greedy, {record['threads']} threads, torch {record['versions']['torch']}, "
        f"transformers {record['versions']['transformers']}; medians of {record['results'][0]['turns']} turns of "
        f"{record['results'][0]['tokens']} tokens (`benchmarks/decoding.py`):",
        "",
        "| " + " | ".join(header) + " |",
        "|---|" + "---:|" * (len(header) - 1),
    ]
    for each in record["results"]:
        speeds = [
            f"{each['tokens_per_second'][name]:,.0f}" if name in each["tokens_per_second"] else "" for name in names
        ]
        ratios = [
            f"{each['fabula_is_faster_by'][name]:.2f}" if name in each["fabula_is_faster_by"] else "" for name in others
        ]
        lines.append(f"| `{each['recipe']}` | {each['rows']} | " + " | ".join([*speeds, *ratios]) + " |")
    return "\n".join(lines)


def renew(page: str, name: str, text: str) -> str:
    begin, end = f"<!-- {name}: written by model_pages.py -->\n", "<!-- end -->"
    before, rest = page.split(begin)
    return before + begin + text + "\n" + end + rest.split(end, 1)[1]


BLOCKS = {
    "models.md": {"recipes": recipes, "full size": full_size},
    "generation.md": {"speed": speed},
    "export.md": {"homes": homes},
}

if __name__ == "__main__":
    for file, blocks in BLOCKS.items():
        page = (DOCS / file).read_text(encoding="utf-8")
        for name, write in blocks.items():
            page = renew(page, name, write())
        (DOCS / file).write_text(page, encoding="utf-8")
