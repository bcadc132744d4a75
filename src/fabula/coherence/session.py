"""One evaluation of a run: completions of prompt sets with their measures, as lines of RUN/evaluations.jsonl."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fabula import __version__
from fabula.coherence.by_position import loss_by_position
from fabula.coherence.completing import Completion, Settings, completions_of, human
from fabula.coherence.distance import distances
from fabula.coherence.measures.story import Measures
from fabula.coherence.measuring import Against
from fabula.coherence.prompts.sets import VALIDATION_STORIES, PromptSet, of_validation
from fabula.coherence.stories import Told
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.model.load import load_trusted, move_to_gpu
from fabula.record.checkpoint import read_checkpoint
from fabula.record.files import sha256_of
from fabula.record.lock import only_writer
from fabula.record.sessions.evaluations import append_lines, refuse_packed
from fabula.record.writer import json_line

HUMAN_STORIES = 3 * VALIDATION_STORIES
"""How human stories differ is then known to within a sixteenth of itself."""


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
    held_against: Against,
    told: Callable[[str, int, int], None] = lambda *_: None,
    trust: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Evaluated:
    """Complete each prompt of `sets`, measure what comes, and append it to the run's evaluations.jsonl.

    `told` hears of a set, how many completions it will have, and how many more are made. Raises InputError while the
    run is being trained, and for a run without a checkpoint at `step` (default: the latest). `trust` and `say` as
    load_trusted has them.
    """
    with only_writer(run):
        refuse_packed(run)
        model, recipe, tokenizer = load_trusted(run, step, trust, say)
        checkpoint = read_checkpoint(run, step, only="model.safetensors")
        move_to_gpu(model)
        session: dict[str, Any] = {
            "step": checkpoint.step,
            "settings": asdict(settings),
            "prompt_sets": {each.name: {"hash": each.hash, "prompts": len(each.prompts)} for each in sets},
            "hashes": {
                "model": sha256_of(checkpoint.model),
                "tokenizer": tokenizer.hash,
                "data": held_against.known.data.hash if held_against.known else None,
            },
            "versions": {"fabula": __version__, "torch": torch.__version__},
            "device": str(model.device),
            "began": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        name = hashlib.sha256(json.dumps(session, sort_keys=True).encode()).hexdigest()[:16]
        made: list[tuple[PromptSet, Completion]] = []
        for each in sets:
            count = partial(told, each.name, len(each.prompts) * settings.samples)
            completed = completions_of(model, recipe, tokenizer, each.prompts, settings, count)
            made += [(each, one) for one in completed]
        lines = _lines({"session": name, "step": checkpoint.step}, made, held_against)
        summary = _summary(lines, _reference(tokenizer, settings, held_against))
        session["consistency"] = held_against.consistency.fitted_on
        session["summary"] = summary
        told_by_humans = [prompt for each in sets for prompt in each.prompts]
        session["loss_by_position"] = loss_by_position(model, tokenizer, told_by_humans)
        session = {"kind": "session", "session": name, **session}
        append_lines(run, map(json_line, [*lines, session]))
    return Evaluated(session, lines)


def _lines(
    begin: dict[str, Any], made: Sequence[tuple[PromptSet, Completion]], held_against: Against
) -> list[dict[str, Any]]:
    """The lines of the completions, with their measures."""
    measures = held_against.measured(
        [Told(one.text, of.prompts[one.number].text) for of, one in made],
        [one.ended for _, one in made],
        [one.number for _, one in made],
        [(of.name, one.seed) for of, one in made],
    )
    known = held_against.known
    copied = known.copied_places([one.text for _, one in made]) if known else []
    places = [{"copied": each} for each in copied] if known else [{} for _ in made]
    return [
        {
            "kind": "completion",
            **begin,
            "prompt_set": of.name,
            "number": one.number,
            "asks": of.prompts[one.number].asks,
            "prompt": of.prompts[one.number].text,
            "human": one.human,
            "seed": one.seed,
            "text": one.text,
            "tokens": one.tokens,
            "ended": one.ended,
            "measures": {name: value if value is None else float(f"{value:.7g}") for name, value in measured.items()},
            **place,
        }
        for (of, one), measured, place in zip(made, measures, places, strict=True)
    ]


def _reference(tokenizer: Tokenizer, settings: Settings, held_against: Against) -> list[Measures]:
    """Human continuations of validation stories, cut as a model's are; none without the stories."""
    if held_against.known is None:
        return []
    prompts = of_validation(held_against.known.data, VALIDATION_STORIES + HUMAN_STORIES)
    prompts = prompts[VALIDATION_STORIES:] or prompts  # the first ones are prompts, and held against the others
    made = [human(tokenizer, prompt.continuation or "", at, settings.tokens) for at, prompt in enumerate(prompts)]
    return held_against.measured(
        [Told(one.text, prompt.text) for one, prompt in zip(made, prompts, strict=True)],
        [one.ended for one in made],
        list(range(len(made))),
        [at // VALIDATION_STORIES for at in range(len(made))],
    )


def _summary(lines: Sequence[dict[str, Any]], reference: Sequence[Measures]) -> dict[str, Any]:
    """Of each prompt set: how far its completions are from human stories, and (`human`) how far the true continuations
    of its prompts are, for chance alone."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(line["prompt_set"] for line in lines):
        of_set = [line for line in lines if line["prompt_set"] == name]
        sides = {
            side: distances(
                [(line["number"], line["measures"]) for line in of_set if line["human"] == (side == "human")], reference
            )
            for side in ("model", "human")
        }
        found[name] = {side: asdict(each) for side, each in sides.items() if each is not None}
    return found
