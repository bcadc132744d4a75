"""Reading stories from files of all kinds, piece by piece."""

from collections.abc import Iterator

import numpy as np

from fabula.data.stories.chunks import GRAMMAR_SEED, Chunk, Parsed, StoryFile
from fabula.data.stories.formats.json_files import parse_lines, read_json
from fabula.data.stories.formats.plain_text import parse_text, read_text
from fabula.data.stories.formats.tables import read_parquet, read_table
from fabula.grammar import stories

READERS = {"txt": read_text, "json": read_json, "table": read_table, "parquet": read_parquet}


def read_file(file: StoryFile) -> Iterator[Chunk]:
    """The chunks of a file in order. Raises InputError where the file itself is unfit."""
    return READERS[file.kind](file)


def parse(chunk: Chunk) -> Parsed:
    """The stories of a chunk in order, blank ones left out. Raises InputError with the place of what is wrong."""
    if chunk.kind == "grammar":
        return _generate(chunk)
    if chunk.kind == "txt":
        texts = parse_text(chunk)
    elif chunk.kind == "jsonl":
        texts = parse_lines(chunk)
    else:
        texts = list(chunk.texts)
    kept = [text for text in texts if text and not text.isspace()]
    return Parsed(kept[: chunk.take], None, chunk.num_empty + len(texts) - len(kept))


def _generate(chunk: Chunk) -> Parsed:
    made = list(stories(GRAMMAR_SEED, chunk.first, chunk.stop))
    return Parsed([story.text for story in made], -np.array([story.log_probability for story in made]), 0)
