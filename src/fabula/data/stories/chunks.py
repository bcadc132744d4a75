"""A chunk: some stories of a source, about a MiB of them, enough to be parsed by itself.

One process reads chunks while all cores parse. What is in a chunk depends on the kind of file it comes from.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from fabula.data.stories.separators.cutting import Separator

LONGEST_STORY = 2**26  # 64 MiB without a line end or separator: a wrong file, or one story too large to hold
TEXT_KEY = "text"
GRAMMAR_SEED = 0

FileKind = Literal["txt", "json", "table", "parquet"]


@dataclass(frozen=True)
class StoryFile:
    """A file of stories, and how to read it."""

    path: Path
    kind: FileKind
    name: str
    """What messages call it."""
    text_key: str = TEXT_KEY
    """The key or column that holds the story (all kinds but txt)."""
    separator: Separator | None = None
    """What stands between its stories (txt)."""


@dataclass(frozen=True)
class Chunk:
    """Some stories, unparsed."""

    kind: Literal["txt", "jsonl", "texts", "grammar"]
    where: str
    """The file, for messages."""
    first: int
    """Line from 1 (txt, jsonl), place from 0 (texts) or index (grammar) of what is first in it."""
    weight: int
    """How far the source has come with it, in the unit of the source's size: for the progress bar."""
    data: bytes = b""
    separator: Separator | None = None
    """What stands between its stories (txt)."""
    text_key: str = TEXT_KEY
    texts: tuple[str, ...] = ()
    num_empty: int = 0
    """Blank stories that were left out of `texts` already."""
    stop: int = 0
    """Index after the last (grammar)."""
    take: int | None = None
    """Only so many of its stories."""


@dataclass(frozen=True)
class Parsed:
    texts: list[str]
    nats: npt.NDArray[np.float64] | None
    """-log p of each story, where a grammar made it."""
    num_empty: int
