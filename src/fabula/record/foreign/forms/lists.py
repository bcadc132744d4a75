"""Lists that a program printed whole: `train_losses = [10.8, 9.7, ...]`, or a dictionary of them."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from fabula.errors import InputError
from fabula.record.foreign.forms import jsonl
from fabula.record.foreign.lines.numbers import is_missing, is_number
from fabula.record.foreign.names import of_one, recognize
from fabula.record.reader import Run

_LIST = re.compile(r"\[([^\[\]]*)\]")
_NAME = re.compile(r"([A-Za-z_][\w ./-]*)['\"]?\s*[:=]?\s*(?:(?:np\.|numpy\.|torch\.)?(?:array|tensor)\()?$")
"""What stands before a list, on its line."""
_BLOCK = re.compile(r"^([ ]*)([A-Za-z_][\w./-]*):[ ]*((?:\n\1 *- [^\s:]+)+)[ ]*$", re.MULTILINE)
"""A list of YAML, a value a line."""
_LONGEST_NAME = 80
WRAPPED = re.compile(r"(?:tensor|(?:np\.|numpy\.|torch\.)\w+)\(([^\s,()]++)[^()]*+\)")
LEAST = 8
"""Values of a loss that are a course; fewer may be the losses of several batches at one step."""
LOSSES = {"loss", "train_loss", "val_loss", "perplexity", "val_perplexity"}


def find(
    path: Path, text: str, wanted: Mapping[str, str] | None = None, least: int = LEAST
) -> dict[str, list[str]] | None:
    """The lists of numbers in `text` by their names; None where none of them is of `least` losses or more. A list that
    was printed again as it grew counts once; others of the same name go on where the one before ended.

    Raises InputError for a loss of which the program left out the middle, as NumPy does.
    """
    said = set((wanted or {}).values())
    if "- " in text:
        text = _BLOCK.sub(lambda match: f"{match[2]}: [{', '.join(match[3].replace('- ', '').split())}]", text)
    if not any(_is_loss(name, said) for name, _ in _named(text, least)):
        return None
    found: dict[str, list[str]] = {}
    for name, cells in _named(text):
        if "..." in cells and _is_loss(name, said):
            raise InputError(f"{path} has `{name}` without its middle (`...`); print all of it: {name}.tolist()")
        if not all(map(_is_value, cells)):
            continue
        before = found.get(name, [])
        found[name] = cells if cells[: len(before)] == before else before + cells
    return found if any(len(cells) >= least and _is_loss(name, said) for name, cells in found.items()) else None


def read(path: Path, lists: Mapping[str, list[str]], wanted: Mapping[str, str] | None = None) -> list[Run]:
    lines, notes = jsonl.of_lists(lists)
    return jsonl.runs_in(path, "printed lists", lines, notes, wanted)


def without(text: str) -> str:
    """`text` without its lists of LEAST values and more: the first of them is no value of the line."""
    return _LIST.sub(lambda match: "" if len(cells_of(match[1])) >= LEAST else match[0], text)


def cells_of(body: str) -> list[str]:
    """What stands between the brackets, with commas or blanks between; numbers alone, whatever they were wrapped in."""
    body = WRAPPED.sub(r"\1", body)
    return [cell.strip() for cell in (body.split(",") if "," in body else body.split()) if cell.strip()]


def _named(text: str, least: int = 1) -> Iterator[tuple[str, list[str]]]:
    """Lists of `least` cells or more, with their names."""
    for match in _LIST.finditer(text):
        if match.end() - match.start() <= 2 * least or not (cells := cells_of(match[1])):
            continue
        if len(cells) < least and "..." not in cells:
            continue
        before = text[max(0, match.start() - _LONGEST_NAME) : match.start()].rpartition("\n")[2]
        if named := _NAME.search(before):
            yield _known(named[1].strip()), cells


def _known(name: str) -> str:
    """`train_losses` of `epoch 3 train_losses`; the whole of a name in which nothing is known."""
    words = name.split()
    shorter = (" ".join(words[place:]) for place in range(len(words)))
    return next((each for each in shorter if recognize([of_one(each)])), name)


def _is_value(cell: str) -> bool:
    return is_number(cell) or is_missing(cell)


def _is_loss(name: str, said: Collection[str]) -> bool:
    return name in said or bool(recognize([of_one(name)]).keys() & LOSSES)
