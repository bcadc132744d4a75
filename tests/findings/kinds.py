"""Examples of the kinds that no curve shows: recipes, events and completions, each with its kind and without it.

The kinds of curves have theirs in heldout.py; together they are all kinds (tests/house/test_kinds.py).
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.findings.families import record

from fabula.findings import Diagnosis, diagnose, lint
from fabula.findings.diagnosis import diagnose_facts
from fabula.findings.facts import Facts
from fabula.findings.normal import kept
from fabula.recipe import Recipe, load_recipe
from fabula.record.content.columns import to_columns
from fabula.record.reader import Run

Made = Callable[[], Diagnosis]


def planned(name: str, **values: Any) -> Diagnosis:
    """The lint of a recipe; `batch__rows=2` sets batch.rows."""
    recipe: Recipe = load_recipe(name).with_values(**{key.replace("__", "."): value for key, value in values.items()})
    return lint(recipe)


def happened(*events: dict[str, Any], **info: Any) -> Diagnosis:
    run = record(np.linspace(6.0, 3.0, 100), info=info)
    return diagnose(Run(run.path, run.info, run.train, run.evals, list(events)))


def logged_by_the_trainer(rate: float, log_format: str = "trainer") -> Diagnosis:
    """A log with the learning rate `rate`, decaying."""
    return diagnose(record(np.linspace(6.0, 3.0, 100), learning_rate=np.linspace(rate, 0.0, 100),
                           info={"log_format": log_format}))  # fmt: skip


def ended(
    loss: float = 3.0, parameters: int = 7_000_000, tokens: float = 6e5, ruler: str = "", **info: Any
) -> Diagnosis:
    """A finished run with an evaluation of all stories at its end, by the ruler that most of the kept runs share."""
    ruler = ruler or Counter(row.ruler for row in kept()).most_common(1)[0][0]
    lines = [{"step": step, "tokens": tokens * step / 100, "full": True, "val_loss": value, "val_loss_gpt2": value,
              "val_bits_per_byte": value / 2.8} for step, value in ((0, 9.0), (100, loss))]  # fmt: skip
    about = {"parameters": {"total": parameters}, "rulers": {"stream": ruler, "stream_at_128": ruler}}
    run = record(np.linspace(9.0, loss, 100))
    return diagnose(Run(run.path, {"status": "finished", **about, **info}, run.train, to_columns(lines)))


def looked(times: int = 3, **seen: Any) -> Diagnosis:
    """What is found where `times` looks of six see this, in both layers or layer by layer, and the others see what is
    usual."""
    usual = {
        "update_ratio": [2e-3, 4e-3],
        "grad_norm": [0.4, 0.3],
        "unchanged": [0.0, 0.1],
        "dead_units": [0.1, 0.6],
        "attention_logit": [3.0, 9.0],
    }
    lines = [{"step": 10 * (look + 1), **usual, **(seen if 2 <= look < 2 + times else {})} for look in range(6)]
    return diagnose_facts(Facts(internals=lines))


STORY = (
    " went to the sea with a red boat. The boat was small, but the sea was calm and the sun was warm all day long, so "
    "nobody minded at all when it was time to go home again."
)


def told(completion: str = STORY, prompt: str = "A girl with a boat", **fields: Any) -> Diagnosis:
    """What is found in one completion; by default in a story that keeps to its prompt and to itself."""
    sample = {"step": 100, "prompt": prompt, "completion": completion, "final": True, "tokens": 50,
              "copied_tokens": 9, "validation_copied_tokens": 12, "names": ["Lily", "Tom"],
              "prompt_words": {"a": 1.0, "girl": 0.4, "with": 0.9, "boat": 0.02}} | fields  # fmt: skip
    return diagnose(Run(Path("made"), {}, to_columns([]), to_columns([]), samples=[sample]))


EXAMPLES: dict[str, tuple[tuple[Made, ...], tuple[Made, ...]]] = {
    "lr_floor_above_peak": (
        (lambda: planned("gemma3-nano-rising"), lambda: planned("basic", schedule__floor=1e-3)),
        (lambda: planned("basic"), lambda: planned("basic/baseline"), lambda: planned("basic", schedule__floor=5e-4)),
    ),
    "lr_too_high": (
        (lambda: planned("basic", schedule__peak=0.05), lambda: logged_by_the_trainer(0.1)),
        (lambda: planned("basic", schedule__peak=0.01), lambda: planned("modern", schedule__peak=0.05),
         lambda: logged_by_the_trainer(5e-3), lambda: logged_by_the_trainer(0.1, log_format="csv")),
    ),
    "window_never_binds": (
        (lambda: planned("gemma3-270m-rising"), lambda: planned("gemma3-nano-rising", model__sliding_window=4096)),
        (lambda: planned("basic"), lambda: planned("gemma3-nano-rising", model__sliding_window=8)),
    ),
    "updates_lost_to_rounding": (
        (lambda: planned("gemma3-nano-rising"), lambda: planned("basic/baseline", compute__weights="bfloat16")),
        (lambda: planned("basic"), lambda: planned("basic", compute__weights="bfloat16", schedule__peak=0.01)),
    ),
    "among_its_kind": (
        (ended, lambda: ended(9.0), lambda: ended(2.0, parameters=4_000_000, tokens=4e5)),
        (lambda: ended(ruler="other"), lambda: ended(parameters=10**9), lambda: ended(tokens=1e9),
         lambda: ended(status="interrupted", rulers=None), lambda: ended(from_scratch=False)),
    ),
    "too_few_steps": (
        (lambda: planned("basic", steps=50), lambda: happened(status="finished", steps=100)),
        (lambda: planned("basic"), lambda: happened(status="finished", steps=200)),
    ),
    "eot_missing": (
        (lambda: planned("gemma3-nano-rising"), lambda: planned("basic", batch__end_of_text=False),
         lambda: happened(data={"end_of_text": False})),
        (lambda: planned("basic"), lambda: happened(data={"end_of_text": True}), lambda: happened()),
    ),
    "interrupted": (
        (lambda: happened(status="interrupted", steps=300), lambda: happened(status="failed", error="it broke"),
         lambda: happened(status="running")),
        (lambda: happened(status="finished"), lambda: happened()),
    ),
    "batch_skipped": (
        (lambda: happened({"event": "batch_skipped", "step": 40, "reason": "loss is not finite"}),),
        (lambda: happened({"event": "started", "step": 0}), lambda: happened()),
    ),
    "record_incomplete": (
        (lambda: happened({"event": "record_incomplete", "stream": "metrics", "step": 40, "missing_bytes": 900}),
         lambda: happened({"event": "record_incomplete", "stream": "samples", "step": 40, "last_step": 40})),
        (lambda: happened({"event": "resumed", "step": 40}), lambda: happened()),
    ),
    "rolled_back": (
        (lambda: happened({"event": "rolled_back", "step": 40, "to_step": 20}),),
        (lambda: happened({"event": "resumed", "step": 40}), lambda: happened()),
    ),
    "weights_unchanged": (
        (lambda: looked(unchanged=[0.2, 0.95]), lambda: looked(4, unchanged=[1.0, 1.0])),
        (looked, lambda: looked(2, unchanged=[1.0, 1.0]), lambda: looked(unchanged=[1.0, 1.0], grad_norm=[0.0, 0.0]),
         lambda: looked(unchanged=[0.5, 0.6]), lambda: happened()),
    ),
    "dead_units": (
        (lambda: looked(dead_units=[0.0, 1.0]), lambda: looked(4, dead_units=[0.95, 0.2])),
        (looked, lambda: looked(2, dead_units=[1.0, 1.0]), lambda: looked(dead_units=[0.7, 0.8])),
    ),
    "vanishing_gradient": (
        (lambda: looked(grad_norm=[1e-5, 0.4]), lambda: looked(grad_norm=[2.0, 0.0])),
        (looked, lambda: looked(2, grad_norm=[1e-5, 0.4]), lambda: looked(grad_norm=[0.01, 0.4]),
         lambda: looked(grad_norm=[None, 0.4])),
    ),
    "attention_logits_growing": (
        (lambda: looked(attention_logit=[4.0, 140.0]), lambda: looked(4, attention_logit=[900.0, 140.0]),
         lambda: looked(4, attention_logit=[1100.0, 2.0])),
        (looked, lambda: looked(2, attention_logit=[4.0, 140.0]), lambda: looked(attention_logit=[4.0, 90.0])),
    ),
    "updates_too_small": (
        (lambda: looked(4, update_ratio=[2e-6, 4e-6]), lambda: looked(4, update_ratio=[1e-3, 1e-9])),
        (looked, lambda: looked(2, update_ratio=[2e-6, 4e-6]), lambda: looked(4, update_ratio=[3e-5, 1e-4]),
         lambda: looked(4, update_ratio=[0.0, 0.0])),
    ),
    "updates_too_large": (
        (lambda: looked(update_ratio=[0.5, 0.01]), lambda: looked(4, update_ratio=[0.2, 2.0])),
        (looked, lambda: looked(2, update_ratio=[0.5, 0.5]), lambda: looked(update_ratio=[0.08, 0.09])),
    ),
    "prompt_drift": (
        (lambda: told(STORY.replace("boat", "ball")), lambda: told(STORY + " He sang. He sat. He slept.")),
        (told, lambda: told(STORY + " She sang. She sat. She slept."), lambda: told(" went.")),
    ),
    "repetition": (
        (lambda: told(STORY + " no no no no"), lambda: told(STORY + " and then the boat went home" * 2)),
        (told, lambda: told(STORY + " no no no"), lambda: told(STORY + " and then the boat went home")),
    ),
    "copying": (
        (lambda: told(copied_tokens=40), lambda: told(copied_tokens=50, validation_copied_tokens=30)),
        (told, lambda: told(copied_tokens=31), lambda: told(copied_tokens=40, validation_copied_tokens=30)),
    ),
    "inconsistency": (
        (lambda: told(STORY + " Then Tom laughed."), lambda: told(" named Lily. He" + STORY)),
        (told, lambda: told(STORY + " Then a boy named Tom laughed."), lambda: told(" named Lily. She" + STORY)),
    ),
}  # fmt: skip
"""Kind -> what shows it, and what does not."""
