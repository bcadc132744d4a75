"""What of a trainer's metrics a record can hold."""

import warnings
from collections.abc import Mapping
from typing import Any

from fabula.errors import InputError
from fabula.record.loop.scalars import scalar


class Numbers:
    """Remembers what it has left out, to say it once of each name.

    Trainers and other loggers take lists and texts too, and a training does not end for one that comes after hours.
    """

    def __init__(self) -> None:
        self._left_out: set[str] = set()

    def of(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are one number, or None."""
        return {name: value for name, value in metrics.items() if self._is_number(name, value)}

    def _is_number(self, name: str, value: Any) -> bool:
        try:
            wrong = "it is a text" if isinstance(scalar(name, value), str) else ""
        except InputError as error:
            wrong = str(error)
        if wrong and name not in self._left_out:
            self._left_out.add(name)
            warnings.warn(f"{name} is left out of fabula's record: {wrong}", stacklevel=4)
        return not wrong
