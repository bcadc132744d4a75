"""`fabula recipes`: what there is to train, what each is for, and how large it is."""

from typing import Annotated, Any

import typer

from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called

TABLE_WIDTH = 76
"""Columns that the table takes; where there are fewer, each recipe's numbers stand in lines of their own."""


def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Show this recipe in full: a name or a file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the built-in recipes: what each is for and how large it is. With a NAME, show that recipe in full.

    The context is how many tokens the model sees at once. A vocabulary that depends on the data counts as GPT-2's.
    """
    import json
    import shutil

    from fabula.cli.named.defaults import called_today
    from fabula.recipe.presets.by_name import FIRST_RECIPE, PURPOSES, load_recipe, recipe_names
    from fabula.recipe.toml import to_toml

    name = called_today(name) if name is not None else None
    order = list(PURPOSES)
    names = sorted(recipe_names(), key=lambda each: order.index(each.partition("/")[0])) if name is None else [name]
    rows = [_row(each) for each in names]
    if as_json:
        show(json.dumps(rows, indent=1))
        return
    width = shutil.get_terminal_size((80, 24)).columns
    _show([row for row in rows if name is not None or "/" not in row["name"]], width)
    show("")
    if name is None:
        _show_phases(width)
    else:
        show(to_toml(load_recipe(name).as_tree()))
    show(as_called(f"Next: fabula train {name or FIRST_RECIPE} --dry-run"))


def _show(rows: list[dict[str, Any]], width: int) -> None:
    from fabula.cli.screen.terminal import wrapped
    from fabula.recipe.presets.by_name import FIRST_RECIPE

    wide = width >= TABLE_WIDTH
    if wide:
        show(f"{'recipe':<22}{'parameters':>13}{'without embeddings':>20}{'context':>9}{'vocabulary':>12}")
    for row in rows:
        total, inner, context, vocabulary = (
            f"{row[key]:,}" for key in ("parameters", "parameters_without_embeddings", "context", "vocabulary")
        )
        typer.secho(f"{row['name']:<22}" if wide else row["name"], bold=True, nl=False)
        show(f"{total:>13}{inner:>20}{context:>9}{vocabulary:>12}" if wide else "")
        if row["purpose"]:
            mark = "Recommended. " if row["name"] == FIRST_RECIPE else ""
            show(wrapped(f"  {mark}{row['purpose']}", width, "  "))
        if not wide:
            show(f"  {total} parameters\n  {inner} without embeddings\n  context {context}\n  vocabulary {vocabulary}")


def _show_phases(width: int) -> None:
    from fabula.cli.screen.terminal import wrapped
    from fabula.recipe.ladder import load_ladder
    from fabula.recipe.presets.by_name import CLASSIC, DEFAULT_PHASE
    from fabula.recipe.presets.files import tier_names

    *others, last = tier_names()
    about = f"{', '.join(others)} and {last} have phases, each one change to the phase before it"
    show(wrapped(f"{about}; {last} alone means {last}/{DEFAULT_PHASE}:", width))
    for phase in load_ladder(CLASSIC).phases:
        show(wrapped(f"  {f'{last}/{phase.name}':<18}{phase.change}", width, " " * 4))
    show("")


def _row(name: str) -> dict[str, Any]:
    from fabula.recipe.counts import count_parameters
    from fabula.recipe.presets.by_name import load_recipe, purpose
    from fabula.recipe.schema import GPT2_VOCABULARY

    recipe = load_recipe(name)
    vocabulary = recipe.vocabulary or GPT2_VOCABULARY
    counts = count_parameters(recipe.model, vocabulary)
    return {
        "name": name,
        "purpose": purpose(name),
        "parameters": counts.total,
        "parameters_without_embeddings": counts.without_embeddings,
        "context": recipe.model.context,
        "vocabulary": vocabulary,
    }
