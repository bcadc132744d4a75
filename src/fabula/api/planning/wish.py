"""What somebody who plans has: time, tokens, room for weights, or a loss to reach."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from fabula.errors import InputError
from fabula.record.wording import number

CHOSEN = ("model.", "batch.", "tokenizer", "own.")
"""Fields that a plan chooses, and what its loss was learned with."""


def wish_of_training(
    fields: Iterable[str], steps: int | None, minutes: float | None, starts_from: object, dashes: str = ""
) -> "Wish":
    """What a training that is to be planned may spend. `fields`: those of the recipe that are set beside it. Raises
    InputError where a plan cannot be made of that."""
    if minutes is None or steps is not None:
        raise InputError(f"a plan is made for some time: give {dashes}minutes, and no {dashes}steps")
    if starts_from is not None:
        raise InputError(
            "a model that is there has its size, so none is planned; leave out plan, or the model to start from"
        )
    for field in fields:
        if field.startswith(CHOSEN):
            raise InputError(
                f"{field} is what a plan chooses; leave it out, or change the file that `fabula plan --out FILE` writes"
            )
    return Wish(minutes=minutes).checked(dashes)


@dataclass(frozen=True)
class Wish:
    """One of them is given."""

    minutes: float | None = None
    tokens: int | None = None
    parameters: int | None = None
    """The most that the model may have, its tables of tokens counted."""
    loss: float | None = None
    """Nats a GPT-2 token."""

    def checked(self, dashes: str = "") -> "Wish":
        """Itself. Raises InputError unless exactly one is given, and can be had; `dashes` stands before their names."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            said = f"{' and '.join(dashes + name for name in given)} are too much" if given else "nothing is asked for"
            raise InputError(f"{said}; give one of {', '.join(dashes + name for name in vars(self))}")
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise InputError(f"{dashes}{name} {number(value)}: give a number above 0")
        return self
