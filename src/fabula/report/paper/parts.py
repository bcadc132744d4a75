"""The figures and tables of a page, each with a name that says what it holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fabula.record.wording import slug
from fabula.report.render.blocks import (
    Block,
    Details,
    Document,
    Figure,
    FigureGrid,
    Heading,
    Observed,
    Opening,
    Table,
    plain_text,
)

MOST_OF_A_NAME = 60


@dataclass(frozen=True)
class Part:
    name: str
    """Of its files, without an ending."""
    title: str
    shown: Figure | Table


@dataclass(frozen=True)
class _Place:
    """The headings that a block stands under."""

    section: str = ""
    title: str = ""
    anchor: str = ""

    def under(self, block: Heading | Details) -> "_Place":
        if isinstance(block, Details):
            said = plain_text(block.summary)
            return _Place(self.section, said, block.anchor or slug(said))
        said = plain_text(block.text)
        return _Place(said if block.level <= 2 else self.section, said, block.anchor)

    @property
    def whole(self) -> str:
        return self.title if self.title == self.section or not self.section else f"{self.section}: {self.title}"


def parts_of(document: Document) -> list[Part]:
    """In the order of the page; of two by one name, the second is called so with a 2."""
    parts: list[Part] = []
    for place, shown in _shown((document.opening, *document.blocks), _Place()):
        kind = "figure" if isinstance(shown, Figure) else "table"
        anchor = shown.anchor if isinstance(shown, Figure) else slug(kind, place.anchor)
        name = anchor[:MOST_OF_A_NAME].strip("-")
        alike = sum(each.name == name or each.name.startswith(f"{name}--") for each in parts)
        title = shown.title if isinstance(shown, Figure) else place.whole
        parts.append(Part(f"{name}--{alike + 1}" if alike else name, title or kind, shown))
    return parts


def _shown(blocks: Sequence[Block], place: _Place) -> Iterator[tuple[_Place, Figure | Table]]:
    for block in blocks:
        match block:
            case Heading():
                place = place.under(block)
            case Details():
                yield from _shown(block.blocks, place.under(block))
            case Opening():
                yield from _shown(block.blocks, place)
            case Observed():
                yield place, block.figure
                yield from _shown(block.said, place)
            case FigureGrid():
                yield from ((place, figure) for figure in block.figures)
            case Figure() | Table():
                yield place, block
            case _:
                pass
