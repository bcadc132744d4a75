"""`fabula recipes`: what there is to train, and how large it is."""

from typing import Annotated, Any

import typer


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe in full: a name of the list, or a file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the built-in recipes with their exact parameter counts, or show one of them in full.

    A vocabulary that is known only from the data counts as GPT-2's.
    """
    import json

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from fabula.recipe.presets import FIRST_RECIPE, load_recipe, recipe_names
    from fabula.recipe.toml import to_toml

    rows = [_row(each) for each in ([name] if name is not None else recipe_names())]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("recipe", "parameters", "no embeddings", "context", "vocabulary"):
        table.add_column(column, justify="left" if column == "recipe" else "right", no_wrap=True)
    for row in rows:
        numbers = (row["parameters"], row["parameters_without_embeddings"], row["context"], row["vocabulary"])
        table.add_row(row["name"], *(f"{number:,}" for number in numbers))
    Console().print(table)
    if name is not None:
        print(to_toml(load_recipe(name).as_tree()))
    print(f"Next: fabula train {name or FIRST_RECIPE} --data DIR --out runs/first --dry-run")


def _row(name: str) -> dict[str, Any]:
    from fabula.recipe.counts import count_parameters
    from fabula.recipe.presets import load_recipe
    from fabula.recipe.schema import GPT2_VOCABULARY

    recipe = load_recipe(name)
    vocabulary = recipe.vocabulary or GPT2_VOCABULARY
    counts = count_parameters(recipe.model, vocabulary)
    return {
        "name": name,
        "parameters": counts.total,
        "parameters_without_embeddings": counts.without_embeddings,
        "context": recipe.model.context,
        "vocabulary": vocabulary,
    }
