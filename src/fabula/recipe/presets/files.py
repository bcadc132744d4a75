"""Tiers and whole recipes as the TOML files of the package: their names, the names they had, their fields."""

from importlib import resources
from pathlib import Path
from typing import Any

from fabula.errors import InputError, nearest
from fabula.recipe.toml import read_toml

PRESETS = Path(str(resources.files("fabula.recipe") / "presets"))
EARLIER_NAMES = {
    "seeds": "classic",
    "gemma3-270m-seed": "gemma3-270m-rising",
    "gemma3-nano-seed": "gemma3-nano-rising",
}
"""What ladders and recipes were called before; records and files still call them so."""

PLAN = "plan"
"""What a recipe is called that is planned for the time, the machine and the stories before it is trained; PLAN/FAMILY
in the sizes of that preset."""
FAMILIES = ("modern", "modern-portable")
"""The presets in whose sizes it is planned, the usual one first: those of which runs in several are kept
(study/frontier)."""


def current_name(name: str) -> str:
    """What the ladder, recipe or TIER/PHASE called `name` is called today."""
    first, slash, phase = name.partition("/")
    return EARLIER_NAMES.get(first, first) + slash + phase


def planned_family(name: str) -> str | None:
    """The family of PLAN or PLAN/FAMILY; None where `name` is a recipe's that is not planned. Raises InputError for a
    family of which no runs are kept."""
    first, slash, family = name.partition("/")
    if first != PLAN:
        return None
    return known_family(family) if slash else FAMILIES[0]


def known_family(name: str) -> str:
    """`name`. Raises InputError unless it is one of FAMILIES."""
    if name not in FAMILIES:
        raise InputError(f'nothing is planned in the sizes of "{name}"; give {" or ".join(FAMILIES)}')
    return name


def tier_names() -> list[str]:
    return [path.stem for path in sorted(PRESETS.glob("tiers/*.toml"))]


def whole_recipe_names() -> list[str]:
    """Recipes that stand for themselves, without phases."""
    return [path.stem for path in sorted(PRESETS.glob("recipes/*.toml"))]


def load_tier(tier: str) -> dict[str, Any]:
    """The nested dictionaries of a tier: a preset's name (a whole recipe's too), or a TOML file."""
    if tier.endswith(".toml"):
        path = Path(tier)
    else:
        tier = current_name(tier)
        if tier not in (known := [*tier_names(), *whole_recipe_names()]):
            raise InputError(f'unknown tier "{tier}"{nearest(tier, known)}')
        path = PRESETS / ("recipes" if tier in whole_recipe_names() else "tiers") / f"{tier}.toml"
    if not path.is_file():
        raise InputError(f"{tier} does not exist; give a file that holds a tier, or one of: {', '.join(tier_names())}")
    return read_toml(path)
