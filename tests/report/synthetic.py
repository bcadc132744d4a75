"""Run folders and ladders that look like real ones, made in a moment: the reading wing is tested without training."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from fabula.recipe.counts import count_parameters
from fabula.recipe.ladder import Ladder, load_ladder
from fabula.recipe.schedule import learning_rates
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.files import write_json
from fabula.record.writer import json_line

PROMPTS = (
    "A boy told his sister a bedtime story about a flying cat",
    "The kingdom was at war, and a brave knight",
    "A pirate ship sailed",
)
START = {"baseline": 123.7, "init": 10.84, "cosine": 10.86, "packed": 10.84}
END = {"baseline": 5.72, "init": 3.88, "cosine": 3.79, "packed": 2.89}
TAILS = {
    "baseline": " the the a was. and to <b>the</b> | the, was the a to and.",
    "init": ' and the cat was very happy. The cat said, "I am not a little girl."',
    "cosine": " named Tim. Tim liked to play with the cat. One day, the cat saw a big tree.",
    "packed": '.\n\nThe cat flew over the garden, and his sister laughed.\n"Can we go too?" she asked. They smiled.',
}


def write_run(
    folder: Path,
    recipe: Recipe,
    seed: int = 0,
    *,
    start: float = 10.84,
    end: float = 3.0,
    status: str = "finished",
    stop_at: int | None = None,
    bump: tuple[int, int, float] | None = None,
    nan_at: int | None = None,
    floor: float | None = None,
    story_end: float | None = None,
    tail: str = " and they lived happily.",
    rulers: str = "a",
    every: int | None = None,
) -> None:
    """One run folder. `bump` = (first, last, height) lifts the loss there; `nan_at` makes it NaN from there on."""
    random = np.random.default_rng(seed * 7919 + sum(map(ord, recipe.name)))
    steps = recipe.steps
    last = stop_at or steps
    every = every or recipe.evaluation.every
    shift = 0.01 * random.standard_normal()

    def level(step: np.ndarray) -> np.ndarray:
        fall = np.exp(-np.asarray(step, dtype=float) / (0.06 * steps))
        slow = np.exp(-np.asarray(step, dtype=float) / (0.5 * steps))
        value = end + shift + (start - end - 1.5) * fall + 1.5 * (slow - math.exp(-2)) / (1 - math.exp(-2))
        if bump is not None:
            first, final, height = bump
            inside = (step >= first) & (step <= final)
            value = value + np.where(inside, height * np.sin(np.pi * (step - first + 1) / (final - first + 2)), 0.0)
        return value

    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(to_toml(recipe.as_tree()))
    (folder / "tokenizer.json").write_text("{}")
    rows = np.arange(1, last + 1)
    losses = level(rows) + 0.12 * random.standard_normal(last)
    norms = 0.3 + 1.5 * np.exp(-rows / (0.03 * steps)) + 0.05 * np.abs(random.standard_normal(last))
    if bump is not None:
        norms = norms + np.where((rows >= bump[0]) & (rows <= bump[1]), 3.0, 0.0)
    rates = learning_rates(recipe)
    positions = recipe.positions_per_step
    packed = recipe.batch.layout == "packed"
    tokens = positions if packed else int(positions * 0.86)
    evaluated = [step for step in range(last + 1) if step % every == 0 or step == steps]
    with open(folder / "metrics.jsonl", "w") as file:
        file.write(json_line({"kind": "event", "step": 0, "event": "started"}))
        done = 0
        for step in evaluated:
            for index in range(done, step):
                value = float(losses[index]) if nan_at is None or index + 1 < nan_at else math.nan
                file.write(
                    json_line(
                        {
                            "kind": "train",
                            "step": index + 1,
                            "tokens": tokens * (index + 1),
                            "positions": positions * (index + 1),
                            "loss": value,
                            "grad_norm": float(norms[index]),
                            "learning_rate": rates[index + 1],
                            "seconds": 0.02 * (index + 1),
                            "tokens_per_second": tokens / 0.02,
                        }
                    )
                )
            done = step
            value = float(level(np.array([step]))[0]) + 0.004 * float(random.standard_normal())
            if nan_at is not None and step >= nan_at:
                value = math.nan
            full = step in (0, steps)
            line: dict[str, Any] = {
                "kind": "eval",
                "step": step,
                "tokens": tokens * step,
                "positions": positions * step,
                "train_loss": value - 0.02,
                "val_loss_subset": value,
                "val_loss": value + (0.015 if full else 0.0),
                "val_loss_gpt2": value,
                "val_bits_per_byte": value / math.log(2) / 4.05,
                "val_loss_story": value + 0.1 + (0.0 if story_end is None or not full else story_end - end),
                "full": full,
                "seconds": 0.02 * step,
                "evaluation_seconds": 0.5,
            }
            if full:
                line |= {
                    "val_loss_at_128": value + 0.015,
                    "val_loss_gpt2_at_128": value,
                    "val_loss_story_at_128": value,
                }
            file.write(json_line(line))
        if status == "finished":
            file.write(json_line({"kind": "event", "step": steps, "event": "finished"}))
    with open(folder / "samples.jsonl", "w") as file:
        for step in evaluated:
            for prompt in PROMPTS if step == steps else PROMPTS[:1]:
                file.write(
                    json_line(
                        {
                            "step": step,
                            "prompt": prompt,
                            "completion": tail,
                            "seed": seed,
                            "temperature": 0.8,
                            "top_p": 0.95,
                            "final": step == steps,
                        }
                    )
                )
    counts = count_parameters(recipe.model, recipe.vocabulary)
    names = ("stream", "stream_subset", "story", "stream_at_128", "story_at_128", "train_sample")
    write_json(
        folder / "run.json",
        {
            "format": 1,
            "status": status,
            "recipe": recipe.name,
            "seed": seed,
            "steps": steps,
            "parameters": {"total": counts.total, "without_embeddings": counts.without_embeddings},
            "data": {
                "path": "D",
                "tokenizer": recipe.tokenizer,
                "tokenizer_hash": "t" * 16,
                "text_hashes": {"train": "1" * 64, "validation": "2" * 64},
                "entropy_floor": floor,
            },
            "rulers": {name: (rulers + name)[:1] + "0" * 15 for name in names},
            "layout": {
                "positions": positions * steps,
                "padding_share": 0.0 if packed else 0.1432,
                "truncated_share": 0.0 if packed else 0.412,
                "distinct_story_tokens": tokens * steps,
                "epochs": tokens * steps / 4.0e6,
            },
            "choices": {
                "device": {"value": "cpu", "reason": "no CUDA device and no MPS"},
                "precision": {"value": "float32", "reason": "this processor does not multiply bfloat16 natively"},
            },
            "device": "cpu",
            "threads": 2,
            "versions": {"fabula": "0.1.0", "python": "3.11.4", "torch": "2.13.0+cpu"},
            "timings": {
                "training_seconds": 0.02 * last,
                "evaluation_seconds": 0.5 * len(evaluated),
                "compile_seconds": 0.0,
                "total_seconds": 0.02 * last + 0.5 * len(evaluated),
            },
        },
    )
    if status == "finished" and evaluated[-1] == steps and math.isfinite(line["val_loss"]):
        write_stories(folder, line, seed)


def _end(has: list[str]) -> float:
    """Final loss of a recipe off the path: the changes add up."""
    return END["baseline"] - 1.8 * ("init" in has) - 0.1 * ("cosine" in has) - 0.9 * ("packed" in has)


def write_stories(folder: Path, line: dict[str, Any], seed: int) -> None:
    """A final evaluation story by story: 200 stories of unequal difficulty, which add up to its losses."""
    random = np.random.default_rng(7)  # the same stories for every run
    tokens = random.integers(50, 400, 200)
    hard = random.normal(0, 0.3, 200) + np.random.default_rng(seed).normal(0, 0.01, 200)
    with open(folder / "evaluations.jsonl", "w") as file:
        for protocol, column in (("stream", "val_loss"), ("story", "val_loss_story")):
            nats = tokens * (line[column] + hard - (tokens * hard).sum() / tokens.sum())
            fields = {"kind": "stories", "step": line["step"], "protocol": protocol, "split": "validation"}
            ruler = json.loads((folder / "run.json").read_text())["rulers"][protocol]
            file.write(json_line({**fields, "ruler": ruler, "tokens": tokens.tolist(), "nats": nats.round(4).tolist()}))


def write_ladder(
    folder: Path,
    tiers: tuple[str, ...] = ("basic",),
    seeds: int = 3,
    scale: float = 0.02,
    leave_out: tuple[tuple[str, str, int], ...] = (),
    ladder: Ladder | None = None,
    **of_phase: dict[str, Any],
) -> Path:
    """A whole ladder folder. `of_phase` overrides the arguments of `write_run` for a phase (PHASE=...) or a single
    run (PHASE_SEED=...)."""
    ladder = ladder or load_ladder("classic")
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "format": 1,
        "name": ladder.name,
        "design": ladder.design,
        "tiers": list(tiers),
        "phases": [
            {"name": cell.name, "change": cell.change, "includes": [phase.name for phase in cell.phases]}
            for cell in ladder.cells
        ],
        "seeds": seeds,
        "scale": scale,
        "command": "fabula ladder classic --data D --out L",
    }
    (folder / "ladder.json").write_text(json.dumps(plan))
    for tier in tiers:
        for phase in ladder.cells:
            recipe = ladder.recipe(tier, phase.name, scale)
            better = {"basic": 0.0, "mid": 0.25, "quality": 0.9}.get(tier, 0.0)
            worse = {"basic": 1.0, "mid": 1.5, "quality": 3.0}.get(tier, 1.0)
            for seed in range(seeds):
                if (tier, phase.name, seed) in leave_out:
                    continue
                has = [each.name for each in phase.phases]
                plain = "init" not in has and "baseline" in has
                arguments: dict[str, Any] = {
                    "start": START["baseline" if plain else "init"] * (worse if plain else 1.0),
                    "end": END.get(phase.name, _end(has)) - better,
                    "tail": TAILS.get(phase.name, " and they lived."),
                }
                arguments |= of_phase.get(phase.name, {}) | of_phase.get(f"{phase.name}_{seed}", {})
                write_run(folder / "runs" / tier / phase.name / f"seed-{seed}", recipe, seed, **arguments)
    return folder
