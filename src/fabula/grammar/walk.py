"""Two walks over a program: make one story, find every derivation of a text."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from random import Random

from fabula.grammar.program import END, Branch, Look, Operation, Program, Say, Set, Switch


@dataclass(frozen=True, slots=True)
class Derivation:
    """A text, the alternatives taken at all choices from left to right, and the sum of their log weights in nats."""

    text: str
    choices: tuple[int, ...]
    log_probability: float


def derive(program: Program, random: Random) -> Derivation:
    """One story, drawn from the grammar's distribution. Uses nothing of `random` but its method `random()`."""
    said: list[str] = []
    choices: list[int] = []
    values = [-1] * len(program.variables)
    total = 0.0
    op = program.start
    while True:
        if isinstance(op, Say):
            said.append(op.text)
            op = op.next
        elif isinstance(op, Branch):
            # Whole weights and one multiplication: the same alternative on every platform.
            index = bisect_right(op.cumulative, int(random.random() * op.cumulative[-1]))
            choices.append(index)
            total += op.log_weights[index]
            if op.slot >= 0:
                values[op.slot] = index
            op = op.targets[index]
        elif isinstance(op, Look):
            said.append(op.table[values[op.slot]])
            op = op.next
        elif isinstance(op, Switch):
            op = op.targets[values[op.slot]]
        elif isinstance(op, Set):
            values[op.slot] = op.value
            op = op.next
        else:
            return Derivation("".join(said), tuple(choices), total)


@dataclass(frozen=True, slots=True)
class Parse:
    """All derivations of a text, and how many of its characters the best attempt explained."""

    derivations: tuple[Derivation, ...]
    reached: int


_Trail = tuple["_Trail", int] | None  # the choices so far, last first


def parse(program: Program, text: str) -> Parse:
    """Every derivation of `text`, by exhaustive search with backtracking; none if the text is not in the language."""
    derivations: list[Derivation] = []
    length = len(text)
    reached = 0
    start: tuple[Operation, int, tuple[int, ...], float, _Trail] = (
        program.start, 0, (-1,) * len(program.variables), 0.0, None,
    )  # fmt: skip
    waiting = [start]
    while waiting:
        op, at, values, total, trail = waiting.pop()
        while True:
            if isinstance(op, Say):
                if not text.startswith(op.text, at):
                    break
                at += len(op.text)
                op = op.next
            elif isinstance(op, Branch):
                reached = max(reached, at)
                alternatives = op.by_first.get(text[at] if at < length else END)
                if alternatives is None:
                    break
                slot = op.slot
                for index, log_weight, target in alternatives:
                    if type(target) is Say and not text.startswith(target.text, at):
                        continue
                    after = values if slot < 0 else (*values[:slot], index, *values[slot + 1 :])
                    waiting.append((target, at, after, total + log_weight, (trail, index)))
                break
            elif isinstance(op, Look):
                expected = op.table[values[op.slot]]
                if not text.startswith(expected, at):
                    break
                at += len(expected)
                op = op.next
            elif isinstance(op, Switch):
                op = op.targets[values[op.slot]]
            elif isinstance(op, Set):
                values = (*values[: op.slot], op.value, *values[op.slot + 1 :])
                op = op.next
            else:
                reached = max(reached, at)
                if at == length:
                    derivations.append(Derivation(text, _choices(trail), total))
                break
    return Parse(tuple(derivations), reached)


def _choices(trail: _Trail) -> tuple[int, ...]:
    choices: list[int] = []
    while trail is not None:
        trail, index = trail
        choices.append(index)
    return tuple(reversed(choices))
