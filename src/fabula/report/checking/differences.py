"""Where two lists of places differ: what the page says, and what its records say."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from fabula.report.checking.places import Place

AROUND = 24
"""Characters that are shown before and behind what differs."""
MOST = 90


@dataclass(frozen=True)
class Difference:
    where: str
    page: str
    """What stands there on the page, and what the records say: numbers where only numbers differ. Empty: nothing."""
    records: str


def differences(page: Sequence[Place], records: Sequence[Place]) -> list[Difference]:
    """In the order of the page. Places that only one side has are told with their text."""
    found: list[Difference] = []
    for said, due in _paired(page, records):
        if said is None or due is None:
            one = said or due
            assert one is not None, "a pair has a side"
            if one.text.strip() and one.kind != "hidden":
                found.append(Difference(one.where, _cut(said.text) if said else "", _cut(due.text) if due else ""))
        elif said.text != due.text:
            found.append(Difference(due.where, *_apart(said, due)))
    return found


def _paired(page: Sequence[Place], records: Sequence[Place]) -> list[tuple[Place | None, Place | None]]:
    """Place beside place; where one side has more of them, those that are alike are found first."""
    if len(page) == len(records):
        return list(zip(page, records, strict=True))
    start = 0
    while start < min(len(page), len(records)) and page[start].text == records[start].text:
        start += 1
    end = 0
    while end < min(len(page), len(records)) - start and page[-1 - end].text == records[-1 - end].text:
        end += 1
    ours, theirs = page[start : len(page) - end], records[start : len(records) - end]
    pairs: list[tuple[Place | None, Place | None]] = []
    matcher = SequenceMatcher(None, [each.text for each in ours], [each.text for each in theirs], autojunk=False)
    for how, from_a, to_a, from_b, to_b in matcher.get_opcodes():
        if how != "equal":
            pairs += zip_longest(ours[from_a:to_a], theirs[from_b:to_b])
    return pairs


def _apart(said: Place, due: Place) -> tuple[str, str]:
    """The numbers that differ, where nothing else does; else the text around the first difference."""
    ours, theirs = said.numbers, due.numbers
    pairs = [pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]]
    if len(ours) == len(theirs) and 0 < len(pairs) <= 3:
        return ", ".join(pair[0] for pair in pairs), ", ".join(pair[1] for pair in pairs)
    first = next((at for at, (a, b) in enumerate(zip(said.text, due.text, strict=False)) if a != b), None)
    first = min(len(said.text), len(due.text)) if first is None else first
    return _cut(said.text, first), _cut(due.text, first)


def _cut(text: str, around: int = 0) -> str:
    start = max(0, around - AROUND)
    part = text[start : start + MOST]
    return " ".join(f"{'...' if start else ''}{part}{'...' if start + MOST < len(text) else ''}".split())
