"""The plan of a ladder: tiers x phases x seeds, as values. A ladder file is TOML that users write themselves."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from fabula.errors import InputError, nearest
from fabula.recipe.presets.files import PRESETS, current_name, load_tier
from fabula.recipe.scaling import with_steps
from fabula.recipe.schema import Recipe, first_error, set_key
from fabula.recipe.section import Section
from fabula.recipe.toml import read_toml

Design = Literal["path", "factorial", "leave-one-out"]
WHOLE = "whole"
MOST_OF_A_FACTORIAL = 10
"""512 recipes."""
NO_RATES: Mapping[str, float] = MappingProxyType({})
NO_TIERS: Mapping[str, Mapping[str, float]] = MappingProxyType({})


class Phase(Section):
    """One change to the recipe of the phase before it (of the tier itself, for the first)."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Also the name of a folder."""
    change: str
    """The change in words, for tables."""
    set: dict[str, Any]
    """Dotted recipe keys with their new values."""
    bracket: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(), strict=False)
    """Multiples of the peak learning rate (its floor goes with it) to choose from, for this phase and those after it:
    each is tried with seed 0 and scored on `tune` before the phase is trained."""


@dataclass(frozen=True)
class Cell:
    """One recipe of a ladder: the tier with the changes of some of the phases."""

    name: str
    change: str
    phases: tuple[Phase, ...]


class Ladder(Section):
    name: str
    design: Design = "path"
    """`path`: each phase on top of those before it. `factorial`: the first phase with every subset of the others.
    `leave-one-out`: the first phase, all of them together, and all but each of the others in turn."""
    tiers: tuple[str, ...] = Field(strict=False, min_length=1)
    """Names of presets, or paths of TOML files that hold a tier."""
    seeds: int = Field(default=3, ge=1, le=10_000)
    scale: float = Field(default=1.0, gt=0, le=1_000_000)
    phases: tuple[Phase, ...] = Field(strict=False, min_length=1)
    set: dict[str, Any] = Field(default={})
    """Dotted recipe keys that hold for every run of the ladder."""

    @model_validator(mode="after")
    def _tells_phases_apart(self) -> Self:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"two phases have the same name: {', '.join(names)}; rename one")
        if self.design == "leave-one-out" and len(names) < 3:
            raise ValueError('the design "leave-one-out" needs three phases or more; add one, or use "path"')
        if self.design == "factorial" and len(names) > MOST_OF_A_FACTORIAL:
            raise ValueError(
                f'the design "factorial" makes a recipe of every subset of them, too many of {len(names)} phases; '
                f"leave it at {MOST_OF_A_FACTORIAL}"
            )
        for phase in self.phases:
            if phase.bracket and (len(set(phase.bracket)) < 2 or len(set(phase.bracket)) < len(phase.bracket)):
                raise ValueError(f"the bracket of {phase.name} needs two different multiples or more")
            if phase.bracket and self.design != "path":
                raise ValueError(
                    f'the bracket of {phase.name} works only with the design "path", where it changes one thing'
                )
        cells = [cell.name for cell in self.cells]
        if len(set(cells)) < len(cells):
            raise ValueError(f"two recipes have the same name: {', '.join(cells)}; rename a phase")
        return self

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every recipe of the ladder, those of the path first.

        A cell of the path is called by its last phase. Any other one of a factorial is called by the part of the path
        that it has, then "+" and the phases that it has beside it: `baseline+packed` is the first phase with packing
        alone. Where one is left out in turn, all phases together are `whole`, and the others `without-PHASE`.
        """
        path = [self.phases[: end + 1] for end in range(len(self.phases))]
        if self.design == "path":
            return tuple(Cell(each[-1].name, each[-1].change, each) for each in path)
        base, *toggles = self.phases
        if self.design == "leave-one-out":
            return (
                Cell(base.name, base.change, (base,)),
                Cell(WHOLE, "; ".join(phase.change for phase in toggles), self.phases),
                *(Cell(f"without-{left.name}", f"all but: {left.change}", self._without(left)) for left in toggles),
            )
        subsets = [
            (base, *chosen) for size in range(len(toggles) + 1) for chosen in itertools.combinations(toggles, size)
        ]
        return tuple(self._cell(each) for each in sorted(subsets, key=lambda each: each not in path))

    def _without(self, left: Phase) -> tuple[Phase, ...]:
        return tuple(phase for phase in self.phases if phase != left)

    def _cell(self, phases: tuple[Phase, ...]) -> Cell:
        num_path = next((num for num, each in enumerate(phases) if each != self.phases[num]), len(phases))
        beside = phases[num_path:]
        name = "+".join([phases[num_path - 1].name, *(phase.name for phase in beside)])
        return Cell(name, "; ".join(phase.change for phase in beside or phases[-1:]), phases)

    def recipe(self, tier: str, cell: str, scale: float = 1.0, rates: Mapping[str, float] = NO_RATES) -> Recipe:
        """The recipe TIER/CELL: the tier with the changes of the cell's phases, in order. `rates` holds, by phase,
        the multiple of the peak learning rate that was chosen from its bracket.

        Raises InputError for an unknown cell or tier, and for changes that no recipe can have.
        """
        cells = {each.name: each for each in self.cells}
        if cell not in cells:
            raise InputError(f'unknown phase "{cell}" of ladder {self.name}{nearest(cell, list(cells))}')
        tree = load_tier(tier)
        tree["name"] = f"{Path(tier).stem}/{cell}"
        for key, value in self.set.items():
            set_key(tree, key, value)
        for phase in cells[cell].phases:
            for key, value in phase.set.items():
                set_key(tree, key, value)
            if phase.name in rates:
                schedule = Recipe.from_tree(tree).schedule
                set_key(tree, "schedule.peak", schedule.peak * rates[phase.name])
                set_key(tree, "schedule.floor", schedule.floor * rates[phase.name])
        recipe = Recipe.from_tree(tree)
        return recipe if scale == 1.0 else with_steps(recipe, max(1, round(recipe.steps * scale)))


@dataclass(frozen=True)
class PlannedRun:
    tier: str
    phase: str
    seed: int
    recipe: Recipe

    @property
    def folder(self) -> Path:
        """Where the run lives below the ladder's folder."""
        return Path("runs", self.tier, self.phase, f"seed-{self.seed}")


def load_ladder(name: str, *, of_another: bool = False) -> Ladder:
    """A built-in ladder by name (an earlier one, too), or a TOML file; `of_another`: for the phases of another one.

    Raises InputError for an unknown name or an invalid file.
    """
    names = [path.stem for path in sorted(PRESETS.glob("ladders/*.toml"))]
    if not name.endswith(".toml") and current_name(name) not in names:
        raise InputError(f'no built-in ladder and no .toml file is called "{name}"{nearest(name, names)}')
    path = Path(name) if name.endswith(".toml") else PRESETS / "ladders" / f"{current_name(name)}.toml"
    if not path.is_file():
        raise InputError(f"{name} does not exist; give the path of a ladder's file, or one of: {', '.join(names)}")
    tree = {"name": path.stem, **read_toml(path)}
    if isinstance(tree.get("phases"), str):
        if of_another:
            raise InputError(f"{path} takes its phases from a ladder that takes them from another; name that one")
        tree["phases"] = load_ladder(tree["phases"], of_another=True).phases
    try:
        return Ladder.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"{path}: {_one_line(error)}") from error


def _one_line(error: ValidationError) -> str:
    first = first_error(error)
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    *place, last = (str(part) for part in first["loc"])
    if first["type"] == "string_pattern_mismatch":
        return f'"{first["input"]}" names a folder, too: begin it with a letter or digit; "_", "." and "-" may follow'
    fields = Phase.model_fields if place and place[0] == "phases" else Ladder.model_fields
    hint = nearest(last, list(fields)) if first["type"] == "extra_forbidden" else ""
    return f'field "{".".join([*place, last])}": {first["msg"].lower()}{hint}'


def plan_runs(
    ladder: Ladder,
    tiers: Sequence[str],
    phases: Sequence[str],
    num_seeds: int,
    scale: float,
    rates: Mapping[str, Mapping[str, float]] = NO_TIERS,
) -> list[PlannedRun]:
    """Every run of the ladder, tier by tier and seed by seed, so that a ladder that is cut off has whole pairs.
    `rates` holds, by name of the tier and phase, what was chosen from brackets.

    Raises InputError when two tiers share a name, or a tier or phase is unknown.
    """
    names = [Path(tier).stem for tier in tiers]
    if len(set(names)) < len(names):
        raise InputError(f"two tiers of this ladder have the same name: {', '.join(names)}; rename one of the files")
    recipes = {
        (tier, phase): ladder.recipe(tier, phase, scale, rates.get(name, NO_RATES))
        for tier, name in zip(tiers, names, strict=True)
        for phase in phases
    }
    return [
        PlannedRun(name, phase, seed, recipes[tier, phase])
        for tier, name in zip(tiers, names, strict=True)
        for seed in range(num_seeds)
        for phase in phases
    ]
