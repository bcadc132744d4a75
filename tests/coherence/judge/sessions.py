"""Sessions without a server: true stories, a plan, and the lines that a judge's answers leave."""

import random
from typing import Any

from tests.coherence.judge.simulated import Judge

from fabula.coherence.judge.cache import answer_fields
from fabula.coherence.judge.session import Plan, plan
from fabula.coherence.judge.told import Told
from fabula.study.judging.sessions import Session, sessions_of

NAMES = "Ana Ben Cleo Dan Eva Finn Gus Hana Ivo Jill Kim Leo Mia Ned Olga Pia Rob Sue".split()
THINGS = "ball kite boat drum cake star stone leaf nest bell coin book lamp rope shell box hat cup".split()


def true_story(number: int) -> Told:
    name, thing = NAMES[number % len(NAMES)], THINGS[number % len(THINGS)]
    told = [
        f"{name} looked for the {thing} in the garden.",
        f'"Where is my {thing}?" asked {name}.',
        f"A bird sat in the tree and heard {name}.",
        f"The bird flew up and saw the {thing} behind the wall.",
        f"{name} ran there and was so glad.",
        "They played until the sun went down.",
        f"At night {name} put the {thing} beside the bed.",
        "Then it was time to sleep, and everybody was happy.",
    ]
    beginning = f"Once there was a child named {name} who had lost a {thing}."
    return Told(f"validation/{number}/human", f"validation/{number}", beginning, " ".join(told[: 5 + number % 4]))


ANCHORS = [true_story(number) for number in range(24)]
STORIES = [
    Told(f"fabula/{number}/{seed}", f"fabula/{number}", f"On day {number}", f"a cat came, and then {seed} more.")
    for number in range(6)
    for seed in range(2)
]


def lines_of(asked: Plan, judge: Judge, seed: int = 0) -> list[dict[str, Any]]:
    """What judgements.jsonl holds after a session."""
    chance = random.Random(seed)
    lines: list[dict[str, Any]] = [
        {"kind": "session", "session": "s", "judge": "openai:simulated", "step": 5, "planned": len(asked.questions)}
    ]
    for question in asked.questions:
        who = (
            {"of": question.story.name}
            if question.other is None
            else {"first": question.story.name, "second": question.other.name}
        )
        lines.append(
            {
                "kind": question.kind,
                "session": "s",
                "role": question.role,
                "prompt": question.story.prompt,
                "twin": question.twin,
                "injection": question.injection,
                "repeat": question.repeat,
                **who,
                **answer_fields(judge(question, chance)),
            }
        )
    return [*lines, {"kind": "end", "session": "s", "ended": "whole"}]


CONTROLS = plan([], ANCHORS)
WHOLE = plan(STORIES, ANCHORS)


def session_of(judge: Judge, seed: int = 0, asked: Plan = CONTROLS) -> Session:
    (session,) = sessions_of(lines_of(asked, judge, seed))
    return session
