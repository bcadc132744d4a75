"""The notation in which the stories are written down, and its translation into nodes.

A *book* is a text of rules. A rule is a name and a colon at the start of a line, then its alternatives, each beginning
with `- ` (or with `-3 `, its weight); a longer alternative goes on in indented lines, and line breaks count as spaces.
A line that begins with `#` is a remark. Inside an alternative:

    [one|two|3:three]     a choice; 3 is a weight, 1 where none is given; `[very |]` may be left out
    <a rule>              the alternatives of that rule
    {new place}           choose an entry of the lexicon `place`, bind the variable `place` to it, say its form `name`
    {new place.at}        the same, saying the form `at`
    {place=a ship}        bind it to the entry of that name, silently
    {place.at}            a form of a bound variable; `{place}` is its form `name`
    {Place.at}            the same with a capital letter; works for {new Place.at}, too
    {he} {him} {his}      pronouns of the hero: short for `{hero.he}` and so on; `{He}` begins a sentence

The forms of a lexicon's entries are written in the same notation and may use any variable that is bound by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from fabula.grammar.nodes import Assign, Bind, Choice, Entry, Lexicon, Node, Sequence, Text, Use
from fabula.grammar.program import GrammarError

PRONOUNS = ("he", "him", "his", "himself")

_ALTERNATIVE = re.compile(r"-(?P<weight>\d*) (?P<text>.*)")
_WEIGHT = re.compile(r"(\d+):")
_BRACES = re.compile(r"(?P<new>new )?(?P<variable>[A-Za-z]\w*)(?:\.(?P<form>\w+)|=(?P<key>.+))?")


def read_book(text: str) -> dict[str, list[tuple[int, str]]]:
    """The rules of a book: for every name its alternatives, weight and notation."""
    rules: dict[str, list[tuple[int, str]]] = {}
    current: list[tuple[int, str]] | None = None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if match := _ALTERNATIVE.fullmatch(line):
            if current is None:
                raise GrammarError(f"an alternative before the first rule: {line!r}")
            if match["weight"] == "0":
                raise GrammarError(f"an alternative has a weight of 1 or more: {line!r}")
            current.append((int(match["weight"] or 1), match["text"].strip()))
        elif line.startswith(" "):
            if not current:
                raise GrammarError(f"nothing that this line could continue: {line!r}")
            weight, begun = current[-1]
            current[-1] = (weight, f"{begun} {line.strip()}")
        elif line.endswith(":"):
            if line[:-1] in rules:
                raise GrammarError(f"two rules of the name {line[:-1]!r}")
            current = rules.setdefault(line[:-1], [])
        else:
            raise GrammarError(f"neither a rule nor an alternative: {line!r}")
    return rules


def lexicon(name: str, *entries: Mapping[str, str]) -> Lexicon:
    """A lexicon from entries in notation: each a mapping of forms, with a `name` and perhaps a `weight`."""
    made = []
    for entry in entries:
        # A form cannot say rules: what it says must be the entry's own.
        forms = {form: translate(text) for form, text in entry.items() if form != "weight"}
        made.append(Entry(entry["name"], int(entry.get("weight", "1")), forms))
    if len({entry.key for entry in made}) != len(made):
        raise GrammarError(f"lexicon {name}: two entries of one name")
    if any(before.weight == 0 and after.weight > 0 for before, after in pairwise(made)):
        raise GrammarError(f"lexicon {name}: entries of weight 0 come last")
    return Lexicon(name, tuple(made))


def assemble(rules: Mapping[str, list[tuple[int, str]]], lexicons: Mapping[str, Lexicon], start: str) -> Node:
    """The tree of nodes under the rule `start`.

    Raises GrammarError for a missing rule or lexicon, a rule that contains itself or is never used, bad notation.
    """
    reader = _Reader(rules, lexicons)
    root = reader.rule(start)
    if unused := sorted(set(rules) - set(reader.known)):
        raise GrammarError(f"rules that no story uses: {', '.join(unused)}")
    return root


def translate(text: str) -> Node:
    """A piece of notation without rules and lexicons as a node."""
    return _Reader({}, {}).template(text)


class _Reader:
    def __init__(self, rules: Mapping[str, list[tuple[int, str]]], lexicons: Mapping[str, Lexicon]) -> None:
        self.rules = rules
        self.lexicons = lexicons
        self.known: dict[str, Node] = {}
        self.open: list[str] = []

    def rule(self, name: str) -> Node:
        if name in self.known:
            return self.known[name]
        if name in self.open:
            raise GrammarError(f"the rule {name!r} contains itself: {' > '.join(self.open)}")
        if not self.rules.get(name):
            raise GrammarError(f"no rule of the name {name!r}, or no alternatives in it")
        self.open.append(name)
        alternatives = tuple((weight, self.template(text)) for weight, text in self.rules[name])
        self.open.pop()
        self.known[name] = alternatives[0][1] if len(alternatives) == 1 else Choice(alternatives)
        return self.known[name]

    def template(self, text: str) -> Node:
        node, end = self._sequence(text, 0, "")
        if end != len(text):
            raise GrammarError(f"a {text[end]!r} too many at {text[end:]!r} in {text!r}")
        return node

    def _sequence(self, text: str, at: int, closing: str) -> tuple[Node, int]:
        """What stands from `at` to the end or to one of the characters in `closing`, and where that is."""
        parts: list[Node] = []
        while at < len(text) and text[at] not in closing and text[at] not in "]}>":
            if text[at] == "[":
                part, at = self._choice(text, at)
            elif text[at] in "{<":
                end = text.find("}" if text[at] == "{" else ">", at)
                if end < 0:
                    raise GrammarError(f"{text[at]!r} is never closed in {text!r}")
                part = self._braces(text[at + 1 : end]) if text[at] == "{" else self.rule(text[at + 1 : end])
                at = end + 1
            else:
                end = at
                while end < len(text) and text[end] not in "[{<|]}>":
                    end += 1
                if end == at:
                    raise GrammarError(f"a {text[at]!r} outside of brackets in {text!r}")
                part, at = Text(text[at:end]), end
            parts.append(part)
        return (parts[0] if len(parts) == 1 else Sequence(tuple(parts))), at

    def _choice(self, text: str, at: int) -> tuple[Node, int]:
        alternatives: list[tuple[int, Node]] = []
        start = at
        while at < len(text) and text[at] != "]":
            weight = 1
            if match := _WEIGHT.match(text, at + 1):
                weight, at = int(match[1]), match.end() - 1
            node, at = self._sequence(text, at + 1, "|")
            alternatives.append((weight, node))
        if at >= len(text):
            raise GrammarError(f"'[' is never closed at {text[start:]!r}")
        return Choice(tuple(alternatives)), at + 1

    def _braces(self, inside: str) -> Node:
        match = _BRACES.fullmatch(inside)
        if not match:
            raise GrammarError(f"cannot read {{{inside}}}")
        variable = match["variable"]
        capital, variable = variable[0].isupper(), variable[0].lower() + variable[1:]
        form = match["form"] or "name"
        if variable in PRONOUNS:
            variable, form = "hero", variable
        if match["key"]:
            return Assign(variable, self._lexicon(variable), match["key"])
        if match["new"]:
            return Bind(variable, self._lexicon(variable), form, capital)
        return Use(variable, form, capital)

    def _lexicon(self, name: str) -> Lexicon:
        if name not in self.lexicons:
            raise GrammarError(f"no lexicon of the name {name!r}")
        return self.lexicons[name]
