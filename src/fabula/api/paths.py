"""Paths and options as Python users give them."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fabula.findings import Flags
from fabula.record.foreign.names import columns_said

Where = str | os.PathLike[str]


def flags_of(
    vocab: int | None,
    clip: float | None,
    accumulation: int | None,
    from_scratch: bool,
    columns: Mapping[str, str] | str | None,
) -> Flags:
    """What is said of a log. `columns` as a mapping (canonical name -> column), or as it is typed."""
    said = columns_said(columns) if isinstance(columns, str) else columns
    return Flags(vocab, clip, accumulation, from_scratch or None, said or None)


def need_torch() -> None:
    """Raise ModuleNotFoundError, with the remedy, where torch is not installed."""
    if find_spec("torch") is None:
        raise ModuleNotFoundError("this needs torch; install it with: pip install 'fabula[train]'", name="torch")


def path_of(where: Where) -> Path:
    return Path(os.fspath(where)).expanduser()
