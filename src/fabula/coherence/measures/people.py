"""Who is in a story: names, and words that say he or she."""

from collections import Counter
from collections.abc import Sequence

from fabula.coherence.measures.sentences import Sentence, parsed

HE = frozenset("he him his himself he's he'd he'll".split())
SHE = frozenset("she her hers herself she's she'd she'll".split())
MALE = frozenset(
    """boy boys man men king prince dad daddy father papa brother grandpa grandfather uncle son sir mr husband lord
    wizard cowboy policeman fireman postman boyfriend nephew gentleman lad knight duke waiter actor""".split()
)
FEMALE = frozenset(
    """girl girls woman women queen princess mom mommy mum mummy mother mama sister grandma grandmother aunt auntie
    daughter mrs ms miss lady wife witch nanny granny niece maid duchess ballerina mermaid waitress actress
    madam""".split()
)
NAMELESS = frozenset(
    """i i'm i'll i've i'd ok okay mr mrs ms miss dr monday tuesday wednesday thursday friday saturday sunday january
    february march april may june july august september october november december christmas easter halloween god
    english tv mom mommy mum mama dad daddy papa grandma grandpa once""".split()
)
"""Written with a capital letter, and the name of nobody."""


def names_in(text: str) -> dict[str, int]:
    """The names of a text in lower case, and how often each comes."""
    return names_of(parsed(text))


def names_of(story: Sequence[Sentence]) -> dict[str, int]:
    """What is written with a capital letter within a sentence, and never without one."""
    inside: set[str] = set()
    capital: Counter[str] = Counter()
    small: set[str] = set()
    for sentence in story:
        start = True
        for token, lower in zip(sentence.tokens, sentence.lower, strict=True):
            if not token[0].isalpha():
                start = start or token in '":'
                continue
            if token[0].isupper() and token[1:].islower():
                key = lower.removesuffix("'s")
                capital[key] += 1
                inside |= set() if start else {key}
            elif token[0].islower():
                small.add(lower)
            start = False
    return {name: number for name, number in capital.items() if name in inside - small - NAMELESS}
