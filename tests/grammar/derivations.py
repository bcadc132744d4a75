"""Every story of a grammar that is small enough to list them."""

from collections.abc import Iterator

from fabula.grammar.program import Branch, End, Look, Operation, Program, Say, Set, Switch
from fabula.grammar.walk import Derivation


def every_derivation(program: Program) -> Iterator[Derivation]:
    """All derivations of the grammar, one by one."""
    waiting: list[tuple[Operation, str, tuple[int, ...], float, tuple[int, ...]]] = [
        (program.start, "", (-1,) * len(program.variables), 0.0, ())
    ]
    while waiting:
        op, said, values, total, choices = waiting.pop()
        while not isinstance(op, (Branch, End)):
            if isinstance(op, Say):
                said, op = said + op.text, op.next
            elif isinstance(op, Look):
                said, op = said + op.table[values[op.slot]], op.next
            elif isinstance(op, Switch):
                op = op.targets[values[op.slot]]
            else:
                assert isinstance(op, Set)
                values, op = (*values[: op.slot], op.value, *values[op.slot + 1 :]), op.next
        if isinstance(op, End):
            yield Derivation(said, choices, total)
            continue
        for index, (log_weight, target) in enumerate(zip(op.log_weights, op.targets, strict=True)):
            after = values if op.slot < 0 else (*values[: op.slot], index, *values[op.slot + 1 :])
            waiting.append((target, said, after, total + log_weight, (*choices, index)))
