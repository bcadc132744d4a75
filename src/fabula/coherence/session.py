"""One evaluation of a run: completions of prompt sets with their measures, as lines of RUN/evaluations.jsonl."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from fabula import __version__
from fabula.coherence.completing import Settings, completions_of
from fabula.coherence.measures.story import measures_of
from fabula.coherence.prompts.sets import PromptSet
from fabula.data.dataset import Dataset
from fabula.model.load import load_model, move_to_gpu
from fabula.record.checkpoint import read_checkpoint
from fabula.record.evaluations import append_lines, refuse_packed
from fabula.record.files import sha256_of
from fabula.record.lock import only_writer
from fabula.record.writer import json_line


@dataclass(frozen=True)
class Evaluated:
    """What was appended: the line of the session, and the lines of its completions."""

    session: dict[str, Any]
    completions: list[dict[str, Any]]


def evaluate_run(
    run: Path,
    step: int | None,
    sets: Sequence[PromptSet],
    settings: Settings,
    data: Dataset | None = None,
    told: Callable[[str, int, int], None] = lambda *_: None,
) -> Evaluated:
    """Complete each prompt of `sets`, measure what comes, and append it to the run's evaluations.jsonl.

    `told` hears how many of how many completions of a set are made. Raises InputError while the run is being trained,
    and for a run without a checkpoint at `step` (default: the latest).
    """
    with only_writer(run):
        refuse_packed(run)
        model, recipe, tokenizer = load_model(run, step)
        checkpoint = read_checkpoint(run, step, only="model.safetensors")
        move_to_gpu(model)
        session: dict[str, Any] = {
            "step": checkpoint.step,
            "settings": asdict(settings),
            "prompt_sets": {each.name: {"hash": each.hash, "prompts": len(each.prompts)} for each in sets},
            "hashes": {
                "model": sha256_of(checkpoint.model),
                "tokenizer": tokenizer.hash,
                "data": data.hash if data else None,
            },
            "versions": {"fabula": __version__, "torch": torch.__version__},
            "device": str(model.embedding.weight.device),
            "began": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        name = hashlib.sha256(json.dumps(session, sort_keys=True).encode()).hexdigest()[:16]
        lines: list[dict[str, Any]] = []
        for each in sets:
            made = 0
            total = len(each.prompts) * settings.samples

            def count(more: int, name: str = each.name, total: int = total) -> None:
                nonlocal made
                made += more
                told(name, made, total)

            for one in completions_of(model, recipe, tokenizer, each.prompts, settings, count):
                prompt = each.prompts[one.number]
                lines.append(
                    {
                        "kind": "completion",
                        "session": name,
                        "step": checkpoint.step,
                        "prompt_set": each.name,
                        "number": one.number,
                        "asks": prompt.asks,
                        "prompt": prompt.text,
                        "human": one.human,
                        "seed": one.seed,
                        "text": one.text,
                        "tokens": one.tokens,
                        "ended": one.ended,
                        "measures": measures_of(prompt.text, one.text, one.ended),
                    }
                )
        session = {"kind": "session", "session": name, **session}
        append_lines(run, map(json_line, [*lines, session]))
    return Evaluated(session, lines)
