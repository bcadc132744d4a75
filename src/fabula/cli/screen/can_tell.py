"""What a ladder can tell, before it is made: how large a change it finds, by which noise."""

from pathlib import Path
from typing import TYPE_CHECKING

from fabula.cli.screen.terminal import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabula.ladder.make import Order
    from fabula.study.inference.contrasts import Contrast
    from fabula.study.planning.known_noise import KnownNoise

MOST_TOLD = 12
"""Effects with a line of their own; a factorial of ten changes has no more than that, and nobody reads further."""


def tell_what_it_can_tell(order: "Order", noise: "KnownNoise") -> None:
    """Print it."""
    from fabula.record.wording import plural
    from fabula.study.inference.contrasts import across_tiers
    from fabula.study.inference.sequential import until_told
    from fabula.study.planning.known_noise import protocols_together
    from fabula.study.planning.power import MOST_SEEDS, seeds_for, smallest_found

    if order.num_seeds < 2:
        show("what it can tell: nothing with one seed, where any difference may be chance; give --seeds 2 or more")
        return
    asked = questions(order)
    num_questions = sum(map(len, asked.values())) + len(across_tiers(asked))
    if not num_questions:
        return
    show(
        f"what it can tell, with {order.num_seeds} seeds and {plural(num_questions, 'question')} at once: in 80 % of "
        "cases it finds a change of"
    )
    together = protocols_together()
    detect = told.detect if (told := until_told({"until_told": order.until_told})) is not None else None
    for tier, contrasts in asked.items():
        spreads = {name: noise.spreads[where, name] for where, name in noise.spreads if where == tier}
        effects = [each for each in contrasts if each.kind == "effect"]
        for each in effects[:MOST_TOLD]:
            size = smallest_found(each, spreads, num_questions, order.num_seeds, together)
            assert size is not None, "there are two seeds"
            smaller = detect or size / 2
            fewest = seeds_for(smaller, each, spreads, num_questions, together)
            needs = f"it needs {fewest} seeds" if fewest else f"more than {MOST_SEEDS} seeds would not do"
            name = f"{tier}: {each.name}" if len(asked) > 1 else each.name
            share = "" if detect else "half of that, "
            show(f"  {name:<10} {_nats(size)} nats or more; for {share}{_nats(smaller)}, {needs}")
        if len(effects) > MOST_TOLD:
            show(f"  and {len(effects) - MOST_TOLD} more")
    show(f"  the noise is that of {noise.source}")


def questions(order: "Order") -> "dict[str, list[Contrast]]":
    """Tier -> what the report of this ladder will ask."""
    from fabula.study.inference.contrasts import ComparedRecipe, contrasts

    cells = {cell.name: tuple(phase.name for phase in cell.phases) for cell in order.plan.cells}
    chosen = list(dict.fromkeys(run.phase for run in order.planned))
    recipes = [ComparedRecipe(name, cells[name]) for name in chosen]
    return {tier: contrasts(tier, recipes) for tier in dict.fromkeys(run.tier for run in order.planned)}


def noise_of(order: "Order", noise_from: "Sequence[Path]") -> "KnownNoise":
    """Of the runs that were named, else of those in the ladder's folder, else of the table of kept ones.

    Raises InputError where `noise_from` holds no two runs of one recipe.
    """
    from fabula.errors import InputError
    from fabula.study.ladder import read_ladder
    from fabula.study.planning.known_noise import noise_of_runs, noise_of_table

    recipes = {(run.tier, run.phase): run.recipe for run in order.planned}
    if noise_from:
        named = ", ".join(map(str, noise_from))
        known = noise_of_runs(list(recipes), read_ladder(list(noise_from)), named)
        if known is None:
            raise InputError(
                f"--noise-from {named}: no two finished runs of one recipe there; name others, or leave it out"
            )
        return known
    there = (order.out / "ladder.json").is_file()
    own = noise_of_runs(list(recipes), read_ladder([order.out]), str(order.out)) if there else None
    return own or noise_of_table(recipes)


def _nats(size: float) -> str:
    """Three decimals, of a small one two digits."""
    return f"{size:.3f}" if size >= 0.01 else f"{size:.2g}"
