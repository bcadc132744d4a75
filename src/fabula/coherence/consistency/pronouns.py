"""Whether he and she fit whom they stand for.

Each pronoun adds +1 (he) or -1 (she) to the features of those that it may mean, so that exchanging all pronouns turns
every sign. What is fitted is who is a he: mom, Lily, a girl named anything.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from fabula.coherence.measures.people import FEMALE, HE, MALE, SHE
from fabula.coherence.measures.sentences import Sentence
from fabula.record.text.english import OTHERS

NOBODY = frozenset(["we", "them", "they", "their", "its"])
APPOSITION = 4
"""Words before a name in which a noun says what it is: `a little girl named Lily`."""


def pronoun_features(story: Sequence[Sentence], names: Mapping[str, int]) -> dict[str, float]:
    """Signed features by name; none where nobody is a he or she."""
    said_of = _appositions(story, names)
    heard = [who for sentence in story for word in sentence.lower if (who := _who(word, names)) is not None]
    counts = Counter(heard)
    main = [who for who, _ in counts.most_common(2)]
    kinds = "".join(sorted({_kind(who, names, said_of)[0] for who in counts}))
    found: Counter[str] = Counter()
    before: list[str] = []
    for sentence in story:
        here: list[str] = []
        speaking = False
        for word in sentence.lower:
            if word == '"':
                speaking = not speaking
            elif (who := _who(word, names)) is not None:
                here.append(who)
            elif sign := (word in HE) - (word in SHE):
                meant = [(f"main {number}", who) for number, who in enumerate(main)]
                meant += [("first", heard[0])] if heard else []
                meant += [("only", main[0])] if len(counts) == 1 else []
                meant += _near("here", here) if here else _near("before", before)
                for role, who in meant:
                    role = f"{role} in speech" if speaking else role
                    found[f"{role}: {who}"] += sign
                    found[f"{role}: {_kind(who, names, said_of)}"] += sign
                found[f"among {kinds}"] += sign
                found[f"among {kinds}, {_kind(main[0], names, said_of) if main else ''}"] += sign
        before = here or before
    return {name: _damped(value) for name, value in found.items() if value}


def _near(role: str, people: Sequence[str]) -> list[tuple[str, str]]:
    if not people:
        return []
    alone = [(f"{role}, alone", people[-1])] if len(set(people)) == 1 else []
    return [(role, people[-1]), (f"{role}, first", people[0]), *alone]


def _damped(value: int) -> float:
    """With its sign; the tenth pronoun says less than the second."""
    return (1 if value > 0 else -1) * float(abs(value)) ** 0.5


def _who(word: str, names: Mapping[str, int]) -> str | None:
    who = word.removesuffix("'s")
    return who if who in names or who in MALE or who in FEMALE or (who in OTHERS and who not in NOBODY) else None


def _kind(who: str, names: Mapping[str, int], said_of: Mapping[str, str]) -> str:
    if who in MALE:
        return "male"
    if who in FEMALE:
        return "female"
    return said_of.get(who, "name") if who in names else "other"


def _appositions(story: Sequence[Sentence], names: Mapping[str, int]) -> dict[str, str]:
    """Of a name, what a noun before it said."""
    found: dict[str, str] = {}
    for sentence in story:
        words = [word.removesuffix("'s") for word in sentence.lower]
        for at, word in enumerate(words):
            if word not in names or word in found:
                continue
            for noun in reversed(words[max(0, at - APPOSITION) : at]):
                if noun in MALE or noun in FEMALE:
                    found[word] = "male" if noun in MALE else "female"
                    break
    return found
