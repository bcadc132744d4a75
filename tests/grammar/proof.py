"""A proof that no text has two derivations.

Two derivations of one text part at some choice: there they take different alternatives, and everything from there to
the end of the story reads the same. So it is enough to show, for every choice of the program and every pair of its
alternatives, that no text can follow both. The search walks two copies of the program in lockstep, each free in all its
later choices, and drops a pair of states as soon as their texts differ. A variable bound before the choice has one
value, the same for both; the search keeps the set of values that agree with all that has been said since. What was said
before the choice is forgotten, which can only make the search see an ambiguity that is none, never miss one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from fabula.grammar.program import Branch, End, Look, Operation, Program, Say, Set, Switch

_Values = tuple[tuple[int, int], ...]  # (slot, the values it may have as a bit mask), sorted by slot


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Two alternatives of one choice that can be followed by the same text, and that text."""

    operation: int
    alternatives: tuple[int, int]
    text: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two walkers: text it has said and the other has not yet, the next operation, and what it has bound."""

    said: str
    op: Operation
    own: _Values


def find_ambiguity(program: Program) -> Ambiguity | None:
    """An ambiguity of the grammar, or None, which is a proof that there is none.

    The number of pairs of states is finite, for the program has no cycles; on a grammar whose alternatives soon differ,
    as words do, only a few are visited for each choice.
    """
    for branch in (operation for operation in program.operations if isinstance(operation, Branch)):
        seen: set[tuple[int, int]] = set()
        for alternatives in branch.by_first.values():
            for (i, _, first), (j, _, second) in combinations(alternatives, 2):
                if (i, j) in seen:
                    continue
                seen.add((i, j))
                text = _common_text(program, _bound(branch, i, first), _bound(branch, j, second))
                if text is not None:
                    return Ambiguity(branch.number, (i, j), text)
    return None


def _bound(branch: Branch, index: int, target: Operation) -> _Side:
    return _Side("", target, ((branch.slot, 1 << index),) if branch.slot >= 0 else ())


def _common_text(program: Program, first: _Side, second: _Side) -> str | None:
    """A text that both walkers can say from here to the end of the story."""
    seen: set[tuple[str, int, _Values, str, int, _Values, _Values]] = set()
    waiting: list[tuple[_Side, _Side, _Values, str]] = [(first, second, (), "")]
    while waiting:
        a, b, shared, common = waiting.pop()
        agreed = min(len(a.said), len(b.said))
        if a.said[:agreed] != b.said[:agreed]:
            continue
        common += a.said[:agreed]
        a, b = _Side(a.said[agreed:], a.op, a.own), _Side(b.said[agreed:], b.op, b.own)
        state = (a.said, a.op.number, a.own, b.said, b.op.number, b.own, shared)
        if state in seen:
            continue
        seen.add(state)
        if isinstance(a.op, End) and isinstance(b.op, End):
            if a.said == b.said:
                return common
        elif not a.said and not isinstance(a.op, End):
            waiting.extend((side, b, known, common) for side, known in _moves(program, a, shared, b.said))
        elif not b.said and not isinstance(b.op, End):
            waiting.extend((a, side, known, common) for side, known in _moves(program, b, shared, a.said))
    return None


def _moves(program: Program, side: _Side, shared: _Values, awaited: str) -> Iterator[tuple[_Side, _Values]]:
    """Everything that a walker can do next, with what is then known of the variables bound before the choice.

    `awaited` is what the other has said already; alternatives that cannot begin with it are left out.
    """
    op = side.op
    if isinstance(op, Say):
        yield _Side(op.text, op.next, side.own), shared
    elif isinstance(op, Set):
        yield _Side("", op.next, _with(side.own, op.slot, 1 << op.value)), shared
    elif isinstance(op, Branch):
        if awaited:
            alternatives = [(index, target) for index, _, target in op.by_first.get(awaited[0], ())]
        else:
            alternatives = list(enumerate(op.targets))
        for index, target in alternatives:
            yield _Side("", target, side.own if op.slot < 0 else _with(side.own, op.slot, 1 << index)), shared
    elif isinstance(op, (Look, Switch)):
        own = dict(side.own)
        anything = (1 << len(program.lexicons[op.slot].entries)) - 1
        possible = own.get(op.slot) or dict(shared).get(op.slot, anything)
        for outcome, values in _outcomes(op):
            if values & possible:
                after = shared if op.slot in own else _with(shared, op.slot, values & possible)
                if isinstance(outcome, str):
                    assert isinstance(op, Look)
                    yield _Side(outcome, op.next, side.own), after
                else:
                    yield _Side("", outcome, side.own), after


@lru_cache(maxsize=20_000)  # bounded: the keys keep their programs alive
def _outcomes(op: Look | Switch) -> list[tuple[str | Operation, int]]:
    """What a variable's value can lead to here, each with the mask of the values that do: 48 heroes, but two `her`s."""
    masks: dict[str | Operation, int] = {}
    outcomes: tuple[str | Operation, ...] = op.table if isinstance(op, Look) else op.targets
    for value, outcome in enumerate(outcomes):
        masks[outcome] = masks.get(outcome, 0) | 1 << value
    return list(masks.items())


def _with(values: _Values, slot: int, mask: int) -> _Values:
    return tuple(sorted({**dict(values), slot: mask}.items()))
