"""A page or its twin as a list of places, each with its text and with words that say where it stands."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Literal

NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")


@dataclass(frozen=True)
class Place:
    where: str
    text: str
    kind: Literal["text", "drawing", "program", "hidden"] = "text"
    """What is read; the lines of a picture; the page's own script and style; what only a browser reads."""

    @property
    def numbers(self) -> list[str]:
        return NUMBER.findall(self.text)


def shortened(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


BLOCKS = {
    "p": "a sentence",
    "li": "an item of a list",
    "blockquote": "a story",
    "summary": "the line that unfolds",
    "figcaption": "the caption",
    "dd": "what a finding advises",
    "a": "a link",
    "button": "a switch",
    "footer": "the last line",
}
HEADINGS = ("h1", "h2", "h3")
LABELS = ("aria-label", "aria-description", "content", "data-label", "title")
"""Attributes that somebody reads."""
GIVEN_APART = {"origin", "packed"}
"""Elements whose content is looked at by itself."""


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.places: list[Place] = []
        self.packed = ""
        self.heading = {"h1": "", "h2": "", "h3": ""}
        self.block = ""
        self.figure = ""
        self.cell: list[str] | None = None
        """Column, and in a row's first cell, which names it, its text so far."""
        self.row = ""
        self.drawing = 0
        self.inside = ""
        """The element whose content is no text of the page: script or style."""
        self.apart = ""

    @property
    def where(self) -> str:
        section = self.heading["h3"] or self.heading["h2"] or self.heading["h1"]
        parts = [f'"{shortened(section)}"'] if section else ["the top of the page"]
        if self.figure:
            parts.append(f'figure "{shortened(self.figure)}"')
        if self.drawing:
            parts.append("its drawing")
        elif self.cell is not None:
            parts += [f'row "{shortened(self.row)}"'] if self.row else []
            parts.append(f'column "{shortened(self.cell[0])}"' if self.cell[0] else "a table's first column or head")
        elif self.block:
            parts.append(BLOCKS.get(self.block, self.block))
        return ", ".join(parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag in ("script", "style"):
            self.inside, self.apart = tag, said.get("id", "")
        if tag in HEADINGS:
            self.heading.update(dict.fromkeys(HEADINGS[HEADINGS.index(tag) :], ""))
            self.block = tag
        elif tag == "tr":
            self.row = ""
        elif tag in ("td", "th"):
            self.cell = [said.get("data-label", "")]
        elif tag == "figure":
            self.figure = " "
        elif tag == "svg":
            self.drawing += 1
        elif tag in BLOCKS and not self.block:
            self.block = tag
        self._add(f"<{tag}>", "hidden" if not self.drawing else "drawing")
        for name, value in sorted(said.items()):
            if self.drawing:
                self._add(value, "drawing")
            else:
                self._add(value, "text" if name in LABELS and tag != "td" else "hidden")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.inside = self.apart = ""
        elif tag in ("td", "th"):
            self.cell = None
        elif tag == "figure":
            self.figure = ""
        elif tag == "svg":
            self.drawing = max(0, self.drawing - 1)
        if tag == self.block:
            self.block = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            if self.apart == "packed":
                self.packed = data
            elif self.apart not in GIVEN_APART:
                self.places.append(Place(f"the page's own {self.inside}", data, "program"))
            return
        if not data.strip():
            return
        if self.block in HEADINGS and not self.drawing:
            self.heading[self.block] += data
        elif self.figure == " " and self.block == "figcaption":
            self.figure = data
        elif self.cell is not None and not self.cell[0]:
            self.row += data
        self._add(data, "drawing" if self.drawing else "text")

    def handle_comment(self, data: str) -> None:
        self._add(data, "hidden")

    def _add(self, text: str, kind: Literal["text", "drawing", "hidden"]) -> None:
        self.places.append(Place(self.where, text, kind))


def places_of_page(text: str) -> tuple[list[Place], str]:
    """The places of a page, and its packed figures."""
    page = _Page()
    page.feed(text)
    page.close()
    return page.places, page.packed


_CELLS = re.compile(r"(?<!\\)\|")


def places_of_twin(text: str) -> list[Place]:
    """The places of a Markdown twin: its cells, and its other lines."""
    places: list[Place] = []
    section, columns = "", [""]
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("<!-- "):
            continue
        if line.startswith("#"):
            section = shortened(line.lstrip("# "))
        where = f'"{section}"' if section else "the top"
        if not line.startswith("| "):
            places.append(Place(f"{where}, line {number + 1}", line))
            continue
        cells = [cell.strip() for cell in _CELLS.split(line)[1:-1]]
        if number + 1 < len(lines) and lines[number + 1].startswith("| --"):
            columns = cells
        row = shortened(re.sub(r"[*`]|<[^>]*>", "", cells[0])) if cells else ""
        for place, cell in enumerate(cells):
            column = shortened(columns[place]) if place < len(columns) else str(place + 1)
            places.append(Place(f'{where}, row "{row}", column "{column}"', cell))
    return places
