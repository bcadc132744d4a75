"""From a tree of nodes to a program: a graph of small operations in which every operation knows what follows it.

All rules are written out in place, so a position in the graph is a position in the story, and generating, parsing,
enumerating and proving are all walks over the same graph. The graph has no cycles: operations are made from the end of
the story to its beginning, and each leads only to operations made before it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

from fabula.grammar.nodes import Assign, Bind, Choice, Lexicon, Node, Sequence, Text, Use, capitalized

END = "\0"  # the "first character" of the end of a story; no story contains it


class GrammarError(ValueError):
    """The grammar itself is wrong: an unbound variable, a rule without alternatives, an ambiguity."""


@dataclass(slots=True, eq=False)
class Operation:
    """One step of the program. `number` grows from the end of the story to its beginning."""

    number: int


@dataclass(slots=True, eq=False)
class End(Operation):
    """The story is over."""


@dataclass(slots=True, eq=False)
class Say(Operation):
    """Literal text."""

    text: str
    next: Operation


@dataclass(slots=True, eq=False)
class Look(Operation):
    """The text that belongs to the value of a variable; used where every form is plain text."""

    slot: int
    table: tuple[str, ...]
    next: Operation


@dataclass(slots=True, eq=False)
class Switch(Operation):
    """Goes on where the value of a variable says."""

    slot: int
    targets: tuple[Operation, ...]


@dataclass(slots=True, eq=False)
class Set(Operation):
    """Gives a variable a fixed value."""

    slot: int
    value: int
    next: Operation


@dataclass(slots=True, eq=False)
class Branch(Operation):
    """A weighted choice. With a slot (-1: none), the number of the alternative becomes that variable's value."""

    slot: int
    targets: tuple[Operation, ...]
    cumulative: tuple[int, ...]
    log_weights: tuple[float, ...]
    # Which alternatives can start with a character: most die here, before they are looked at.
    by_first: dict[str, tuple[tuple[int, float, Operation], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """A grammar, ready to run. `variables[slot]` names the variable in a slot."""

    start: Operation
    operations: tuple[Operation, ...]
    variables: tuple[str, ...]
    lexicons: tuple[Lexicon, ...]


def compile_grammar(root: Node) -> Program:
    """The program of a grammar.

    Raises GrammarError if a variable could be used before it is bound or bound twice in one story, if it takes its
    values from two lexicons, or if a form or an entry is missing.
    """
    compiler = _Compiler(root)
    start = compiler.compile(root, compiler.end)
    _check_bindings(compiler, start)
    _fill_first_characters(compiler.operations)
    return Program(start, tuple(compiler.operations), tuple(compiler.slots), tuple(compiler.lexicon_of.values()))


def targets(operation: Operation) -> tuple[Operation, ...]:
    """The operations that can come next."""
    if isinstance(operation, (Branch, Switch)):
        return operation.targets
    if isinstance(operation, (Say, Look, Set)):
        return (operation.next,)
    return ()


_AnyOperation = TypeVar("_AnyOperation", bound=Operation)


class _Compiler:
    def __init__(self, root: Node) -> None:
        self.lexicon_of = _variables(root)
        self.slots = {variable: slot for slot, variable in enumerate(self.lexicon_of)}
        self.operations: list[Operation] = []
        # The same node before the same operation is compiled once. Nodes hash by identity and are kept alive here.
        self.known: dict[tuple[Node, int], Operation] = {}
        self.capitals: dict[Node, Node] = {}
        self.end = self._add(End(0))

    def _add(self, operation: _AnyOperation) -> _AnyOperation:
        operation.number = len(self.operations)
        self.operations.append(operation)
        return operation

    def compile(self, node: Node, following: Operation) -> Operation:
        """The operation that says `node` and goes on with `following`."""
        key = (node, following.number)
        if key not in self.known:
            self.known[key] = self._compile(node, following)
        return self.known[key]

    def _compile(self, node: Node, following: Operation) -> Operation:
        if isinstance(node, Text):
            if END in node.text:
                raise GrammarError("a text must not contain the character NUL")
            return self._add(Say(0, node.text, following)) if node.text else following
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                following = self.compile(part, following)
            return following
        if isinstance(node, Choice):
            return self._branch(-1, [(weight, self.compile(part, following)) for weight, part in node.alternatives])
        if isinstance(node, Bind):
            drawn = []
            for index in range(node.lexicon.num_drawn):
                said = self._form(node.lexicon, index, node.form, node.capital)
                drawn.append((node.lexicon.entries[index].weight, self.compile(said, following)))
            return self._branch(self.slots[node.variable], drawn)
        if isinstance(node, Assign):
            return self._add(Set(0, self.slots[node.variable], node.lexicon.index(node.key), following))
        return self._use(node, following)

    def _use(self, node: Use, following: Operation) -> Operation:
        lexicon = self.lexicon_of.get(node.variable)
        if lexicon is None:
            raise GrammarError(f"the variable {node.variable!r} is used but nothing binds it")
        forms = [self._form(lexicon, i, node.form, node.capital) for i in range(len(lexicon.entries))]
        slot = self.slots[node.variable]
        plain = tuple(form.text for form in forms if isinstance(form, Text) and form.text)
        if len(plain) == len(forms):
            return self._add(Look(0, slot, plain, following))
        return self._add(Switch(0, slot, tuple(self.compile(form, following) for form in forms)))

    def _form(self, lexicon: Lexicon, index: int, form: str, capital: bool) -> Node:
        entry = lexicon.entries[index]
        if form not in entry.forms:
            raise GrammarError(f"lexicon {lexicon.name}: the entry {entry.key!r} has no form {form!r}")
        node = entry.forms[form]
        if not capital:
            return node
        if node not in self.capitals:
            self.capitals[node] = capitalized(node)
        return self.capitals[node]

    def _branch(self, slot: int, weighted: list[tuple[int, Operation]]) -> Operation:
        weights = [weight for weight, _ in weighted]
        if not weights or any(weight < 1 for weight in weights):
            raise GrammarError(f"a choice needs alternatives with positive whole weights, not {weights}")
        logs = tuple(math.log(weight / sum(weights)) for weight in weights)
        return self._add(Branch(0, slot, tuple(op for _, op in weighted), tuple(accumulate(weights)), logs))


def _variables(root: Node) -> dict[str, Lexicon]:
    """The lexicon of every variable, in the order of the first binding."""
    lexicons: dict[str, Lexicon] = {}
    seen: set[Node | Lexicon] = set()
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if isinstance(node, Sequence):
            waiting.extend(reversed(node.parts))
        elif isinstance(node, Choice):
            waiting.extend(part for _, part in reversed(node.alternatives))
        elif isinstance(node, (Bind, Assign)):
            if lexicons.setdefault(node.variable, node.lexicon) is not node.lexicon:
                raise GrammarError(f"the variable {node.variable!r} takes its values from two lexicons")
            if node.lexicon not in seen:
                seen.add(node.lexicon)
                waiting.extend(form for entry in node.lexicon.entries for form in entry.forms.values())
    return lexicons


def _check_bindings(compiler: _Compiler, start: Operation) -> None:
    """Every variable is bound before it is used, and once only, on every path through the program."""
    needed: list[frozenset[int]] = []  # by operation: what must be bound before it
    bound: list[frozenset[int]] = []  # by operation: what may be bound from here on
    names = list(compiler.slots)
    for operation in compiler.operations:
        after = targets(operation)
        needs = frozenset().union(*(needed[op.number] for op in after))
        binds = frozenset().union(*(bound[op.number] for op in after))
        if isinstance(operation, (Branch, Set)) and operation.slot >= 0:
            if operation.slot in binds:
                raise GrammarError(f"the variable {names[operation.slot]!r} is bound twice in one story")
            needs, binds = needs - {operation.slot}, binds | {operation.slot}
        if isinstance(operation, (Look, Switch)):
            needs = needs | {operation.slot}
        needed.append(needs)
        bound.append(binds)
    if needed[start.number]:
        unbound = ", ".join(names[slot] for slot in sorted(needed[start.number]))
        raise GrammarError(f"used before they are bound in some story: {unbound}")


def _fill_first_characters(operations: list[Operation]) -> None:
    """For every choice, the alternatives by the characters with which they, or what follows them, can begin."""
    first: list[frozenset[str]] = []
    for operation in operations:
        if isinstance(operation, End):
            first.append(frozenset(END))
        elif isinstance(operation, Say):
            first.append(frozenset(operation.text[0]))
        elif isinstance(operation, Look):
            first.append(frozenset(text[0] for text in operation.table))
        else:
            first.append(frozenset().union(*(first[op.number] for op in targets(operation))))
        if isinstance(operation, Branch):
            by_first: dict[str, list[tuple[int, float, Operation]]] = {}
            for index, (log_weight, op) in enumerate(zip(operation.log_weights, operation.targets, strict=True)):
                for character in first[op.number]:
                    by_first.setdefault(character, []).append((index, log_weight, op))
            operation.by_first = {character: tuple(alternatives) for character, alternatives in by_first.items()}
