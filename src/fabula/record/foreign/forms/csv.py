"""CSV files: columns by name, whatever the separator; TensorBoard's download of one curve, too."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from fabula.errors import InputError
from fabula.record.foreign.lines.numbers import is_missing, is_number
from fabula.record.foreign.lines.reading import runs_of
from fabula.record.foreign.lines.steps import MEASURED
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.lines.units import BESIDE
from fabula.record.foreign.names import UNSURE, normalized, of_held_out, recognize
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.tables import LOSSES
from fabula.record.reader import Run

SEPARATORS = ",;\t|"
BLANKS = " "
"""What separates the cells of a table that was printed."""
_RULE = re.compile(
    r"\s*(?:\\(?:top|mid|bottom)rule|\\hline)\s*|\s*[|+:\u2500-\u257f ]*[-=\u2500-\u257f]{2,}[-=|+:\u2500-\u257f ]*\s*"
)
"""A line that is drawn between the head of a table and its body."""
_FOOTER = re.compile(r"\(\d+ rows?\)|\[\d+ rows x \d+ columns\]|\d+ rows? in set.*")
"""What a database and pandas print below a table."""
_LEFT_OUT = re.compile(r"\.{2,3}(?:\s+\.{2,3})+")
"""A row in place of those that pandas did not print."""
_ROW_END = re.compile(r"[ \t]*\\\\[ \t]*(?:\\hline[ \t]*)?$", re.MULTILINE)
"""In LaTeX."""
_DRAWN = re.compile(r"\x1b\[[\d;?]*[A-Za-z]|\*\*(?=\S)|(?<=\S)\*\*")
"""Colours, and what is bold in Markdown."""
_ROW_OF_NUMBERS = re.compile(r"(?!\d{1,3}(?: \d{3})+(?:[.,]\d+)?$)\S+(?: \S+)+")
"""Numbers with single blanks between them, and not one whose thousands are apart."""
_FRAME = str.maketrans("\u2502\u2503\u2551", "|||")
"""Lines between cells as people draw them."""
DOWNLOAD = ["wall time", "step", "value"]
"""The header of TensorBoard's download; the quantity stands in the file's name, behind `tag-`."""
MANY = 3
"""So many lines that lack the same columns were written so; one is damaged."""
ONE_CURVE = {"", "index", "unnamed: 0", "wall time", "relative time", "timestamp", "time", "step", "value"}
"""What a file of one curve has, whoever wrote it."""


def read(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of a CSV file: one, unless a column tells several apart.

    A last line without a line end that is short or ends within a number is left out. Raises InputError for any other
    line that does not fit its header, and where there are no steps.
    """
    header, rows, notes = read_table(path, text)
    names = [name.strip().lower() for name in header]
    if {"step", "value"} <= set(names) <= ONE_CURVE and "value" not in map(str.lower, (wanted or {}).values()):
        header[names.index("value")] = _quantity(path)
        notes += [note("sampled_download")] if names == DOWNLOAD else []
    return runs_of(as_table(path, "csv", header, rows, notes), wanted)


def as_table(path: Path, form: str, header: list[str], rows: list[list[str]], notes: Iterable[Note]) -> Table:
    """Of two columns with one name the first counts."""
    cells: dict[str, list[str]] = {}
    for place, name in enumerate(header):
        cells.setdefault(name, [row[place] for row in rows])
    return Table(path, form, cells, tuple(notes))


def header_of(text: str) -> str:
    """The line that would name the columns."""
    return next((line for _, line in _lines(text, most=50)), "")


def from_header(text: str, wanted: Mapping[str, str] | None = None) -> str:
    """`text` without what a program printed above the header of its table, and then below the table. The header names
    what counts and what is measured, or what is `wanted`."""
    if any(chr(sign) in text for sign in _FRAME):
        text = text.translate(_FRAME)
    if "\x1b" in text or "**" in text:
        text = _DRAWN.sub("", text)
    if "&" in text and _ROW_END.search(text):
        text = _ROW_END.sub("", text).replace("&", "|")
    first = text.split("\n", 60)[:60]
    for place, line in enumerate(first[:-1]):
        cells = _cells(line, separator(line))
        if separator(line) == BLANKS and (words := _words(line, first[place + 1 :])):
            cells = words
            text = text.replace(line, "  ".join(words), 1)
        named = recognize(cells)
        knows = named.keys() & {"step", "epoch"} and named.keys() & {*LOSSES, *BESIDE}
        if len(cells) < 2 or not (knows or (wanted and set(wanted.values()) <= set(cells))):
            continue
        row = next((each for each in first[place + 1 :] if each.strip() and not _RULE.fullmatch(each)), "")
        if any(map(is_number, cells)) or len(_cells(row, separator(line))) < len(cells):
            continue
        if not place:
            return text
        below = text.split("\n")[place:]
        widths = {len(cells), len(_cells(row, separator(line)))}
        fits = (len(_cells(each, separator(line))) in widths or _RULE.fullmatch(each) for each in below)
        end = next((at for at, is_row in enumerate(fits) if not is_row), len(below))
        return "\n" * place + "\n".join(below[:end]) + "\n"
    return text


def _words(line: str, below: list[str]) -> list[str]:
    """The names in the head of a table whose columns are one blank apart, as R prints them, if the rows show it."""
    rows = [_cells(each, BLANKS) for each in below]
    width = next((len(row) for row in rows if sum(map(is_number, row)) > 1), 0)
    words = line.split()
    fits = {width, width - 1}
    return words if len(words) in fits and len(words) > 1 and len(_cells(line, BLANKS)) not in fits else []


def has_steps(text: str, wanted: Mapping[str, str] | None = None) -> bool:
    """Whether the first line names a column that counts, or one that was said; among blanks, if rows fit below it."""
    line = header_of(text)
    cells = _cells(line, separator(line))
    if len(cells) < 2 or any(is_number(cell) or cell.startswith("{") for cell in cells):
        return False
    named = recognize(cells).keys() & {"step", "epoch"} or set((wanted or {}).values()) & set(cells)
    return bool(named) and (separator(line) != BLANKS or is_table(text))


def is_table(text: str) -> bool:
    """Whether most of the first lines have as many cells as the header, which are names, and numbers below them."""
    lines = [line for _, line in _lines(text, most=50)]
    if len(lines) < 2:
        return False
    split_by = separator(lines[0])
    header, rows = _cells(lines[0], split_by), [_cells(line, split_by) for line in lines[1:]]
    if len(header) < 2 or any(is_number(cell) or len(cell) > 60 or cell.count(" ") > 4 for cell in header):
        return False
    widths = {len(header), len(header) + 1} if split_by == BLANKS else {len(header)}
    fitting = [row for row in rows if len(row) in widths]
    numeric = [row for row in fitting if any(map(is_number, row))]
    return len(fitting) >= 0.8 * len(rows) and len(numeric) >= 0.5 * len(rows)


def ruled(text: str) -> list[str]:
    """The names above the first rule under which there are rows of as many cells with numbers in them."""
    lines = text.split("\n", 200)[:200]
    for place, line in enumerate(lines[1:-MANY], start=1):
        if not _RULE.fullmatch(line) or not lines[place - 1].strip():
            continue
        split_by = separator(above := lines[place - 1].strip("| "))
        names = _cells(above, split_by)
        rows = [_cells(row.strip("| "), split_by) for row in lines[place + 1 : place + 1 + MANY]]
        if len(names) > 2 and all(len(row) == len(names) and sum(map(is_number, row)) > 1 for row in rows):
            return names
    return []


def separator(line: str) -> str:
    best = max(SEPARATORS, key=line.count)
    return best if best in line else BLANKS


def read_table(path: Path, text: str) -> tuple[list[str], list[list[str]], list[Note]]:
    """Header, rows of equally many cells, and notes. Headers that come again (an appended log) are skipped."""
    lines = _lines(text)
    header = _cells(lines[0][1], split_by := separator(lines[0][1])) if lines else []
    if len(header) < 2 or any(map(is_number, header)):
        raise InputError(f"{path} has no header line that names its columns (step, loss, val_loss, ...)")
    below = [line for _, line in lines[1:]]
    if number := next((number for number, line in lines if _LEFT_OUT.fullmatch(line.strip())), 0):
        raise InputError(
            f"{path}, line {number}: the rows in the middle were left out when this table was printed; print all of "
            "it (pandas: df.to_string(), or df.to_csv())"
        )
    try:
        rows = (
            [_cells(line, BLANKS) for line in below]
            if split_by == BLANKS
            else list(csv.reader(below, delimiter=split_by, skipinitialspace=True))
        )
    except csv.Error as error:
        raise InputError(f"{path} is not valid CSV ({error}); repair or remove that line") from error
    while len(rows) > MANY and _is_below_names(rows[0], header):
        header = _of_two_lines(header, rows.pop(0))
        del lines[1]
    if split_by == BLANKS and rows and all(len(row) == len(header) + 1 for row in rows):
        header = ["", *header]  # the index of a printed data frame has no name
    if all(len(row) == len(header) + 1 and not row[-1].strip() for row in rows):
        rows = [row[:-1] for row in rows]  # every line but the first ends with a separator
    notes = []
    if rows and not text.endswith("\n") and (len(rows[-1]) < len(header) or not _whole(rows[-1])):
        rows.pop()
        notes.append(note("cut_off"))
    if set(map(len, rows)) - {len(header)} or any(row[0].strip() == header[0] for row in rows):
        header, rows = _fitted(path, header, rows, [number for number, _ in lines[1:]])
    if not rows:
        raise InputError(f"{path} has a header line and nothing below it; nothing was logged")
    return header, rows, notes


def _is_below_names(row: list[str], header: list[str]) -> bool:
    """Whether a row is no line of the log: units, or a second line of names."""
    said = [cell for cell in row if cell.strip()]
    return len(row) == len(header) and bool(said) and row[0].strip() != header[0] and not any(map(is_number, said))


def _of_two_lines(header: list[str], below: list[str]) -> list[str]:
    """`train/loss` where several columns are called `train`, `loss (nats)` where the second line has units."""
    below = [cell.strip().strip("[]()<>") for cell in below]
    if not any(below[1:]):
        return [below[0], *header[1:]]  # what pandas calls the index stands on a line of its own
    named = [name for name in header if name]
    form = "{}/{}" if len(set(named)) < len(named) else "{} ({})"
    return [
        form.format(name, more) if name and more else name or more for name, more in zip(header, below, strict=True)
    ]


def _fitted(
    path: Path, header: list[str], rows: list[list[str]], numbers: list[int]
) -> tuple[list[str], list[list[str]]]:
    """Rows under all columns that any header among them names: a program may log more than it did when it began.

    Where many lines lack the last columns, nothing was logged there. Raises InputError for any other line that does not
    fit the header above it; `numbers`: of the rows as lines.
    """
    widths = Counter(map(len, rows))
    names, above = list(header), header
    found: list[dict[str, str]] = []
    for number, row in zip(numbers, rows, strict=False):
        if row and row[0].strip() == header[0]:
            above = [cell.strip() for cell in row]
            names += [name for name in above if name not in names]
            continue
        lacks = 1 < len(row) < len(above) and widths[len(row)] >= MANY
        if len(row) != len(above) and not lacks:
            cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
            raise InputError(
                f"{path}, line {number}: {cells}, but the header has {len(above)}; repair or remove that line"
            )
        found.append(
            dict(zip(reversed(above[: len(row)]), reversed(row), strict=True))
        )  # of two with one name the first
    return names, [[cells.get(name, "") for name in names] for cells in found]


def _lines(text: str, most: int | None = None) -> list[tuple[int, str]]:
    """Numbered lines of a table, without comments, and without the frame that Markdown draws around cells."""
    given = text.split("\n", most)[:most] if most else text.split("\n")
    plain, comments = [], []
    for number, line in enumerate(given, start=1):
        if line[:1].isalnum():
            plain.append((number, line))
        elif line.startswith("#"):
            comments.append((number, line.lstrip("# ")))
        elif line.strip() and not _RULE.fullmatch(line) and not _FOOTER.fullmatch(line.strip()):
            plain.append((number, line))
    if not plain:
        return []
    if comments and all(map(is_number, first := _cells(plain[0][1], separator(plain[0][1])))):
        above = [(number, names) for number, names in comments if number < plain[0][0]]
        if above and len(_cells(above[-1][1], separator(above[-1][1]))) == len(first):
            return [above[-1], *plain]  # `# step loss` above the numbers
    if all(line.strip().startswith("|") and line.strip().endswith("|") for _, line in plain[:3]):
        return [(number, line.strip().strip("|")) for number, line in plain]
    return plain


def _quantity(path: Path) -> str:
    """What a file of one curve holds, by its name: `run-validation-tag-epoch_loss.csv`, `train_loss.csv`."""
    stem = path.name.partition(".csv")[0]
    tag = re.search(r"tag[-_](.+)$", stem)
    words = normalized(stem).split("_")
    parts = ["_".join(words[start:end]) for end in range(len(words), 0, -1) for start in range(end)]
    known = (each for each in parts if recognize([each]).keys() & set(MEASURED) and each not in UNSURE)
    name = tag[1] if tag else max(known, key=len, default="")
    if not name:
        raise InputError(
            f"{path} is one curve, as TensorBoard's download is, and its name does not say which; rename it, for "
            "example to tag-loss.csv, say --columns loss=value, or give the folder of the event files"
        )
    is_loss = bool(recognize([name]).keys() & {"loss", "train_loss"}) and "train" not in normalized(name)
    return "val_loss" if is_loss and of_held_out(stem) else name


def _cells(line: str, split_by: str) -> list[str]:
    if split_by == BLANKS:
        wide = re.split(r"\s{2,}", line.strip())
        if len(wide) > 1 and not any(" " in cell for cell in wide):
            return wide
        apart = [word for cell in wide if _ROW_OF_NUMBERS.fullmatch(cell) for word in cell.split()]
        together = len(wide) > 1 and not (apart and all(is_number(word) or is_missing(word) for word in apart))
        return wide if together else line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=split_by, skipinitialspace=True), [])]
    except csv.Error:  # a carriage return within the line, as progress bars leave them: no table
        return []


def _whole(row: list[str]) -> bool:
    """Whether a last cell is not the beginning of a number, such as `1.2e-`."""
    cell = row[-1].strip()
    return is_missing(cell) or not re.match(r"[-+.\d]", cell) or is_number(cell)
