"""Small run folders and ladders as bytes, each file of them, written by the writers that a training uses."""

import gzip
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from harm.logs import Content

from fabula.recipe import load_recipe
from fabula.recipe.schedule import learning_rates
from fabula.recipe.toml import to_toml
from fabula.record.files import write_json
from fabula.record.writer import RunWriter

STEPS = 40
HASH = "c92115302fbb413b"


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def run_folder(random: Random) -> Content:
    """The files of one run below `run/`; now and then its lines are packed, as in an archive."""
    with _scratch() as place:
        write_run(place / "run", random)
        return _content(place, packed=random.random() < 0.2)


def ladder_folder(random: Random) -> Content:
    """Two phases with two seeds each below `ladder/`, and the plan."""
    phases = ("baseline", "packed")
    with _scratch() as place:
        for phase in phases:
            for seed in range(2):
                write_run(place / "ladder" / "runs" / "demo" / phase / f"seed-{seed}", random, f"demo/{phase}", seed)
        write_json(
            place / "ladder" / "ladder.json",
            {
                "format": 1,
                "name": "classic",
                "design": "path",
                "tiers": ["demo"],
                "seeds": 2,
                "scale": 1.0,
                "workers": 1,
                "phases": [
                    {"name": name, "change": f"with {name}", "includes": list(phases[: at + 1])}
                    for at, name in enumerate(phases)
                ],
                "command": "fabula ladder classic",
            },
        )
        return _content(place, packed=False)


def write_run(folder: Path, random: Random, name: str = "demo/packed", seed: int = 0) -> None:
    """A run of the built-in recipe `name` that ended well, or was stopped."""
    recipe = load_recipe(name).with_values(steps=STEPS, **{"model.vocabulary": 512, "evaluation.every": 10})
    status = random.choice(["finished", "finished", "finished", "interrupted", "failed"])
    last = STEPS if status == "finished" else random.randrange(1, STEPS)
    loss_of = lambda step: 2.0 + 4.2 * math.exp(-step / 9) + random.gauss(0, 0.03)  # noqa: E731
    info = _information(name, seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with RunWriter.create(folder, to_toml(recipe.as_tree()), "{}", info) as writer:
        writer.event(0, "started")
        rates = learning_rates(recipe)
        for step in range(last + 1):
            if step:
                writer.train(
                    step=step,
                    tokens=512 * step,
                    positions=512 * step,
                    loss=loss_of(step),
                    grad_norm=random.random(),
                    learning_rate=rates[step],
                    seconds=0.1 * step,
                    tokens_per_second=5e3,
                )
            if step % 10 == 0 or step == last:
                full = step in (0, last)
                losses = {
                    f"val_loss{kind}": loss_of(step)
                    for kind in (
                        "",
                        "_gpt2",
                        "_story",
                        "_subset",
                        *(("_at_128", "_gpt2_at_128", "_story_at_128") if full else ()),
                    )
                }
                writer.evaluation(
                    step=step,
                    tokens=512 * step,
                    positions=512 * step,
                    train_loss=loss_of(step),
                    **losses,
                    val_bits_per_byte=1.0,
                    full=full,
                    seconds=0.1 * step,
                    evaluation_seconds=0.5,
                )
                writer.sample(
                    step=step,
                    prompt="A fox",
                    completion="ran and ran. " * 12,
                    seed=0,
                    temperature=0.8,
                    top_p=0.9,
                    final=step == last,
                    tokens=40,
                    copied_tokens=9,
                    validation_copied_tokens=8,
                    prompt_words={"a": 0.9, "fox": 0.01},
                    names=["Tom"],
                )
                if step:
                    writer.internals(
                        step=step,
                        grad_norm=[0.1, 1e-9],
                        update_ratio=[0.01, 0.01],
                        unchanged=[0.0, 0.99],
                        dead_units=[0.5, 0.99],
                        attention_logit=[3.0, 400.0],
                        activation=[1.0, None],
                        memory_bytes=10**8,
                    )
        if status == "finished":
            for protocol in ("stream", "story"):
                tokens = [random.randrange(5, 60) for _ in range(12)]
                writer.stories(
                    step=last,
                    protocol=protocol,
                    split="validation",
                    ruler=HASH,
                    tokens=tokens,
                    nats=[2.0 * each + random.random() for each in tokens],
                )
        writer.event(last, status)
        writer.close(
            status, steps_done=last, timings={"training_seconds": 3.0, "total_seconds": 5.0, "waiting_seconds": None}
        )


def _information(name: str, seed: int) -> dict[str, Any]:
    return {
        "format": 1,
        "status": "running",
        "recipe": name,
        "init_from": None,
        "seed": seed,
        "steps": STEPS,
        "parameters": {"total": 100_000, "without_embeddings": 60_000},
        "data": {
            "path": "data/small",
            "source": "stories",
            "tokenizer": "bpe:512",
            "tokenizer_hash": HASH * 4,
            "text_hashes": {"train": HASH, "tune": HASH, "validation": HASH},
            "entropy_floor": 1.2,
            "end_of_text": True,
        },
        "rulers": dict.fromkeys(
            ("stream", "story", "stream_subset", "stream_at_128", "story_at_128", "train_sample"), HASH
        ),
        "layout": {"positions": 20480, "padding_share": 0.0, "truncated_share": 0.0, "epochs": 2.5},
        "device": "cpu",
        "threads": 1,
        "versions": {"fabula": "0.1.0", "torch": "2.13.0"},
        "choices": {"device": {"value": "cpu", "reason": "no other"}, "compile": {"value": "off", "reason": "short"}},
        "started": "2026-01-01T00:00:00+00:00",
    }


def _content(place: Path, packed: bool) -> Content:
    content = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    if packed:
        for name in [name for name in content if name.endswith(("metrics.jsonl", "evaluations.jsonl"))]:
            content[f"{name}.gz"] = gzip.compress(content.pop(name), 1)
    return content
