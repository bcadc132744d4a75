"""CSV files: columns by name, whatever the separator; TensorBoard's download of one curve, too."""

import csv
import re
from collections import Counter
from pathlib import Path

import numpy as np

from fabula.errors import InputError
from fabula.record.foreign.names import recognize
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.tables import LOSSES, choose, lost_lines, not_finite_as_infinity, to_run
from fabula.record.reader import Columns, Run

SEPARATORS = ",;\t|"
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
"""How spreadsheets of many countries write a number, between semicolons."""
DOWNLOAD = ["wall time", "step", "value"]
"""The header of TensorBoard's download; the quantity stands in the file's name, behind `tag-`."""


def read(path: Path, text: str) -> list[Run]:
    """The one run of a CSV file.

    A last line without a line end that is short or ends within a number is left out. Raises InputError for any other
    line that does not fit its header, and where there are no steps.
    """
    header, rows, notes = read_table(path, text)
    if [name.strip().lower() for name in header] == DOWNLOAD:
        return [_download(path, header, rows, notes)]
    chosen = choose(path, header)
    places = {name: header.index(original) for name, original in chosen.items()}
    columns = {name: column(path, rows, place, header[place]) for name, place in places.items()}
    losses = [name for name in LOSSES if name in columns and not np.isnan(columns[name]).all()]
    lost = None
    if losses and np.isnan(columns[losses[0]]).any():
        present = {name: np.array([bool(row[place]) for row in rows]) for place, name in enumerate(header)}
        lost = lost_lines(present, chosen[losses[0]], [chosen.get("grad_norm", "")])
    return [to_run(path, "csv", columns, names=chosen, notes=notes, lost=lost)]


def looks_like(line: str) -> bool:
    """Whether `line` can be the header of a table: names between separators, and not numbers alone."""
    cells = _cells(line)
    return len(cells) > 1 and not any(_is_number(cell) for cell in cells)


def has_steps(line: str) -> bool:
    return "step" in recognize(_cells(line))


def separator(line: str) -> str:
    return max(SEPARATORS, key=line.count)


def read_table(path: Path, text: str) -> tuple[list[str], list[list[str]], list[Note]]:
    """Header, rows of equally many cells, and notes. Headers that come again (an appended log) are skipped."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not lines or not looks_like(lines[0]):
        raise InputError(f"{path} has no header line that names its columns (step, loss, val_loss, ...)")
    header = _cells(lines[0])
    try:
        rows = list(csv.reader(lines[1:], delimiter=separator(lines[0])))
    except csv.Error as error:
        raise InputError(f"{path} is not valid CSV ({error}); repair or remove that line") from error
    notes = []
    if rows and not text.endswith("\n") and (len(rows[-1]) < len(header) or not _whole(rows[-1])):
        rows.pop()
        notes.append(note("cut_off"))
    widths = Counter(map(len, rows))
    if set(widths) - {len(header)}:
        bad = next(number for number, row in enumerate(rows) if len(row) != len(header))
        cells = f"{len(rows[bad])} cell{'' if len(rows[bad]) == 1 else 's'}"
        raise InputError(
            f"{path}, line {_line_number(text, lines[bad + 1])}: {cells}, but the header has {len(header)}; "
            "repair or remove that line"
        )
    if any(row[0].strip() == header[0] for row in rows):
        rows = [row for row in rows if [cell.strip() for cell in row] != header]
    if not rows:
        raise InputError(f"{path} has a header line and nothing below it; nothing was logged")
    return header, rows, notes


def column(path: Path, rows: list[list[str]], place: int, name: str) -> np.ndarray:
    """One column as numbers: NaN where the cell is empty, infinity where it is not a finite number."""
    nan = float("nan")
    cells = [row[place] for row in rows]
    try:
        values = np.array([float(cell) if cell else nan for cell in cells])
    except ValueError:
        values = np.array([_number(path, cell, name) for cell in cells])
    if np.isfinite(values).all():
        return values
    return not_finite_as_infinity(values, np.array([not _is_missing(cell) for cell in cells]))


def _download(path: Path, header: list[str], rows: list[list[str]], notes: list[Note]) -> Run:
    tag = re.search(r"tag[-_](.+)$", path.stem)
    if tag is None:
        raise InputError(
            f"{path} is TensorBoard's download of one curve, and its name does not say which; "
            "rename it, for example to tag-loss.csv, or give the folder of the event files"
        )
    names = {"step": header[1], tag.group(1): header[2]}
    chosen = choose(path, names)
    columns: Columns = {
        name: column(path, rows, header.index(names[given]), names[given]) for name, given in chosen.items()
    }
    return to_run(path, "csv", columns, names=chosen, notes=[*notes, note("sampled_download")])


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator(line)), [])]
    except csv.Error:  # a carriage return within the line, as progress bars leave them: no table
        return []


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in ("", "null", "none", "na", "n/a", "-")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _whole(row: list[str]) -> bool:
    """Whether a last cell is not the beginning of a number, such as `1.2e-`."""
    cell = row[-1].strip()
    return _is_missing(cell) or not re.match(r"[-+.\d]", cell) or _is_number(cell)


def _number(path: Path, cell: str, name: str) -> float:
    if _is_missing(cell):
        return float("nan")
    if DECIMAL_COMMA.fullmatch(cell.strip()):
        return float(cell.replace(",", "."))
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(
            f'{path}: "{cell.strip()[:40]}" in column {name} is not a number; repair or remove it'
        ) from error


def _line_number(text: str, line: str) -> int:
    return text.split("\n").index(line) + 1
