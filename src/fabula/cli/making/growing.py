"""A ladder that grows until it is told: its rule, what it makes next, and its looks, written into ladder.json."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabula.ladder.make import Order
    from fabula.study.inference.sequential import UntilTold
    from fabula.train.observer import Observer


def growing(
    out: Path,
    tiers: "Sequence[str]",
    phases: "Sequence[str]",
    first: int,
    wanted: bool,
    detect: float | None,
    budget: float | None,
) -> "UntilTold | None":
    """How a ladder that grows stands, or begins; None for one with a fixed number of seeds.

    Raises InputError where the options do not go together, or not with the ladder that is in `out`.
    """
    from fabula.errors import InputError
    from fabula.study.inference.sequential import FEWEST_SEEDS, MOST_SEEDS, begun, until_told

    for name, value in (("--detect", detect), ("--budget", budget)):
        if value is not None and not wanted:
            raise InputError(f"{name} belongs to --until-told; add it, or leave {name} out")
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"{name} {value:g}: give a number above 0, such as 0.05")
    if not wanted:
        return None
    if not FEWEST_SEEDS <= first <= MOST_SEEDS:
        raise InputError(
            f"--until-told begins with {FEWEST_SEEDS} to {MOST_SEEDS} seeds, not {first}; give --seeds 3, for example"
        )
    if len(phases) < 2:
        raise InputError("--until-told needs two phases or more to compare; give more, or leave it out")
    places = [(Path(tier).stem, phase) for tier in tiers for phase in phases]
    new = begun(first, detect, budget, places)
    there = until_told(_stored(out))
    if there is None:
        return new
    if there.same_rule != new.same_rule or set(there.now) != set(places):
        detects = f"--detect {there.detect:g}" if there.detect is not None else "no --detect"
        raise InputError(
            f"{out} holds a ladder that began with {there.looks[0]} seeds, {detects} and {len(there.now)} recipes, and "
            "what it asks and how it stops was settled before its first run; give the same, or choose another --out"
        )
    more = budget is None or (there.budget_hours is not None and budget > there.budget_hours)
    stopped = "" if there.budget_hours is not None and more else there.stopped
    return replace(there, budget_hours=budget, stopped=stopped)


def _stored(out: Path) -> dict[str, object]:
    """ladder.json, where there is one that can be read; make.py refuses the others."""
    from fabula.record.content.parsing import json_value

    try:
        tree = json_value((out / "ladder.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def with_seeds(order: "Order", told: "UntilTold") -> "Order":
    """The order for the seeds that `told` names."""
    from fabula.recipe.ladder import plan_runs

    num_seeds = max(told.now.values())
    tiers, phases = ({getattr(run, name): None for run in order.planned} for name in ("tier", "phase"))
    sources = [tier for tier in order.plan.tiers if Path(tier).stem in tiers]
    planned = plan_runs(order.plan, sources, list(phases), num_seeds, order.scale)
    runs = [run for run in planned if run.seed < told.now[run.tier, run.phase]]
    return replace(order, planned=runs, num_seeds=num_seeds, until_told=told.as_json())


def go_on(order: "Order", observer: "Observer") -> "Order | None":
    """Look at what is there, and write it down; what is made next, None where the ladder stops."""
    from datetime import UTC, datetime

    from fabula.ladder.folder import note_until_told
    from fabula.study.inference.sequential import until_told
    from fabula.study.ladder import read_ladder
    from fabula.study.planning.next_seeds import after_runs, look_words

    ladder = read_ladder([order.out])
    told = until_told(ladder.plan)
    assert told is not None, "this ladder grows"
    if told.stopped:
        observer.notice(f"it has stopped: {told.stopped}")
        return None
    new = after_runs(told, ladder, datetime.now(UTC).isoformat(timespec="seconds"), order.workers)
    note_until_told(order.out, new.as_json())
    if len(new.taken) > len(told.taken):
        observer.notice(look_words(new, ladder))
    if new.stopped:
        observer.notice(f"it stops: {new.stopped}")
        return None
    return with_seeds(order, new)
