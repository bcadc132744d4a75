"""Stories in JSON: one value a line (cut into chunks without a look inside), or one document (read value by value).

A document is a list, or an object that holds one list, or objects one after another over several lines. Only one
story more than a block is in memory, however long the list.
"""

import codecs
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from fabula.data.stories.chunks import LONGEST_STORY, Chunk, StoryFile
from fabula.data.stories.formats import opening
from fabula.data.stories.formats.keys import missing, story_in
from fabula.data.stories.formats.opening import decoded, text_blocks
from fabula.errors import InputError

Blocks = Iterator[tuple[bytes, int]]


def read_json(file: StoryFile) -> Iterator[Chunk]:
    """The chunks of a file of JSON lines or of a JSON document, which its beginning tells."""
    blocks = text_blocks(file.path, file.name)
    first = next(blocks, None)
    if first is None:
        return
    whole = chain([first], blocks)
    yield from _read_document(file, whole) if _is_document(first[0], file.text_key) else _read_lines(file, whole)


def _is_document(head: bytes, text_key: str) -> bool:
    """Whether the first value goes on over the line's end, or is a list or an object that only holds one."""
    lines = head.lstrip().split(b"\n", 1)
    if lines[0][:1] != b"{":
        return lines[0][:1] == b"["
    try:
        value = json.loads(lines[0])
    except ValueError:
        rest = lines[1].lstrip() if len(lines) > 1 else b""
        return rest[:1] in (b'"', b"}") or len(lines) == 1  # else a broken line, which is told by its number
    alone = len(lines) == 1 or not lines[1].strip()
    return alone and text_key not in value and any(isinstance(field, list) for field in value.values())


def _read_lines(file: StoryFile, blocks: Blocks) -> Iterator[Chunk]:
    line = 1
    waiting = b""
    come = weighed = 0
    for block, come in blocks:
        waiting += block
        end = waiting.rfind(b"\n") + 1
        if end:
            yield Chunk("jsonl", file.name, line, come - weighed, waiting[:end], text_key=file.text_key)
            line += waiting.count(b"\n", 0, end)
            waiting, weighed = waiting[end:], come
        elif len(waiting) > LONGEST_STORY:
            raise InputError(f"{file.name}:{line}: a line of more than {LONGEST_STORY >> 20} MiB; is this .jsonl?")
    if waiting:
        yield Chunk("jsonl", file.name, line, come - weighed, waiting, text_key=file.text_key)


def parse_lines(chunk: Chunk) -> list[str]:
    """The stories of a chunk of JSON lines. Raises InputError with the line of what is wrong."""
    texts = []
    for line, raw in enumerate(chunk.data.split(b"\n"), start=chunk.first):
        if raw and not raw.isspace():
            try:
                value = orjson.loads(raw)
            except ValueError:
                text = decoded(raw, chunk.where, line)
                if text.isspace():
                    continue
                value = _refused(text, f"{chunk.where}:{line}")
            texts.append(story_in(value, chunk.text_key, f"{chunk.where}:{line}"))
    return texts


def _refused(text: str, where: str) -> Any:
    """What orjson refuses: the standard library takes some of it (NaN, say), and tells what is wrong with the rest."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({error}); write one object a line") from None
    except RecursionError:
        raise InputError(f"{where}: too many brackets within one another") from None


def _read_document(file: StoryFile, blocks: Blocks) -> Iterator[Chunk]:
    document = _Document(file.name, blocks)
    first = weighed = num_bytes = 0
    texts: list[str] = []
    for text in _stories(document, file.text_key):
        texts.append(text)
        num_bytes += len(text)
        if num_bytes >= opening.BLOCK_BYTES:
            yield Chunk("texts", file.name, first, document.come - weighed, texts=tuple(texts))
            first, weighed, num_bytes, texts = first + len(texts), document.come, 0, []
    yield Chunk("texts", file.name, first, document.come - weighed, texts=tuple(texts))


class _Document:
    """JSON text that is read as far as it is looked at."""

    def __init__(self, name: str, blocks: Blocks) -> None:
        self.name = name
        self.come = 0
        self._blocks = blocks
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False

    @property
    def where(self) -> str:
        return f"{self.name}:{self._line + self._text.count(chr(10), 0, self._at)}"

    def _read(self, num: int) -> None:
        """Read on until `num` characters wait, or the file ends."""
        self._line += self._text.count("\n", 0, self._at)
        parts = [self._text[self._at :]]
        self._text, self._at = "", 0
        waiting = len(parts[0])
        while waiting < num and not self._ended:
            block, self.come = next(self._blocks, (b"", self.come))
            self._ended = not block
            try:
                parts.append(self._decoder.decode(block, final=self._ended))
            except UnicodeDecodeError:
                line = self._line + sum(part.count("\n") for part in parts)
                decoded(block, self.name, line)
                raise InputError(f"{self.name}:{line} is not UTF-8; save the file as UTF-8") from None
            waiting += len(parts[-1])
        self._text = "".join(parts)

    def next_sign(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            while self._at < len(self._text):
                if not self._text[self._at].isspace():
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._read(1)

    def take(self, sign: str) -> None:
        if self.next_sign() != sign:
            raise InputError(f"{self.where}: not JSON ({sign!r} expected); is the file whole?")
        self._at += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.next_sign()
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self._text, self._at)
            except RecursionError:
                raise InputError(f"{self.where}: too many brackets within one another") from None
            except ValueError as error:
                if self._ended or len(self._text) - self._at > LONGEST_STORY:
                    problem = str(error).split(":")[0]
                    raise InputError(f"{self.where}: not JSON ({problem}); is the file whole?") from None
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            self._read(2 * (len(self._text) - self._at) + 1)

    def values_of_list(self) -> Iterator[Any]:
        self.take("[")
        while self.next_sign() != "]":
            yield self.value()
            if self.next_sign() != "]":
                self.take(",")
        self.take("]")

    def record_ahead(self, key: str) -> bool:
        """Whether the object ahead is in memory as a whole and has the key."""
        try:
            value, _ = json.JSONDecoder().raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return False
        return isinstance(value, dict) and key in value


def _stories(document: _Document, key: str) -> Iterator[str]:
    if document.next_sign() == "[":
        yield from _stories_of_list(document, key)
    elif document.record_ahead(key):
        while document.next_sign():
            where = document.where
            yield story_in(document.value(), key, where)
    else:
        yield from _stories_within(document, key)
    if document.next_sign():
        raise InputError(f"{document.where}: more follows where the JSON ends; write one list, or one object a line")


def _stories_of_list(document: _Document, key: str) -> Iterator[str]:
    for number, value in enumerate(document.values_of_list(), start=1):
        yield story_in(value, key, f"{document.name}: item {number} of the list")


def _stories_within(document: _Document, key: str) -> Iterator[str]:
    """The stories of the one list in an object, as in {"version": 1, "data": [...]}."""
    where = document.where
    document.take("{")
    others: dict[str, Any] = {}
    list_name = None
    while document.next_sign() != "}":
        name = str(document.value())
        document.take(":")
        if document.next_sign() != "[":
            others[name] = document.value()
        elif list_name is not None:
            raise InputError(f'{where}: more than one list ("{list_name}", "{name}"); write each to a file of its own')
        else:
            list_name = name
            yield from _stories_of_list(document, key)
        if document.next_sign() != "}":
            document.take(",")
    document.take("}")
    if isinstance(others.get(key), dict):
        raise InputError(f"{where}: a table by columns; write it by rows (pandas: orient='records', lines=True)")
    if list_name is None or document.next_sign():
        raise InputError(f"{where}: {missing('key', key, others)}")
