"""What kind of file holds the stories: by its name, and by looking into it where the name says nothing."""

import re
from pathlib import Path

from fabula.data.stories.chunks import FileKind
from fabula.data.stories.formats.opening import readable, text_blocks
from fabula.data.stories.formats.tables import columns_of

KINDS: dict[str, FileKind] = {
    ".txt": "txt",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "table",
    ".tsv": "table",
    ".parquet": "parquet",
}
PARQUET = b"PAR1"
COLUMN_NAME = re.compile(r"[\w.-]{1,40}")
JSON_BEGINS = re.compile(rb'\s*(?:\{\s*"|\[\s*["{])')


def suffix_of(path: Path) -> str | None:
    """Which of KINDS the file's name ends in, `.gz` behind it aside."""
    name = path.name.lower().removesuffix(".gz")
    suffix = next((suffix for suffix in KINDS if name.endswith(suffix)), None)
    return None if suffix == ".parquet" and path.name.lower().endswith(".gz") else suffix


def kind_of(path: Path, name: str, text_key: str) -> FileKind:
    """The kind of a file. Raises InputError where its beginning cannot be read."""
    suffix = suffix_of(path)
    return kind_by_content(path, name, text_key) if suffix is None else KINDS[suffix]


def kind_by_content(path: Path, name: str, text_key: str) -> FileKind:
    """Parquet and JSON by their first signs, a table by the names in its first line; all else is plain text."""
    with readable(name), open(path, "rb") as file:
        if file.read(len(PARQUET)) == PARQUET:
            return "parquet"
    head, _ = next(text_blocks(path, name), (b"", 0))
    if JSON_BEGINS.match(head):
        return "json"
    columns = columns_of(head.split(b"\n", 1)[0].decode(errors="replace"))
    named = len(columns) > 1 and all(COLUMN_NAME.fullmatch(column) for column in columns)
    return "table" if named or text_key in columns else "txt"
