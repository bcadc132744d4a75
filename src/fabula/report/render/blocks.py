"""What a report consists of, before it is HTML or Markdown: one source, two renderings.

Text is a tuple of spans rather than markup, so that a completion or a recipe's name can hold any character and is
escaped once, by the renderer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fabula.record.finding import Finding

Tone = Literal["", "good", "note", "warning", "failure", "unknown"]
Mark = Literal["", "copied", "repeated", "prompt"]
"""Of words in a story: from a training story, said before, or of its beginning."""
Size = Literal["wide", "beside", "narrow"]
"""Of a figure: the whole width, two thirds of it with words beside, or a third."""


@dataclass(frozen=True)
class Span:
    text: str
    strong: bool = False
    code: bool = False
    quiet: bool = False
    link: str = ""
    """Anchor on the same page, without "#"."""
    tone: Tone = ""
    """A coloured dot before the text, which may be empty."""
    own_line: bool = False
    term: str = ""
    """What the page tells of this word when it is touched (see fabula.report.render.glossary)."""
    mark: Mark = ""


Rich = tuple[Span, ...]
Part = str | Span | Rich


def rich(*parts: Part) -> Rich:
    """Join strings, spans and rich texts."""
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, str):
            spans.append(Span(part))
        elif isinstance(part, Span):
            spans.append(part)
        else:
            spans.extend(part)
    return tuple(span for span in spans if span.text or span.tone)


def strong(text: str) -> Span:
    return Span(text, strong=True)


def code(text: str) -> Span:
    return Span(text, code=True)


def quiet(text: str, own_line: bool = False) -> Span:
    return Span(text, quiet=True, own_line=own_line)


def link(text: str, anchor: str) -> Span:
    return Span(text, link=anchor)


def toned(text: str, tone: Tone, own_line: bool = False) -> Span:
    return Span(text, tone=tone, own_line=own_line)


def told(sentence: str) -> Rich:
    """A sentence of a finding: what stands between backquotes is code."""
    return tuple(Span(part, code=index % 2 == 1) for index, part in enumerate(sentence.split("`")) if part)


def joined(parts: Sequence[Part], between: str = ", ") -> Rich:
    spans: list[Part] = []
    for index, part in enumerate(parts):
        if index:
            spans.append(between)
        spans.append(part)
    return rich(*spans)


def plain_text(text: Rich) -> str:
    return "".join(span.text for span in text)


@dataclass(frozen=True)
class Column:
    name: str
    numeric: bool = False
    wide: bool = False
    """Holds prose, which may break into lines."""
    term: str = ""
    """As a span's."""


@dataclass(frozen=True)
class Row:
    cells: tuple[Rich, ...]
    kind: Literal["", "best", "episode", "absent"] = ""


@dataclass(frozen=True)
class Heading:
    level: int
    text: Rich
    anchor: str
    short: str = ""
    """The entry in the page's contents; empty: none."""


@dataclass(frozen=True)
class Paragraph:
    text: Rich
    kind: Literal["", "lead", "note"] = ""


@dataclass(frozen=True)
class Bullets:
    items: tuple[Rich, ...]
    anchors: tuple[str, ...] = ()
    """One an item where links lead to them; empty: none."""


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[Rich, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(row.cells) == len(self.columns) for row in self.rows), "a cell a column"


@dataclass(frozen=True)
class Figure:
    """A picture of curves. `spec` is a Vega-Lite specification whose data the renderer fills in from `rows`;
    `sparks` is its stand-in in Markdown: a label, a line of block characters, and what it shows."""

    anchor: str
    title: str
    caption: Rich
    group: str
    """Figures of one group share the switches for phases and seeds."""
    spec: dict[str, Any]
    parts: tuple[str, ...] = ()
    """Names of the curves that it draws."""
    size: Size = "narrow"
    log: bool = False
    switchable: bool = True
    rows: tuple[dict[str, Any], ...] = ()
    bands: tuple[dict[str, Any], ...] = ()
    """Step ranges of findings, with the anchors that they lead to."""
    sparks: tuple[tuple[str, str, str], ...] = ()
    summary: str = ""
    """What the picture shows, for those who cannot see it."""


@dataclass(frozen=True)
class Switches:
    """The legend of a group of figures; with scripts, its entries are toggles."""

    group: str
    phases: tuple[tuple[str, str], ...]
    """Name and colour."""
    seeds: tuple[str, ...]


@dataclass(frozen=True)
class FigureGrid:
    figures: tuple[Figure, ...]
    switches: Switches | None = None
    """Stay in sight as long as the figures do."""


@dataclass(frozen=True)
class Observed:
    """A figure with what there is to see in it, said beside it."""

    figure: Figure
    said: tuple["Block", ...]
    switches: Switches | None = None


@dataclass(frozen=True)
class Story:
    """One completion as something to read: its prompt, what the model wrote on, and where it comes from."""

    label: str
    prompt: str
    text: str
    source: Rich
    before: str = ""
    """What the untrained model made of the same prompt; empty where that is not known."""


@dataclass(frozen=True)
class Opening:
    """The first screen: what came out, in a few sentences, and a story beside it."""

    blocks: tuple["Block", ...]
    story: Story | None = None
    story_first: bool = False


@dataclass(frozen=True)
class Completions:
    prompt: str
    entries: tuple[tuple[Rich, str], ...]
    """Label, which may say what was found in it, and completion."""


@dataclass(frozen=True)
class MarkedStories:
    """Completions of several beginnings, with marks in them."""

    entries: tuple[tuple[Rich, str, Rich], ...]
    """Label, beginning, and how it went on."""


@dataclass(frozen=True)
class Likewise:
    """The same kind with the same causes in another phase."""

    anchor: str
    where: Rich
    sentence: str
    """Empty where it is the card's own."""


@dataclass(frozen=True)
class FindingCard:
    anchor: str
    where: Rich
    finding: Finding
    """The worst of them, which gives causes and experiment."""
    sayings: tuple[tuple[str, str], ...]
    """Seed and sentence of each that is told."""
    evidence: str = ""
    """The numbers of the worst."""
    more: str = ""
    """What is told in short: further seeds."""
    figure: str = ""
    """Anchor of the figure that shows it, where one does."""
    likewise: tuple[Likewise, ...] = ()


@dataclass(frozen=True)
class FindingCards:
    cards: tuple[FindingCard, ...]


@dataclass(frozen=True)
class Details:
    """Folded away on the page, written out in Markdown."""

    summary: Rich
    blocks: tuple["Block", ...]
    anchor: str = ""


Block = (
    Heading
    | Paragraph
    | Bullets
    | Table
    | Figure
    | FigureGrid
    | Observed
    | Completions
    | MarkedStories
    | FindingCards
    | Details
    | Opening
)


@dataclass(frozen=True)
class Document:
    title: str
    subtitle: str
    opening: Opening
    """The first screen; the page's contents follow it."""
    blocks: tuple[Block, ...]
    curves: dict[str, Any]
    """Group -> the columns that the page's figures draw (see fabula.report.figures.figures)."""
