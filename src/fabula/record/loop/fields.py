"""The fields of a line: under the names of the format, each of the type that it had before."""

import math
import warnings
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

from fabula.errors import InputError
from fabula.record.content.columns import MEASURED
from fabula.record.content.shape import EVENT, LARGEST, SAMPLE, misfit
from fabula.record.foreign.names import recognize
from fabula.record.loop.scalars import Late, scalar

ALIKE = {name: name for name in ("grad_norm", "learning_rate", "tokens", "val_loss")}
KNOWN = {
    "train": {**ALIKE, "loss": "loss", "train_loss": "loss"},
    "eval": {**ALIKE, "loss": "val_loss", "train_loss": "train_loss"},
}
"""What is recognized -> its field, on the lines of each kind."""
SHAPES = {"sample": SAMPLE, "event": EVENT}
BITS = 1024
"""Of a whole number that no float holds."""
TAKEN = {"kind", "step", "non_finite", "attempt"}
"""Names that the format gives to a line itself."""


class Fields:
    """Remembers of each name whether it is a number: a column that changed to text could not be read any more.

    And of each meaning which name took it first: of two rates or two held-out sets, the others keep their names.
    """

    def __init__(self) -> None:
        self.are_texts: dict[tuple[str, str], bool] = {}
        """Of a kind of line and a field; a record that goes on has some already."""
        self._taken: dict[tuple[str, str], str] = {}

    def of(self, kind: str, step: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """The line. Raises InputError for a field that is no scalar, or a number under the name of a measurement."""
        line: dict[str, Any] = {"step": step} if kind == "sample" else {"kind": kind, "step": step}
        if kind in SHAPES:
            line |= {name: plain(value) for name, value in given.items() if name not in TAKEN and value is not None}
            if wrong := misfit(line, SHAPES[kind]):
                raise InputError(f"{kind} at step {step:,}: {wrong}")
            return line
        for name, value in given.items():
            if value is None:
                continue
            called = self._called(name, kind, given)
            if called in TAKEN:
                raise InputError(f"{called}= has a meaning of its own in a record; call that number something else")
            value = scalar(called, value)
            if isinstance(value, int) and abs(value) >= LARGEST:
                value = float(value) if value.bit_length() < BITS else math.inf
            if self._fits(kind, called, value):
                line[called] = value
        return line

    def _called(self, name: str, kind: str, given: Mapping[str, Any]) -> str:
        called = meaning(name, kind)
        if called == name or given.get(called) is not None or (kind, name) in self.are_texts:
            return name
        if name == "loss":  # of an evaluation: a word for no particular one
            return called
        return called if self._taken.setdefault((kind, called), name) == name else name

    def _fits(self, kind: str, name: str, value: Any) -> bool:
        text = isinstance(value, str)
        if text and name in MEASURED:
            raise InputError(f"{name} is {value[:60]!r}, which is no number; give one number")
        before = self.are_texts.setdefault((kind, name), text)
        if before is not text:
            warnings.warn(
                f"{name} was {'a text' if before else 'a number'} before; {value!r} is left out", stacklevel=5
            )
        return before is text


@cache
def meaning(name: str, kind: str) -> str:
    """`lr` is `learning_rate`, `eval/loss` is `val_loss`: names of other loops, as the readers of logs know them."""
    if name in MEASURED and name not in KNOWN["eval"]:
        return name
    return KNOWN[kind].get(next(iter(recognize([name])), ""), name)


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has not, in words."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):  # of NumPy or torch
        return plain(value.item())
    if isinstance(value, bool) or value is None or (isinstance(value, int) and abs(value) < LARGEST):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def count(name: str, value: Any) -> int:
    """A whole number from 0 on. Raises InputError for anything else."""
    if type(value) is not int:
        value = scalar(name, value)
        value = value.read() if isinstance(value, Late) else value
        value = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST:
        raise InputError(f"{name} is {value!r}; count optimizer updates: 1 for the first, 0 before it")
    return value
