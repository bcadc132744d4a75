"""The vocabulary in which the grammar is written: six kinds of node, and lexicons.

A story's derivation is a sequence of weighted choices, taken from left to right. Variables (the hero, the place, the
lost thing) are bound by a choice from a lexicon and keep their entry to the end of the story, so that names, pronouns
and consequences agree everywhere. Nodes are plain values; `program.py` turns a tree of them into something that runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Literal text."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """One node after another."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One of several alternatives, each with a positive whole weight; probability = weight / sum of weights."""

    alternatives: tuple[tuple[int, Node], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """The text of one form of a bound variable, such as the hero's name or `him`."""

    variable: str
    form: str
    capital: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Bind:
    """Chooses an entry of a lexicon, binds the variable to it for the rest of the story, and says one form of it."""

    variable: str
    lexicon: Lexicon
    form: str
    capital: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Assign:
    """Binds a variable to the entry with this key, silently and without a choice."""

    variable: str
    lexicon: Lexicon
    key: str


Node = Text | Sequence | Choice | Use | Bind | Assign


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One meaning a variable can have, with its forms by name. Weight 0: never drawn, only assigned."""

    key: str
    weight: int
    forms: Mapping[str, Node]


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """A list of entries from which a variable takes its meaning; those of weight 0 come last."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def num_drawn(self) -> int:
        """How many entries a choice can take: the number of a choice's alternative is the number of its entry."""
        return sum(entry.weight > 0 for entry in self.entries)

    def index(self, key: str) -> int:
        """The position of the entry with this key. Raises KeyError."""
        for position, entry in enumerate(self.entries):
            if entry.key == key:
                return position
        raise KeyError(f"lexicon {self.name} has no entry {key!r}")


def capitalized(node: Node) -> Node:
    """The same node with the first letter of whatever it says in upper case."""
    if isinstance(node, Text):
        return Text(node.text[:1].upper() + node.text[1:])
    if isinstance(node, Sequence):
        return Sequence((capitalized(node.parts[0]), *node.parts[1:])) if node.parts else node
    if isinstance(node, Choice):
        return Choice(tuple((weight, capitalized(alternative)) for weight, alternative in node.alternatives))
    if isinstance(node, Use):
        return Use(node.variable, node.form, capital=True)
    if isinstance(node, Bind):
        return Bind(node.variable, node.lexicon, node.form, capital=True)
    raise ValueError(f"nothing to capitalize at the start of {node}")
