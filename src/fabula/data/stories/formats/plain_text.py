"""Stories in plain text: chunks that end between two stories, and one long text cut into pieces."""

from collections.abc import Iterator

from fabula.data.stories.chunks import LONGEST_STORY, Chunk, StoryFile
from fabula.data.stories.formats.opening import decoded, text_blocks
from fabula.data.stories.separators.cutting import end_of_piece, last_border
from fabula.errors import InputError


def read_text(file: StoryFile) -> Iterator[Chunk]:
    """The chunks of a text file. Raises InputError for one that is damaged, or a story too long to hold."""
    separator = file.separator
    assert separator is not None, "found when the source was looked at"
    line = 1
    waiting = b""
    come = weighed = 0
    for block, come in text_blocks(file.path, file.name):
        waiting += block
        end = _end_of_pieces(separator.piece_bytes, waiting) if separator.piece_bytes else 0
        if separator.pattern is not None:
            end = last_border(separator, waiting)
        if end:
            yield Chunk("txt", file.name, line, come - weighed, waiting[:end], separator)
            line += waiting.count(b"\n", 0, end)
            waiting, weighed = waiting[end:], come
        elif len(waiting) > LONGEST_STORY:
            raise InputError(
                f"{file.name}:{line}: {LONGEST_STORY >> 20} MiB without an end of the story (they are taken to be "
                f"{separator.words()}); say what stands between the stories: --split-on"
            )
    if waiting:
        yield Chunk("txt", file.name, line, come - weighed, waiting, separator)


def _end_of_pieces(most: int, text: bytes) -> int:
    """Where the pieces end that are the same whatever comes after `text`."""
    end = 0
    while len(text) - end > most:
        end += end_of_piece(text[end : end + most + 1], most)
    return end


def parse_text(chunk: Chunk) -> list[str]:
    """The stories of a chunk. Raises InputError where it is not UTF-8."""
    separator = chunk.separator
    assert separator is not None
    if separator.piece_bytes is None:
        return separator.split(decoded(chunk.data, chunk.where, chunk.first))
    return _pieces(chunk, separator.piece_bytes)


def _pieces(chunk: Chunk, most: int) -> list[str]:
    decoded(chunk.data, chunk.where, chunk.first)  # whole, so that a wrong byte is told by its line
    pieces = []
    start = 0
    while start < len(chunk.data):
        end = start + end_of_piece(chunk.data[start : start + most + 1], most)
        pieces.append(chunk.data[start:end].decode().strip())
        start = end
    return [piece for piece in pieces if piece]
