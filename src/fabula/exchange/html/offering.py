"""A run's checkpoint as a model that a page offers."""

from pathlib import Path

from fabula.exchange.card import evaluation_rows, training_rows
from fabula.exchange.html.packing import pack_model, pack_tokenizer
from fabula.exchange.html.payload import Offered
from fabula.model.load import load_model
from fabula.recipe.counts import count_parameters
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import Run, read_run


def offer(run: Path, name: str, step: int | None = None) -> Offered:
    """The model of a run at `step` (default: its latest checkpoint), called `name` on the page.

    Raises InputError for a run that cannot be read, and for a model or tokenizer that a page cannot hold.
    """
    # Decided once: a run in training may have another latest checkpoint by the time that this one is read.
    step = max(checkpoint_steps(run), default=0) if step is None else step
    model, recipe, tokenizer = load_model(run, step)
    record = read_run(run)
    parameters = count_parameters(recipe.model, model.vocabulary).total
    packed = pack_model(model, recipe.batch.end_of_text)
    card = [
        ("recipe", recipe.name),
        ("seed", f"{record.info.get('seed', 'unknown')}"),
        *training_rows(recipe, record, step),
        *evaluation_rows(record, step),
        ("in this file", "each weight as one of 255 steps between its row's extremes (int8); sums in float32"),
    ]
    shown = {
        "name": name,
        "parameters": parameters,
        "context": recipe.model.context,
        "vocabulary": model.vocabulary,
        "step": step,
        "steps": recipe.steps,
        "checkpoints": [step],
        "loss": _loss(record, step),
        "card": card,
    }
    return Offered(packed, pack_tokenizer(tokenizer), shown, recipe.evaluation.prompts)


def _loss(record: Run, step: int) -> float | None:
    """Of the last evaluation of `step`, on the validation subset, in nats a token; None where it was not evaluated."""
    evals = record.evals
    if "val_loss_subset" not in evals:
        return None
    found = [float(value) for value in evals["val_loss_subset"][evals["step"] == step] if value == value]
    return found[-1] if found else None
