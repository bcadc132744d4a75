"""Writes src/fabula/recipe/presets/reached.toml, what built-in recipes reached, from the records in docs/runs.

python docs/reached_table.py
"""

from __future__ import annotations

from pathlib import Path

from fabula.findings.facts import read_recipe
from fabula.recipe.presets.by_name import load_recipe, recipe_names
from fabula.recipe.presets.reached import TABLE, same_recipe
from fabula.record.reader import Run, find_runs, read_run

RUNS = Path(__file__).parent / "runs"
HEAD = "# What built-in recipes reached. Written by docs/reached_table.py from docs/runs; do not edit by hand.\n"
CORPORA = {"tinystories": "TinyStories", "grammar": "the built-in stories"}


def _name(run: Run) -> str | None:
    """The built-in recipe that a run was made with, by its shortest name; None for any other."""
    recipe = read_recipe(run)
    if recipe is None or run.status != "finished" or run.info["seed"] != 0:
        return None
    return next((name for name in recipe_names() if same_recipe(recipe, load_recipe(name))), None)


def _row(name: str, run: Run) -> str:
    data, evals = run.info["data"], run.full_evals()
    source = next(word for part, word in CORPORA.items() if part in data["source"])
    numbers = {key: round(float(evals[key][-1]), 4) for key in ("val_loss", "val_loss_gpt2")}
    fields = {
        "recipe": name,
        "steps": int(run.info["steps"]),
        "corpus": source,
        "validation": data["text_hashes"]["validation"],
        "tokenizer": data["tokenizer_hash"],
        "untrained": round(float(evals["val_loss"][0]), 4),
        **numbers,
    }
    lines = (f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in fields.items())
    return "\n[[runs]]\n" + "\n".join(lines) + "\n"


def written() -> str:
    runs = [(name, run) for run in map(read_run, find_runs(RUNS)) if (name := _name(run)) is not None]
    runs.sort(key=lambda each: (each[0], each[1].info["steps"]))
    return HEAD + "".join(_row(name, run) for name, run in runs)


if __name__ == "__main__":
    TABLE.write_text(written(), encoding="utf-8")
