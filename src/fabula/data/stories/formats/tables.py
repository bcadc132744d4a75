"""Stories in a column of a table: CSV and TSV with a first line that names the columns, and parquet."""

import csv
import re
from collections.abc import Iterator
from typing import Any

from fabula.data.stories.chunks import LONGEST_STORY, Chunk, StoryFile
from fabula.data.stories.formats import opening
from fabula.data.stories.formats.keys import missing
from fabula.data.stories.formats.opening import decoded, line_feeds, readable, text_blocks
from fabula.errors import InputError

DELIMITERS = ",\t;|"
NO_DELIMITER = "\x1f"  # one column: a comma is a comma
ROWS_OF_PARQUET = 16
"""Read at once: as many of the longest stories (64 MiB) stay within a gigabyte, and a batch costs 40 microseconds."""


def delimiter_of(header: str) -> str:
    """What separates the columns: the sign that stands most often in the first line, outside of quotes."""
    bare = re.sub(r'"[^"]*"', "", header)
    best = max(DELIMITERS, key=bare.count)
    return best if best in bare else NO_DELIMITER


def columns_of(header: str) -> list[str]:
    """The names of the columns in the first line."""
    row = next(csv.reader([header], delimiter=delimiter_of(header)), [])
    return [name.strip() for name in row]


def read_table(file: StoryFile) -> Iterator[Chunk]:
    """The chunks of a CSV or TSV file. Stories may hold line ends where they are quoted.

    Raises InputError for a missing column and for rows that do not fit, with their line.
    """
    lines = _Lines(file)
    header = next(lines, "")
    columns = columns_of(header)
    if not header.strip():
        return
    rows = _rows(lines, delimiter_of(header), file.name)
    if file.text_key not in columns:
        _, sample = next(rows, (0, columns))
        record = {name: None if _is_number(value) else value for name, value in zip(columns, sample, strict=False)}
        hint = " (the first line of a table names its columns)"
        raise InputError(f"{file.name}: {missing('column', file.text_key, record)}{hint}")
    place = columns.index(file.text_key)
    first = weighed = num_bytes = 0
    texts: list[str] = []
    for line, row in rows:
        if len(row) > len(columns) or len(row) <= place:
            raise InputError(
                f"{file.name}:{line}: {len(row)} columns where the first line names {len(columns)}; "
                "a story that holds the sign between the columns must stand in double quotes"
            )
        texts.append(row[place])
        num_bytes += len(row[place])
        if num_bytes >= opening.BLOCK_BYTES:
            yield Chunk("texts", file.name, first, lines.come - weighed, texts=tuple(texts))
            first, weighed, num_bytes, texts = first + len(texts), lines.come, 0, []
    yield Chunk("texts", file.name, first, lines.come - weighed, texts=tuple(texts))


class _Lines:
    """The lines of a text file, each with its `\\n`."""

    def __init__(self, file: StoryFile) -> None:
        self.come = 0
        self._lines = self._all(file)

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        return next(self._lines)

    def _all(self, file: StoryFile) -> Iterator[str]:
        line = 1
        waiting = b""
        for block, self.come in text_blocks(file.path, file.name):
            waiting += block
            end = waiting.rfind(b"\n") + 1
            if not end and len(waiting) > LONGEST_STORY:
                raise InputError(f"{file.name}:{line}: a line of more than {LONGEST_STORY >> 20} MiB; is this a table?")
            yield from _split(decoded(waiting[:end], file.name, line))
            line += waiting.count(b"\n", 0, end)
            waiting = waiting[end:]
        yield from _split(decoded(waiting, file.name, line) + "\n")


def _split(text: str) -> Iterator[str]:
    return (f"{line}\n" for line in text.split("\n")[:-1])


def _rows(lines: Iterator[str], delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows below the header that hold anything, each with its first line."""
    csv.field_size_limit(LONGEST_STORY)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 2
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{name}:{line}: not a row of the table ({error}); a quote within a quoted story is written twice"
            ) from None
        if row is None:
            return
        if row:
            yield line, row


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def read_parquet(file: StoryFile) -> Iterator[Chunk]:
    """The chunks of a parquet file. Raises InputError where its column is missing, no text, or has gaps."""
    import pyarrow as pa  # heavy, and only tables need it
    import pyarrow.parquet as pq

    name, key = file.name, file.text_key
    try:
        with readable(name):
            opened = pq.ParquetFile(file.path)
    except pa.ArrowInvalid as error:
        raise InputError(f"{name} is not a parquet file ({str(error).splitlines()[0]})") from None
    with readable(name), opened as parquet:
        schema = parquet.schema_arrow
        if key not in schema.names:
            columns = {field.name: "" if _holds_text(field.type) else None for field in schema}
            raise InputError(f"{name}: {missing('column', key, columns)}")
        kind = schema.field(key).type
        if not _holds_text(kind):
            raise InputError(f'{name}: column "{key}" holds {kind}, not strings')
        row = first = num_bytes = 0
        waiting: list[str] = []
        per_row = file.path.stat().st_size / max(1, parquet.metadata.num_rows)
        for batch in parquet.iter_batches(batch_size=ROWS_OF_PARQUET, columns=[key]):
            column = batch.column(0)
            if column.null_count:
                gap = row + column.is_null().index(True).as_py()
                raise InputError(f'{name}: "{key}" of row {gap} is null; remove the row')
            try:
                texts = list(map(line_feeds, column.to_pylist()))
            except UnicodeDecodeError as error:
                raise InputError(f"{name}: invalid UTF-8 in rows {row} to {row + len(column) - 1} ({error})") from None
            waiting += texts
            row += len(texts)
            num_bytes += sum(map(len, texts))
            if num_bytes >= opening.BLOCK_BYTES:
                yield Chunk("texts", name, first, round(per_row * len(waiting)), texts=tuple(waiting))
                first, num_bytes, waiting = row, 0, []
        yield Chunk("texts", name, first, round(per_row * len(waiting)), texts=tuple(waiting))


def _holds_text(kind: Any) -> bool:
    import pyarrow as pa  # heavy, and only tables need it

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"
