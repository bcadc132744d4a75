"""Rules on completions: whether they keep to the prompt and to themselves, loop, or repeat what was learned.

The last completion of each prompt is judged, from its text and from what samples.jsonl says of it. One completion is
one draw of many, so that all but copying are notes: they say what there is to see, and change no verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fabula.findings.facts import Facts
from fabula.findings.rule import Outcome, Silent, rule, share
from fabula.findings.story_text import changed_pronoun, newcomer
from fabula.record.finding import Finding, Severity
from fabula.record.text.english import (
    SAYS_LITTLE,
    genders,
    loops,
    pronouns,
    repeated_share,
    stem,
)
from fabula.record.text.words import words

MIN_WORDS = 25
"""Shorter completions show neither a topic nor repetition."""
TELLING_SHARE = 0.15
"""A prompt's topic is its names and those of its words that are in at most 15 % of the training stories: `little`,
`day` and `play` come back in any story."""
PRONOUNS = 3
"""Three pronouns, none of them the prompt's: the completion is about somebody else."""
LOOP_TIMES = 4
"""The same words four times in a row: in 5,000 real stories this never happened."""
LOOP_WORDS = 6
"""Six words or more are a loop when they come twice in a row."""
REPEATED_SHARE = 0.15
"""Of all groups of four words, the share that had come before. One real story in a hundred reaches 9 %."""
COPIED_TOKENS = 32
"""Tokens in a row that stand in the training stories. One real validation story in a thousand has as many."""
COPIED_FACTOR = 1.5
"""... and 1.5 times the most of twenty validation stories, in case the stories resemble each other."""
NEWCOMER_AFTER = 30
"""The first 30 words and marks of a story may name anybody: `Tom and Lily are friends.`"""


@dataclass(frozen=True)
class _Shown:
    """What one completion shows: in words for the sentence, and as numbers."""

    words: str
    evidence: dict[str, Any]


Sample = Mapping[str, Any]


def latest(samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last completion of every prompt, those of the untrained model left out."""
    last: dict[str, dict[str, Any]] = {}
    for sample in samples:
        if sample.get("step") and isinstance(sample.get("prompt"), str) and isinstance(sample.get("completion"), str):
            last[sample["prompt"]] = {name: value for name, value in sample.items() if value is not None}
    return list(last.values())


def _judged(facts: Facts, field: str = "", called: str = "") -> list[dict[str, Any]] | Silent:
    """The completions that can be judged: long enough, and with `field` on their line."""
    there = latest(facts.samples)
    if not there:
        return Silent("needs completions of a trained model (samples.jsonl)")
    with_field = [sample for sample in there if not field or field in sample]
    if not with_field:
        return Silent(f"needs {called} (`{field}` in samples.jsonl)")
    long = [sample for sample in with_field if len(words(sample["completion"])) >= MIN_WORDS]
    return long or Silent(f"needs a completion of {MIN_WORDS} words or more")


def _findings(
    kind: str,
    samples: Sequence[Sample],
    look: Callable[[Sample], _Shown | None],
    claims: tuple[str, str],
    severity: Severity = "note",
    alternatives: tuple[str, ...] = (),
    try_: str = "",
) -> list[Finding]:
    """One finding for all completions in which `look` sees something. `claims`: what one does, what several do."""
    found = [(sample, shown) for sample in samples if (shown := look(sample)) is not None]
    if not found:
        return []
    steps = [int(sample["step"]) for sample, _ in found]
    claim = claims[0] if len(found) == 1 else claims[1]
    told = "; ".join(f'after "{_in_a_sentence(sample["prompt"])}", {shown.words}' for sample, shown in found)
    return [
        Finding(
            kind=kind,
            scope="completions",
            severity=severity,
            steps=(min(steps), max(steps)),
            evidence={
                "num_judged": len(samples),
                "num_found": len(found),
                "completions": [
                    {"prompt": sample["prompt"], "step": int(sample["step"]), "says": shown.words, **shown.evidence}
                    for sample, shown in found
                ],
            },
            sentence=f"{len(found)} of {_count(len(samples))} {claim}: {told}.",
            alternatives=alternatives,
            try_=try_,
        )
    ]


def _count(number_of: int) -> str:
    return f"{number_of} completion{'s' if number_of > 1 else ''}"


def _in_a_sentence(text: str) -> str:
    return " ".join(text.replace("`", "'").split())


@rule
def prompt_drift(facts: Facts) -> Outcome:
    samples = _judged(facts, "prompt_words", "to know how common the prompt's words are")
    if isinstance(samples, Silent):
        return samples
    return _findings(
        "prompt_drift", samples, _drift, ("leaves the topic of its prompt", "leave the topic of their prompts")
    )


def telling_words(sample: Sample) -> list[str]:
    """The words of the prompt that say what it is about: its names, and what is rare among the stories."""
    names = {name.lower() for name in sample.get("names", ())}
    return [
        word
        for word, held_by in sample["prompt_words"].items()
        if word in names or (held_by <= TELLING_SHARE and word not in SAYS_LITTLE)
    ]


def _drift(sample: Sample) -> _Shown | None:
    telling, completion = telling_words(sample), words(sample["completion"])
    returned = {stem(word) for word in completion}
    if telling and not any(stem(word) in returned for word in telling):
        listed = ", ".join(f'"{word}"' for word in telling[:4])
        return _Shown(f"{'none of ' if len(telling) > 1 else 'no '}{listed} comes back", {"words": telling})
    (he, she), said = pronouns(completion), genders(words(sample["prompt"]))
    if said == {"he"} and she >= PRONOUNS and not he:
        return _Shown(
            f'the prompt is about a "he", the completion says "she" or "her" {she} times and never "he"',
            {"he": he, "she": she},
        )
    if said == {"she"} and he >= PRONOUNS and not she:
        return _Shown(
            f'the prompt is about a "she", the completion says "he" or "his" {he} times and never "she"',
            {"he": he, "she": she},
        )
    return None


@rule
def repetition(facts: Facts) -> Outcome:
    samples = _judged(facts)
    if isinstance(samples, Silent):
        return samples
    return _findings("repetition", samples, _repeated, ("repeats itself", "repeat themselves"))


def _repeated(sample: Sample) -> _Shown | None:
    said = words(sample["completion"])
    for stretch, times in loops(said):
        if times >= LOOP_TIMES or (times >= 2 and len(stretch) >= LOOP_WORDS):
            text = " ".join(stretch)
            return _Shown(f'"{text}" comes {times} times in a row', {"stretch": text, "times": times})
    again = repeated_share(said)
    if again <= REPEATED_SHARE:
        return None
    return _Shown(f"{share(again)} of all groups of four words had come before", {"repeated_share": round(again, 4)})


@rule
def copying(facts: Facts) -> Outcome:
    samples = _judged(facts, "copied_tokens", "to know how much of a completion was copied")
    if isinstance(samples, Silent):
        return samples
    if all(COPIED_FACTOR * _usual(sample) > sample.get("tokens", COPIED_TOKENS) for sample in samples):
        return Silent("needs more varied stories: these have stretches in common as long as a whole completion")
    return _findings(
        "copying",
        samples,
        _copied,
        ("is copied from the training stories", "are copied from the training stories"),
        severity="warning",
        alternatives=(
            "the training stories were repeated until the model knew them by heart",
            "the same story stands in the training split many times",
        ),
        try_="complete that prompt with ten seeds: if the same words come again, they are known by heart",
    )


def _usual(sample: Sample) -> int:
    return int(sample.get("validation_copied_tokens", 0))


def _copied(sample: Sample) -> _Shown | None:
    copied, usual = int(sample["copied_tokens"]), _usual(sample)
    if copied < max(COPIED_TOKENS, COPIED_FACTOR * usual):
        return None
    of = int(sample.get("tokens", copied))
    return _Shown(
        f"{copied} of {of} tokens in a row are those of a training story; validation stories share at most {usual}",
        {"copied_tokens": copied, "tokens": of, "validation_copied_tokens": usual},
    )


@rule
def inconsistency(facts: Facts) -> Outcome:
    samples = _judged(facts, "names", "to know which words are names")
    if isinstance(samples, Silent):
        return samples
    return _findings(
        "inconsistency", samples, _changed, ("loses track of its characters", "lose track of their characters")
    )


def _changed(sample: Sample) -> _Shown | None:
    text = sample["prompt"] + sample["completion"]
    name = newcomer(text, sample["names"], NEWCOMER_AFTER)
    if name is not None:
        return _Shown(f'"{name}" was never introduced', {"name": name})
    changed = changed_pronoun(text)
    if changed is None:
        return None
    who, sentence = changed
    return _Shown(f'the {who} gets the wrong pronoun ("{sentence}")', {"who": who, "sentence": sentence})
