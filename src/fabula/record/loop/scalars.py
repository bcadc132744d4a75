"""Numbers as loops have them: Python's, NumPy's, or tensors, also such as a device is still computing.

No library is imported for it: a value says by its own methods what it is. What waits on a device is copied without
waiting for it, and read when it is there.
"""

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from fabula.errors import InputError

AS_THEY_ARE = (bool, int, float, str, type(None))


class Late:
    """A number that a device may still be computing. `ready`: whether reading it would not wait; None where the device
    cannot be asked."""

    def __init__(self, read: Callable[[], Any], ready: Callable[[], bool] | None) -> None:
        self.read, self.ready = read, ready


def scalar(name: str, value: Any) -> Any:
    """`value` as a number, text, flag or None, or as `Late` where reading it now would wait for a device.

    Raises InputError for what is none, such as a tensor with more than one number.
    """
    if isinstance(value, AS_THEY_ARE):
        return value
    if isinstance(value, np.generic) and isinstance(value.item(), AS_THEY_ARE):
        return value.item()
    shape = getattr(value, "shape", None)
    if shape and (numbers := math.prod(map(int, shape))) != 1:
        raise InputError(f"{name} has {numbers:,} numbers; give one, for example {name}={name}.mean()")
    if shape is not None and (late := _late(value)) is not None:
        return late
    return _read(name, value)


def _late(value: Any) -> Late | None:
    """What waits on a device; None for what lies in memory."""
    device = getattr(value, "device", None)
    kind = getattr(device, "type", None)
    if kind == "cpu":
        return None
    if hasattr(value, "copy_to_host_async"):  # jax, whose arrays never change
        value.copy_to_host_async()
        return Late(lambda: _number(value), value.is_ready)
    if kind is None:
        kind = "cpu" if device is None or "CPU" in str(device).upper() else "another"
    if kind in ("cpu", "meta"):
        return None
    if kind == "cuda":
        cuda = sys.modules["torch"].cuda  # torch is loaded: it made the value
        event = cuda.Event()
        copy = value.detach().to("cpu", non_blocking=True)  # into pinned memory, so that it does not wait
        event.record(cuda.current_stream(device))  # the copy's: by itself it takes that of the device in use

        def read() -> Any:
            event.synchronize()
            return _number(copy)

        return Late(read, event.query)
    copy = value.detach().clone() if hasattr(value, "detach") else value  # the loop may add to it
    return Late(lambda: _number(copy), None)


def _read(name: str, value: Any) -> Any:
    try:
        return _number(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is {str(value)[:60]!r}, which is no number; give one number") from error


def _number(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    elif hasattr(value, "numpy"):
        value = value.numpy().item()
    return value if isinstance(value, AS_THEY_ARE) else float(value)
