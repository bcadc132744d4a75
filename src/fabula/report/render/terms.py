"""Marks the words of a page that are explained: in each section the first time that they stand there."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from fabula.report.render.blocks import (
    Block,
    Bullets,
    Column,
    Completions,
    Details,
    FindingCards,
    Heading,
    MarkedStories,
    Rich,
    Span,
    rich,
    strong,
)
from fabula.report.render.glossary import FORMS, NOT_IN_PROSE, WORDS

_OF_FORM = {**{word.lower(): word for word in WORDS if word not in NOT_IN_PROSE}, **FORMS}
_FORM = re.compile(
    r"(?<![\w-])(?:" + "|".join(map(re.escape, sorted(_OF_FORM, key=len, reverse=True))) + r")(?![\w-])", re.IGNORECASE
)


@dataclass
class _Reader:
    """What has been explained so far: in this section, and on the page."""

    section: set[str] = field(default_factory=set)
    page: set[str] = field(default_factory=set)

    def explains(self, word: str) -> bool:
        """Whether `word` is new in this section; from then on it is not."""
        new = word not in self.section
        self.section.add(word)
        self.page.add(word)
        return new


def with_terms(blocks: Sequence[Block]) -> tuple[tuple[Block, ...], list[str]]:
    """The same blocks with their words marked, and every word that was, in the order of the alphabet."""
    reader = _Reader()
    marked = tuple(_marked(block, reader) for block in blocks)
    return marked, sorted(reader.page, key=str.lower)


def glossary(words: Sequence[str]) -> Details:
    """The list at the end of the page: for paper, for the Markdown twin, and for reading it in one go."""
    items = tuple(rich(strong(word), f": {WORDS[word]}") for word in words)
    return Details(rich("Words on this page"), (Bullets(items),))


def _marked(part: Any, reader: _Reader) -> Any:
    """A block with the texts in it marked, in the order of its fields."""
    if isinstance(part, Heading):
        if part.level <= 2:
            reader.section.clear()
        return part
    if isinstance(part, FindingCards):
        return part
    if isinstance(part, Column):
        word = next((word for word in _words(part.name) if reader.explains(word)), "")
        return replace(part, term=word) if word else part
    if isinstance(part, tuple):
        if part and all(isinstance(each, Span) for each in part):
            return _rich(part, reader)
        return tuple(_marked(each, reader) for each in part)
    if isinstance(part, Details):  # its summary is pressed to open it
        return replace(part, blocks=_marked(part.blocks, reader))
    if isinstance(part, (Completions, MarkedStories)) or not is_dataclass(part):
        return part
    texts = {each.name: _marked(getattr(part, each.name), reader) for each in fields(part)}
    return replace(part, **texts)  # type: ignore[type-var]


def _words(text: str) -> list[str]:
    return [_OF_FORM[match.group().lower()] for match in _FORM.finditer(text)]


def _rich(text: Rich, reader: _Reader) -> Rich:
    return tuple(piece for span in text for piece in _pieces(span, reader))


def _pieces(span: Span, reader: _Reader) -> Iterator[Span]:
    """A span cut at the words that are explained in it. Links lead somewhere already; of code, only the names."""
    whole = span.text.strip()
    if whole in ("stream", "story") and not span.link:
        yield replace(span, term=whole) if reader.explains(whole) else span
        return
    if span.link or span.code or span.term:
        yield span
        return
    end, rest = 0, span
    for match in _FORM.finditer(span.text):
        word = _OF_FORM[match.group().lower()]
        if not reader.explains(word):
            continue
        before = replace(rest, text=span.text[end : match.start()])
        if before.text or before.tone:
            yield before
            rest = replace(rest, own_line=False, tone="")
        yield replace(rest, text=match.group(), term=word)
        rest = replace(rest, own_line=False, tone="")
        end = match.end()
    last = replace(rest, text=span.text[end:])
    if last.text or last.tone:
        yield last
