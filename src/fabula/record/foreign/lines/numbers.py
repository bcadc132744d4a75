"""Cells as numbers, however they are written: `1,000`, `1.000`, `1 000`, `2,5`, `12.3K`, `tensor(2.5)`.

A cell is a text or a number; "" was written and is empty, None is not there.
"""

import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fabula.errors import InputError
from fabula.record.content.columns import in_range
from fabula.record.content.shape import LARGEST

Cells = Sequence[Any]

MISSING = ("", "null", "none", "na", "n/a", "-", "--", "no log", "<na>", "#n/a")
"""`No log` is what the Trainer's tables have where no loss was logged yet."""
_GROUPS = {sign: re.compile(rf"[-+]?[1-9]\d{{0,2}}(?:{re.escape(sign)}\d{{3}})+") for sign in ",."}
OTHER = {",": ".", ".": ","}
_SPACED = re.compile(r"[-+]?\d{1,3}(?:[ '_\u2019\u00a0\u202f]\d{3})+(?:[.,]\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_WRAPPED = re.compile(
    r"(?:tensor|array|(?:np\.|numpy\.|torch\.)\w+)\(\s*\[?([^\s,()\[\]]+)\]?(?:,.*)?\)|\[([^\s,\[\]]+)\]"
)
_LABELLED = re.compile(
    r"(?:epoch|step|iter|iteration|batch)[\s:#-]*(\d[\d.]*)(?:\s*/\s*\d+)?|(\d+)\s*/\s*\d+", re.IGNORECASE
)
"""`Epoch 3`, `3/100`."""
_LOST = re.compile(
    r"[-+]?(?:(?:nan|inf)(?:32|16|\(\w*\))|1\.#(?:qnan|snan|ind|inf)\w*)|#num!|#div/0!|#value!", re.IGNORECASE
)
"""What is not finite, as Julia, C libraries and spreadsheets write it."""
_SHORT = re.compile(r"([-+]?\d+(?:\.\d+)?)\s?([kKMGBT])")
_FACTORS = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}


def is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING)


def is_number(cell: Any) -> bool:
    try:
        as_float(cell)
    except (TypeError, ValueError):
        return False
    return True


def as_float(cell: Any) -> float:
    """`float`, of whole numbers of any length: beyond what a float holds they are infinite, as `1e400` is."""
    try:
        return float(cell)
    except OverflowError:
        return math.inf if cell > 0 else -math.inf


def decimal_sign(columns: Iterable[Cells]) -> str | None:
    """`.` or `,`: the one that some cell shows (`10.25`, `0,998`, `1.234,5`), else the only one there is; else None."""
    seen = set()
    for cells in columns:
        for cell in cells if str in set(map(type, cells)) else ():
            if not isinstance(cell, str) or not (place := max(cell.rfind("."), cell.rfind(",")) + 1):
                continue
            sign, whole, last = cell[place - 1], cell[: place - 1].strip(), cell[place:].strip()
            if re.fullmatch(r"[-+]?[\d.,]+", whole) and re.fullmatch(r"\d+(?:[eE][-+]?\d+)?", last):
                seen.add(sign)
                if len(last) != 3 or whole.lstrip("+-") == "0" or OTHER[sign] in whole or len(whole.lstrip("+-")) > 3:
                    return sign if cell.count(sign) == 1 else OTHER[sign]
    return seen.pop() if len(seen) == 1 else None


def numbers(path: Path, cells: Cells, name: str, *, whole: bool = False, decimal: str | None = None) -> np.ndarray:
    """One column as float64: NaN where a cell is missing, infinity where it was written and is not finite.

    `whole`: the column counts, so `1,000` is a thousand, and what no record counts to (2**53) is not finite. Raises
    InputError for what is no number, and for what can be read in two ways.
    """
    if whole and not _plain(cells):
        values = np.array(
            [
                _counted(path, cell, name, grouped)
                for grouped in [_grouping(path, cells, name, decimal)]
                for cell in cells
            ]
        )
    else:
        values = _measured(path, cells, name, decimal)
    values = in_range(values, math.inf)
    if whole:
        values = np.where(np.abs(values) >= LARGEST, math.inf, values)
    if np.isfinite(values).all():
        return values
    written = np.array([not is_missing(cell) for cell in cells])
    return np.where(~np.isfinite(values) & written, np.inf, values)


def _plain(cells: Cells) -> bool:
    """Whether a count is written in digits alone, or is a number already."""
    try:
        return all(map(str.isdecimal, cells))
    except TypeError:  # some are no texts
        return str not in set(map(type, cells)) or all(cell.isdecimal() for cell in cells if isinstance(cell, str))


def _measured(path: Path, cells: Cells, name: str, decimal: str | None) -> np.ndarray:
    nan = float("nan")
    if decimal != ",":
        with suppress(TypeError, ValueError, OverflowError):  # some are missing, or very long
            return np.array(list(map(float, cells)))
        try:
            return np.array([nan if cell is None or cell == "" else as_float(cell) for cell in cells])
        except (TypeError, ValueError):
            pass  # below, cell by cell
    return np.array([_number(path, cell, name, decimal) for cell in cells])


def _number(path: Path, cell: Any, name: str, decimal: str | None) -> float:
    if is_missing(cell):
        return float("nan")
    if not isinstance(cell, str):
        if is_number(cell):
            return as_float(cell)
        raise _no_number(path, cell, name)
    text = cell.strip()
    if match := _WRAPPED.fullmatch(text):
        text = match[1] or match[2]
    if _SPACED.fullmatch(text):
        text = re.sub(r"[ '_\u2019\u00a0\u202f]", "", text)
    comma, point = text.count(","), text.count(".")
    if comma and point:
        decimal = max(",.", key=text.rfind)
        text = text.replace("," if decimal == "." else ".", "")
    elif (comma > 1 and _GROUPS[","].fullmatch(text)) or (
        comma == 1 and decimal == "." and _GROUPS[","].fullmatch(text)
    ):
        text = text.replace(",", "")
    elif decimal == "," and _GROUPS["."].fullmatch(text):
        text = text.replace(".", "")
    if decimal != "." and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if _LOST.fullmatch(text):
        return float("nan")
    if match := _LABELLED.fullmatch(text):
        text = match[1] or match[2]
    if is_number(text):
        return float(text)
    raise _no_number(path, cell, name)


def _grouping(path: Path, cells: Cells, name: str, decimal: str | None) -> str:
    """The sign between thousands in a column that counts: `,`, `.`, or "" for none."""
    texts = [cell.strip() for cell in cells if isinstance(cell, str) and not is_missing(cell)]
    for sign in ",.":
        grouped = [text for text in texts if _GROUPS[sign].fullmatch(text)]
        if not grouped:
            continue
        rest = [text for text in texts if not _GROUPS[sign].fullmatch(text)]
        if any(text.count(sign) > 1 for text in grouped):
            return sign
        if any(sign in text for text in rest):
            continue  # 0.500 or 12.5: the sign is that of decimals
        plain = [float(text) for text in rest if is_number(text)]
        if any(OTHER[sign] in text for text in rest) or (plain and max(plain) < 1000):
            return sign
        if not plain and (decimal == OTHER[sign] or any(int(text.split(sign)[1]) for text in grouped)):
            return sign  # 2.500 is no whole number of steps, if its sign is that of decimals
        if not plain and decimal == sign:
            continue  # NeMo's `global_step=9.000` beside `reduced_train_loss=10.25`
        raise InputError(
            f'{path}: "{grouped[0]}" in column {name} can be {grouped[0].replace(sign, "")} or a decimal number; '
            "write it without separators"
        )
    return ""


def _counted(path: Path, cell: Any, name: str, grouping: str) -> float:
    if not isinstance(cell, str) or is_missing(cell):
        return _number(path, cell, name, None)
    text = cell.strip().replace(grouping, "") if grouping else cell.strip()
    if match := _SHORT.fullmatch(text):
        return float(match[1]) * _FACTORS[match[2]]
    return _number(path, text, name, None)


def _no_number(path: Path, cell: Any, name: str) -> InputError:
    return InputError(f'{path}: "{str(cell).strip()[:40]}" in column {name} is not a number; repair or remove it')
