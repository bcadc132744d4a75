"""Databases of trackers, opened to be read: which one it is, and its rows."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from fabula.errors import InputError

MAGIC = b"SQLite format 3\0"
SUFFIXES = {".db", ".sqlite", ".sqlite3"}


def looks_like(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def opened(path: Path, patience: float = 5.0) -> Iterator[sqlite3.Connection]:
    """Never written to. Raises InputError for a database that is damaged, or busy for `patience` seconds."""
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=patience)) as database:
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read as a database ({error}); if its tracker is writing, wait; else use a copy"
        ) from error


def columns(database: sqlite3.Connection, table: str) -> set[str]:
    """Names of a table's columns; empty where it is not there."""
    return {str(row[1]) for row in database.execute(f"pragma table_info({table})")}
