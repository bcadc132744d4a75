"""Evaluations and judgements beside a run's record, as `fabula evaluate --judge` leaves them, without a model."""

import json
import random
from pathlib import Path
from typing import Any

from tests.coherence.judge.sessions import ANCHORS, lines_of
from tests.coherence.judge.simulated import Judge, good

from fabula.coherence.judge.session import plan, told_of
from fabula.record.writer import json_line

NUM_PROMPTS, SAMPLES = 12, 2
ASKS = ("plot", "cut", "knowledge", "reasoning", "tracking")
WHO, WHAT = "Mara Otto Nina Paul Rita Theo".split(), "kite horse lamp boat drum apple".split()


def evaluate(
    run: Path,
    step: int,
    quality: float,
    judge: Judge | None = None,
    seed: int = 0,
    beginning: str = "",
    word: str = "",
) -> list[dict[str, Any]]:
    """One session of completions, and one of a judge over it. `quality`: the share of stories that are good;
    `beginning` and `word` stand in each."""
    chance = random.Random(seed)
    lines = [
        _line(number, sample, chance, quality, beginning, word)
        for number in range(NUM_PROMPTS)
        for sample in range(SAMPLES)
    ]
    lines += [_true(number) for number in range(len(ANCHORS))]
    name = f"evaluation-{step}"
    info = {
        "kind": "session", "session": name, "step": step, "settings": {"samples": SAMPLES, "tokens": 200},
        "prompt_sets": {"fabula": {"hash": "f", "prompts": NUM_PROMPTS}},
        "summary": {"fabula": {"model": {"combined": 1.9 - quality, "interval": [1.8, 2.0]}}},
    }  # fmt: skip
    lines = [{"kind": "completion", "session": name, "step": step, **line} for line in lines]
    with open(run / "evaluations.jsonl", "a", encoding="utf-8") as file:
        file.writelines(json_line(line) for line in [*lines, info])
    if judge is not None:
        stories, true = told_of(lines)
        said = lines_of(plan(stories, true), judge, seed)
        with open(run / "judgements.jsonl", "a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps({**line, 'session': f'judge-{step}', 'step': step})}\n" for line in said)
    return lines


def better(by: float) -> Judge:
    """A good judge that likes each completion so much more."""

    def judge(question: Any, chance: random.Random) -> Any:
        return good(0.7, level=by if question.role == "completion" else 0.0)(question, chance)

    return judge


def _line(number: int, sample: int, chance: random.Random, quality: float, beginning: str, word: str) -> dict[str, Any]:
    who, what = WHO[number % len(WHO)], WHAT[number // 2 % len(WHAT)]
    begun = f"{beginning}One day, a child named {who} found a {what} in the wood. Then"
    well = chance.random() < quality
    if well:
        text = f" {who} took the {what} home{word}. The {what} was for Lily. In the end they were all very happy."
    else:
        text = f" she was very sad{word}. She was very sad and cried. She was very sad and cried. Then Lily said so"
    measures = {
        "names_return": float(well), "prompt_returns": float(well), "ended": float(well), "closed_quotes": None,
        "repeated_sentences": 0.0 if well else 0.3, "looped_words": 0.0 if well else 0.5, "broken_words": 0.0,
        "consistency": chance.gauss(0.4 + 0.4 * well, 0.05),
    }  # fmt: skip
    copied = [[1, 20]] if well and number % 4 == 0 else []
    return {
        "prompt_set": "fabula", "number": number, "asks": ASKS[number % len(ASKS)], "prompt": begun, "human": False,
        "seed": sample, "text": text, "tokens": 40, "ended": well, "measures": measures, "copied": copied,
    }  # fmt: skip


def _true(number: int) -> dict[str, Any]:
    true = ANCHORS[number]
    measures = {
        "names_return": 1.0, "prompt_returns": 1.0, "ended": 1.0, "repeated_sentences": 0.0, "looped_words": 0.0,
        "broken_words": 0.0, "consistency": 0.9 + 0.01 * (number % 5),
    }  # fmt: skip
    return {
        "prompt_set": "validation", "number": number, "asks": "validation", "prompt": true.beginning, "human": True,
        "seed": None, "text": f" {true.continuation}", "tokens": 60, "ended": True, "measures": measures,
    }  # fmt: skip
