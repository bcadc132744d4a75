"""Which separator each text file of a source is read with, and what the user is told about it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from fabula.data.stories.chunks import StoryFile
from fabula.data.stories.formats.opening import text_blocks
from fabula.data.stories.separators import cutting
from fabula.data.stories.separators.cutting import EOT, WHOLE, Separator, long_text
from fabula.data.stories.separators.detection import HEAD_BYTES, detect
from fabula.data.tokenizers.bpe import EOT_TEXT

SEVERAL_FILES = 3
WHOLE_BYTES = 64_000
"""In a folder of several text files, one up to this size (about 40 pages) is a story; a longer one is cut in pieces."""


@dataclass(frozen=True)
class Separated:
    """How the stories in a source's text files are told apart."""

    where: str
    separator: Separator
    """Of the files without `<|endoftext|>`, if there are any, or of all."""
    num_files: int
    num_without_eot: int
    asked: bool
    """Whether the user chose it."""

    def notice(self, num_stories: int) -> str | None:
        """What was found, and how to read it otherwise; None where nothing had to be found out."""
        if self.asked:
            return f"{self.where}: {self._stories(num_stories)}."
        if self.separator == EOT:
            return None
        files = f" in {self.num_without_eot:,} of {self.num_files:,} text files" if self.num_files > 1 else ""
        others = [name for name in ("blank", "line", "none") if name != self.separator.name]
        return (
            f"{self.where}: no {EOT_TEXT}{files}; {self._stories(num_stories)}. "
            f"To read it otherwise: --split-on {', '.join(others)} or the text between two stories, as '***'."
        )

    def _stories(self, num: int) -> str:
        if self.separator.piece_bytes is None:
            return f"{num:,} {'story' if num == 1 else 'stories'}, {self.separator.words()}"
        text = "one long text" if self.num_without_eot == 1 else f"{self.num_without_eot:,} long texts"
        pieces = f"{num:,} {'piece' if num == 1 else 'pieces'} of at most {self.separator.piece_bytes:,} bytes"
        return f"{text}, cut at paragraphs into {pieces}"


def separate(
    where: str, files: Sequence[StoryFile], split_on: str | None, like: Separator | None
) -> tuple[tuple[StoryFile, ...], Separated | None]:
    """The files, the text files among them with their separators, and what was found; None where there are no texts.

    `like` is the separator of the stories to train on, for their validation files. Raises InputError where what
    `split_on` names occurs in none of the files.
    """
    texts = [file for file in files if file.kind == "txt"]
    if not texts:
        return tuple(files), None
    named = None if split_on is None else cutting.named(split_on)
    if named is not None and named != EOT:
        chosen = dict.fromkeys(texts, named)
        rule = named
    elif split_on == "none":
        chosen = _whole(texts, {file: _look(file, None).num_bytes for file in texts})
        rule = chosen[texts[0]]
    elif split_on is not None and named is None:
        chosen = _with_literal(where, texts, split_on)
        rule = next(separator for separator in chosen.values() if separator != WHOLE)
    else:
        chosen, rule = _found(where, texts, like, asked=named is not None)
    num_without = sum(separator != EOT for separator in chosen.values())
    read = tuple(replace(file, separator=chosen[file]) if file in chosen else file for file in files)
    return read, Separated(where, rule, len(texts), num_without, split_on is not None)


def _found(
    where: str, texts: list[StoryFile], like: Separator | None, asked: bool
) -> tuple[dict[StoryFile, Separator], Separator]:
    """By `<|endoftext|>` where a file has it, and by one rule for all files that have none."""
    looks = {file: _look(file, EOT_TEXT) for file in texts}
    chosen = {file: EOT for file in texts if looks[file].occurs}
    sizes = {file: looks[file].num_bytes for file in texts if not looks[file].occurs}
    if not sizes:
        return chosen, EOT
    if asked and not chosen:
        raise cutting.not_found(where, "eot")
    rule = WHOLE if asked else like
    if rule is None and len(sizes) >= SEVERAL_FILES and median(sizes.values()) <= WHOLE_BYTES:
        rule = WHOLE
    if rule is None:
        rule = detect(_head(max(sizes, key=lambda file: sizes[file])))
    if rule is None or rule.piece_bytes is not None:
        chosen |= {file: long_text(size) for file, size in sizes.items()}
    elif rule == WHOLE and not asked:
        chosen |= _whole(list(sizes), sizes)
    else:
        chosen |= dict.fromkeys(sizes, rule)
    return chosen, chosen[next(iter(sizes))]


def _whole(texts: list[StoryFile], sizes: dict[StoryFile, int]) -> dict[StoryFile, Separator]:
    """Each file as one story; in pieces where it is alone, for one story makes no splits, and where it is long."""
    return {file: WHOLE if len(texts) > 1 and sizes[file] <= WHOLE_BYTES else long_text(sizes[file]) for file in texts}


def _with_literal(where: str, texts: list[StoryFile], name: str) -> dict[StoryFile, Separator]:
    looks = {file: _look(file, cutting.unescaped(name)) for file in texts}
    if not any(look.occurs for look in looks.values()):
        raise cutting.not_found(where, name)
    own_line = any(look.on_own_line for look in looks.values())
    return {file: cutting.literal(name, own_line) if look.occurs else WHOLE for file, look in looks.items()}


@dataclass(frozen=True)
class _Look:
    occurs: bool
    on_own_line: bool
    num_bytes: int
    """Of the whole text, where nothing was found."""


def _look(file: StoryFile, wanted: str | None) -> _Look:
    """Look for a separator in a file, as far as needed, without holding more than a block of it."""
    text = (wanted or "").encode()
    own_line = re.compile(rb"\n[ \t]*" + re.escape(text) + rb"[ \t]*\n")
    tail = b"\n"
    num_bytes = 0
    occurs = False
    for block, _ in text_blocks(file.path, file.name):
        num_bytes += len(block)
        if wanted is None:
            continue
        waiting = tail + block
        occurs = occurs or text in waiting
        if own_line.search(waiting):
            return _Look(True, True, num_bytes)
        if occurs and wanted == EOT_TEXT:
            return _Look(True, False, num_bytes)
        tail = waiting[-len(text) - 100 :]
    return _Look(occurs, occurs and bool(own_line.search(tail + b"\n")), num_bytes)


def _head(file: StoryFile) -> str:
    """The first part of a text, up to a line's end."""
    head = b""
    for block, _ in text_blocks(file.path, file.name):
        head += block
        if len(head) > HEAD_BYTES:
            head = head[:HEAD_BYTES]
            head = head[: head.rfind(b"\n") + 1] or head
            break
    return head.decode(errors="replace")
