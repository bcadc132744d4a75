"""Where a ladder's runs are made: what `--on` says."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from fabula.errors import InputError, nearest

PACKAGES = {"ray": "ray", "slurm": "submitit"}


@dataclass(frozen=True)
class Place:
    engine: Literal["ray", "slurm"]
    address: str = ""
    """Of a Ray cluster; empty: one of this machine alone, which ends with the command."""


def place_of(text: str) -> Place:
    """Of `ray`, `ray:ADDRESS` or `slurm`. Raises InputError for anything else, and where its package is missing."""
    engine, colon, address = text.strip().partition(":")
    if engine not in PACKAGES or (colon and (engine != "ray" or not address.strip())):
        hint = nearest(engine, list(PACKAGES)) if engine not in PACKAGES else ""
        raise InputError(f'--on "{text}": give ray, ray:ADDRESS or slurm{hint if "did you mean" in hint else ""}')
    if find_spec(PACKAGES[engine]) is None:
        raise InputError(f"--on {engine} needs {PACKAGES[engine]}; install it with: pip install 'fabula[{engine}]'")
    return Place("ray" if engine == "ray" else "slurm", address.strip())
