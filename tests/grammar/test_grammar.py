"""The built-in stories: exact probabilities, one derivation each, and that they read like stories."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import islice
from math import exp, fsum, log
from random import Random

import pytest
from tests.grammar.derivations import every_derivation
from tests.grammar.proof import find_ambiguity

from fabula.errors import InputError
from fabula.grammar import Story, generate, log_probability, stories
from fabula.grammar.nodes import Assign, Bind, Choice, Entry, Lexicon, Node, Sequence, Text, Use
from fabula.grammar.people import FAMILY, FRIEND_BOYS, FRIEND_GIRLS, HERO_BOYS, HERO_GIRLS
from fabula.grammar.program import compile_grammar
from fabula.grammar.telling import story_grammar, story_program
from fabula.grammar.walk import derive, parse

NUM_STORIES = 10_000


@pytest.fixture(scope="module")
def many() -> list[Story]:
    return list(stories(2024, 0, NUM_STORIES))


@pytest.mark.long
def test_the_parser_recovers_the_one_derivation_of_each_of_10_000_stories() -> None:
    program = story_program()
    for index in range(NUM_STORIES):
        story = derive(program, Random(f"round trip/{index}"))
        found = parse(program, story.text).derivations
        assert found == (story,)  # text, every choice, and the probability to the last bit


@pytest.mark.long
def test_no_text_of_the_language_has_two_derivations() -> None:
    assert find_ambiguity(story_program()) is None


def test_log_probability_is_that_of_the_generator(many: list[Story]) -> None:
    assert all(log_probability(story.text) == story.log_probability < 0 for story in many[:1000])


@pytest.mark.parametrize("seed", range(8))
def test_brute_force_on_a_cut_down_grammar(seed: int) -> None:
    """All stories of a part of the real grammar: all different, their probabilities add up to 1, each recovered."""
    for attempt in range(200):
        program = compile_grammar(cut_down(story_grammar(), Random(f"{seed}/{attempt}")))
        everything = list(islice(every_derivation(program), 10_001))
        if 1000 <= len(everything) <= 10_000:
            break
    assert 1000 <= len(everything) <= 10_000
    assert len({found.text for found in everything}) == len(everything)
    assert fsum(exp(found.log_probability) for found in everything) == pytest.approx(1, abs=1e-12)
    for found in everything[:: max(1, len(everything) // 500)]:
        assert parse(program, found.text).derivations == (found,)
        log_probability(found.text)  # a story of the cut-down grammar is one of the whole grammar


def test_stories_are_a_pure_function_of_seed_and_index() -> None:
    series = list(stories(7, 0, 20))
    assert [generate(7, index) for index in reversed(range(20))] == series[::-1]
    assert list(stories(7, 5, 9)) == series[5:9]
    assert {story.text for story in stories(8, 0, 20)}.isdisjoint(story.text for story in series)
    with pytest.raises(InputError, match="numbered from 0"):
        generate(7, -1)


def test_another_process_tells_the_same_stories() -> None:
    code = "from fabula.grammar import stories; print([s.text for s in stories(7, 0, 20)])"
    for hash_seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == str([story.text for story in stories(7, 0, 20)])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: "", "stops before the story does"),
        (lambda text: text[: len(text) // 2], "stops before the story does|cannot go on"),
        (lambda text: text + " And then?", "cannot go on with .* at character"),
        (lambda text: text.replace(" a ", " the "), "cannot go on with .* at character"),
        (lambda text: "It was a dark and stormy night.", "at character 1;"),
    ],
)
def test_a_text_outside_of_the_language_is_refused(change, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        log_probability(change(generate(1, 1).text))


def test_pronouns_stay_with_their_characters() -> None:
    """Where all names are women's and no man or boy occurs, no he, him or his does; and the other way around."""
    girls = {*HERO_GIRLS, *FRIEND_GIRLS, *(person["name"] for person in FAMILY if person["he"] == "she")}
    boys = {*HERO_BOYS, *FRIEND_BOYS, *(person["name"] for person in FAMILY if person["he"] == "he")}
    names = re.compile(rf"\b({'|'.join(girls | boys)})\b")
    others = {
        "girls": r"\b(boy|boy's|father|father's|brothers?|mailman|man|fisherman|acrobat|clown|cat)\b",
        "boys": r"\b(girls?|mother|mother's|sister|lady|grandmother|sheep)\b",
    }
    num_girls = num_boys = 0
    for story in stories(2024, 0, NUM_STORIES):
        present = set(names.findall(story.text))
        if present <= girls and not re.search(others["girls"], story.text):
            num_girls += 1
            assert not re.search(r"\b(he|him|his|himself)\b", story.text, re.IGNORECASE), story.text
        if present <= boys and not re.search(others["boys"], story.text):
            num_boys += 1
            assert not re.search(r"\b(she|her|herself)\b", story.text, re.IGNORECASE), story.text
    assert num_girls > 1000
    assert num_boys > 1000


@pytest.mark.long
def test_texts_are_well_formed(many: list[Story]) -> None:
    faults = re.compile(
        r"  |\s[.,!?;:]|[.,!?;:]{2}|[{}\[\]<>|\d]|[.!?][A-Za-z]|"  # spacing, leftovers of notation
        r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]|\b(\w+) \1\b|"  # articles, doubled words
        r"[.!?] [a-z]"  # a sentence begins small
    )
    for story in many:
        assert not (fault := faults.search(story.text)), f"{fault} in {story.text}"
        assert story.text[0].isupper()
        assert story.text.endswith((".", "!", "?", '."', '!"', '?"'))
        assert story.text.count('"') % 2 == 0
        for before, speech in re.findall(r'(.{0,2})"([^"]*)"', story.text):
            assert speech[0].isupper() or before == ", ", speech  # a speech goes on small after `said Grandma, `
            assert speech[-1] in ".,!?", speech
        assert not re.search(r'(?:(?<=^)|(?<=\s))"[^"]*\.",? (?:said|asked|called)', story.text), story.text


def test_stories_are_many_and_varied(many: list[Story]) -> None:
    texts = [story.text for story in many]
    assert len(set(texts)) == len(texts)
    words = {word for text in texts for word in re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())}
    assert len(words) >= 600
    lengths = sorted(len(text.split()) for text in texts)
    assert lengths[0] >= 60
    assert lengths[-1] <= 220
    assert 100 < lengths[len(lengths) // 2] < 160
    # A distribution of entropy H has at least exp(H) outcomes. Far above millions, with the sampling error (about 0.1).
    assert -fsum(story.log_probability for story in many) / NUM_STORIES > 2 * log(1e6)
    assert len({text.split(".")[0] for text in texts}) > 1000  # first sentences


def cut_down(root: Node, random: Random, spared: float = 0.2) -> Node:
    """A part of a grammar small enough to list: every choice keeps one alternative, at random, or two or three."""
    lexicons: dict[Lexicon, Lexicon] = {}
    known: dict[Node, Node] = {}

    def some(number: int) -> list[int]:
        wanted = 1 if random.random() > spared else random.choice([2, 3])
        return sorted(random.sample(range(number), min(wanted, number)))

    def cut_lexicon(lexicon: Lexicon) -> Lexicon:
        if lexicon not in lexicons:
            drawn = [lexicon.entries[index] for index in some(lexicon.num_drawn)]
            entries = (*drawn, *lexicon.entries[lexicon.num_drawn :])
            lexicons[lexicon] = Lexicon(
                lexicon.name,
                tuple(Entry(e.key, e.weight, {form: cut(node) for form, node in e.forms.items()}) for e in entries),
            )
        return lexicons[lexicon]

    def cut(node: Node) -> Node:
        if node not in known:
            known[node] = cut_node(node)
        return known[node]

    def cut_node(node: Node) -> Node:
        if isinstance(node, Sequence):
            return Sequence(tuple(cut(part) for part in node.parts))
        if isinstance(node, Choice):
            kept = [node.alternatives[index] for index in some(len(node.alternatives))]
            return Choice(tuple((weight, cut(part)) for weight, part in kept))
        if isinstance(node, Bind):
            return Bind(node.variable, cut_lexicon(node.lexicon), node.form, node.capital)
        if isinstance(node, Assign):
            return Assign(node.variable, cut_lexicon(node.lexicon), node.key)
        assert isinstance(node, (Text, Use))
        return node

    return cut(root)
