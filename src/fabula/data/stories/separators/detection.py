"""What separates the stories of a plain text that has no `<|endoftext|>`: decided from its first MiB.

The rule, in the order in which it is tried; docs/data.md has it in plain words. Stories are of comparable length, while
the paragraphs of a book are not: a line of dialogue stands beside half a page. Where lines break within sentences (a
book set to a width, a poem), a blank line is the border of a paragraph or a stanza, so it separates no stories.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from fabula.data.stories.separators.cutting import BLANK, LINE, Separator, blank_lines, literal

HEAD_BYTES = 2**20
FEWEST = 3
"""Stories, or dividers: what occurs twice may be chance."""

ALIKE = 7.0
"""The most that the long stories may be longer than the short ones (the 90th and the 10th percentile). TinyStories,
fables of one collection and the grammar's stories: 1.5 to 5; paragraphs of novels and speeches of plays: 8 to 40."""

ALIKE_IF_LONG = 20.0
LONG_BYTES = 1_000
"""Half of the blocks at least so long: hardly paragraphs, so they may differ by ALIKE_IF_LONG."""

CHAPTER_BYTES = 20_000
"""Half of the parts at least so long: chapters of a book."""

FEW = 8
PARTS_OF_A_UNIT = 5
"""Fewer units than FEW, each of so many smaller ones: stray blank lines among stories that something else separates."""

DIVIDER = re.compile(r"[ \t]*([*\-=_#~+•§](?:[ \t]*[*\-=_#~+•§])*)[ \t]*")
SENTENCE_END = re.compile(r"[.!?…。！？:][\"')\]”’»*_]*$")


@dataclass(frozen=True)
class _Lines:
    """The first part of a text as lines, and as blocks between blank lines."""

    text: str

    @cached_property
    def blocks(self) -> list[list[str]]:
        blocks = re.split(rf"\n(?:{BLANK})+", self.text.strip("\n"))
        return [lines for block in blocks if (lines := [line for line in block.split("\n") if line.strip()])]

    @cached_property
    def lines(self) -> list[str]:
        return [line for block in self.blocks for line in block]

    @cached_property
    def broken(self) -> list[str]:
        """The lines that have another one below them in the same block."""
        return [line for block in self.blocks for line in block[:-1]]

    @cached_property
    def _ending_sentences(self) -> float:
        return sum(bool(SENTENCE_END.search(line.rstrip())) for line in self.broken) / max(1, len(self.broken))

    @cached_property
    def within_sentences(self) -> bool:
        """Whether the lines break within sentences, so that neither a line nor a block is a story."""
        return self.wrapped() or self.verse()

    def wrapped(self) -> bool:
        """Whether the lines break at one width, as in a book: nearly all end there, few with a sentence."""
        if len(self.broken) < FEWEST or self._ending_sentences > 0.5:
            return False
        width = _quantile([len(line) for line in self.lines], 0.95)
        return 40 <= width <= 130 and sum(len(line) > 0.75 * width for line in self.broken) >= 0.7 * len(self.broken)

    def verse(self) -> bool:
        """Whether it reads like a poem: stanzas of short lines with a capital each, most of which end no sentence."""
        if len(self.broken) < FEWEST or len(self.broken) < 0.6 * len(self.lines) or self._ending_sentences > 0.6:
            return False
        capitals = sum(line.lstrip("\"'“‘«(—- \t")[:1].isupper() for line in self.broken)
        lengths = [len(line) for line in self.broken]
        words = median(len(line.split()) for line in self.broken)
        return capitals >= 0.8 * len(self.broken) and median(lengths) <= 60 and words >= 3


def detect(head: str) -> Separator | None:
    """What separates the stories in a text, of which `head` is the first part; None for one long text."""
    text = _Lines(head)
    if divider := _divider(text):
        return divider
    candidates = [*_wide_gaps(text), *_blocks(text), *_lines(text)]
    for most, least_bytes in ((ALIKE, 0), (ALIKE_IF_LONG, LONG_BYTES)):
        for separator, lengths in candidates:
            if median(lengths) >= least_bytes and _quantile(lengths, 0.9) <= most * _quantile(lengths, 0.1):
                return separator
    return None


Candidates = list[tuple[Separator, list[int]]]
"""None or one separator, and the lengths of the stories that it would make."""


def _divider(text: _Lines) -> Separator | None:
    """Lines of `***`, `---`, `###` and the like."""
    dividers = Counter(found[1] for line in text.lines if (found := DIVIDER.fullmatch(line)))
    if not dividers:
        return None
    mark, times = dividers.most_common(1)[0]
    separator = literal(mark, own_line=True)
    parts = [len(part) for part in separator.split(text.text) if part]
    return separator if times >= FEWEST and len(parts) >= FEWEST and median(parts) < CHAPTER_BYTES else None


def _wide_gaps(text: _Lines) -> Candidates:
    """Two or more blank lines, where single ones stand within the stories. The headings of a book stand between such
    gaps, too, and are much shorter than what follows them."""
    separator = blank_lines(2)
    lengths = [len(part) for part in separator.split(text.text)]
    return [] if _too_few(lengths, text.blocks) or median(lengths) >= CHAPTER_BYTES else [(separator, lengths)]


def _blocks(text: _Lines) -> Candidates:
    lengths = [sum(map(len, block)) for block in text.blocks]
    return [] if _too_few(lengths, text.lines) or text.within_sentences else [(blank_lines(), lengths)]


def _lines(text: _Lines) -> Candidates:
    """Line ends, where blank lines are rare."""
    lengths = [len(line) for line in text.lines]
    rare = len(lengths) >= PARTS_OF_A_UNIT * len(text.blocks) or len(text.blocks) == 1
    return [(LINE, lengths)] if rare and len(lengths) >= FEWEST and not text.within_sentences else []


def _too_few(units: Sequence[object], smaller: Sequence[object]) -> bool:
    return len(units) < FEWEST or (len(units) < FEW and len(smaller) >= PARTS_OF_A_UNIT * len(units))


def _quantile(values: list[int], share: float) -> int:
    return sorted(values)[round(share * (len(values) - 1))]
