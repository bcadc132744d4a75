"""Does a text tell one of the built-in stories, and where does it not keep to what it said before?

The grammar binds who the story is about, what is lost and where, and every later mention follows. A text that the
grammar could tell if it forgot these bindings now and then is a story with slips: another name, another pronoun,
another thing, a deed or an explanation that belongs to another thing. The fewest slips are found exactly, by searching
the stories of the grammar in the order of their slips.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Literal

from fabula.grammar.people import BOY, GIRL
from fabula.grammar.program import END, Branch, End, Look, Operation, Program, Say, Set, Switch
from fabula.grammar.telling import story_program

What = Literal["name", "pronoun", "object", "deed"]
MOST_SLIPS = 8
MOST_STATES = 200_000
"""After so many, a text that is none of these stories is given up."""
PEOPLE = frozenset(["hero", "friend", "owner", "helper"])
PRONOUNS = frozenset(word for forms in (GIRL, BOY) for form in forms.values() for word in (form, form.capitalize()))


@dataclass(frozen=True, slots=True)
class Slip:
    """Something that was said of a variable (the hero, the lost thing) and is not what it was bound to."""

    what: What
    """`deed`: an act or an explanation that belongs to another entry."""
    variable: str
    at: int
    """Character at which it stands."""
    said: str
    bound: str
    """What would have been right; empty for a deed, which has many forms."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a text."""

    slips: tuple[Slip, ...]
    """Of the reading with the fewest; up to where the text was followed."""
    finished: bool
    """The story comes to its end, and nothing follows."""
    followed: int
    """Characters that are of a built-in story, slips included."""

    @property
    def consistent(self) -> bool:
        return self.finished and not self.slips

    def kept(self, *what: What) -> bool:
        """Whether no slip is of these kinds."""
        return not any(slip.what in what for slip in self.slips)


def check(text: str, program: Program | None = None) -> Checked:
    """Follow `text` through the grammar with as few slips as it takes, at most 8.

    A completion of the grammar's stories names its people consistently where `kept("name", "pronoun")`, its things
    where `kept("object")`, and is resolved as it began where it is `finished` and `kept("deed")`.
    """
    program = program or story_program()
    ties = count()
    # In the order of slips, and among equal ones deepest first, so that a story without any is found at once.
    waiting: list[tuple[int, int, int, Operation, tuple[int, ...], tuple[Slip, ...]]] = []
    seen: set[tuple[int, int, tuple[int, ...]]] = set()
    best = Checked((), False, 0)

    def go_on(op: Operation, at: int, values: tuple[int, ...], slips: tuple[Slip, ...]) -> None:
        if len(slips) <= MOST_SLIPS:
            heappush(waiting, (len(slips), -at, -next(ties), op, values, slips))

    go_on(program.start, 0, (-1,) * len(program.variables), ())
    while waiting and len(seen) < MOST_STATES:
        _, negative, _, op, values, slips = heappop(waiting)
        at = -negative
        if (op.number, at, values) in seen:
            continue
        seen.add((op.number, at, values))
        if at > best.followed:
            best = Checked(slips, False, at)
        if isinstance(op, Say):
            if text.startswith(op.text, at):
                go_on(op.next, at + len(op.text), values, slips)
        elif isinstance(op, Branch):
            for index, _, target in op.by_first.get(text[at] if at < len(text) else END, ()):
                after = values if op.slot < 0 else (*values[: op.slot], index, *values[op.slot + 1 :])
                go_on(target, at, after, slips)
        elif isinstance(op, Look):
            bound = op.table[values[op.slot]]
            for said in dict.fromkeys(op.table):
                if text.startswith(said, at):
                    now = () if said == bound else (_slip(program, op.slot, at, said, bound),)
                    go_on(op.next, at + len(said), values, (*slips, *now))
        elif isinstance(op, Switch):
            go_on(op.targets[values[op.slot]], at, values, slips)
            for index, target in enumerate(op.targets):
                if index != values[op.slot]:
                    slip = Slip("deed", program.variables[op.slot], at, _ahead(text, at), "")
                    go_on(target, at, values, (*slips, slip))
        elif isinstance(op, Set):
            go_on(op.next, at, (*values[: op.slot], op.value, *values[op.slot + 1 :]), slips)
        elif isinstance(op, End) and at == len(text):
            return Checked(slips, True, at)
    return best


def _slip(program: Program, slot: int, at: int, said: str, bound: str) -> Slip:
    variable = program.variables[slot]
    if program.lexicons[slot].name in PEOPLE:
        return Slip("pronoun" if said in PRONOUNS else "name", variable, at, said, bound)
    return Slip("object", variable, at, said, bound)


def _ahead(text: str, at: int) -> str:
    return text[at : at + 40]
