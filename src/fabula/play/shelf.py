"""The models that stand open: one to four, each at any of its run's checkpoints.

Weights are read when they are asked for and kept while there is room, so that a slider over checkpoints is quick the
second time.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch

from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.errors import InputError
from fabula.model.decode.generate import Prepared, prepared
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialization_seed, initialize
from fabula.model.load import load_trusted, move_to_gpu
from fabula.model.own import OwnModel, build_own
from fabula.play.page import MOST_MODELS
from fabula.play.training_stories import TrainingStories, training_stories_of
from fabula.recipe.schema import Recipe
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import is_run, read_info, read_run

ROOM = 2 << 30
"""Bytes of weights that are kept ready. The one in use is kept, whatever its size."""


@dataclass(frozen=True)
class Asked:
    """A model as the command line names it."""

    name: str
    run: Path
    step: int | None = None


@dataclass(frozen=True)
class Shown:
    """A model on the page."""

    id: str
    name: str
    run: Path
    recipe: Recipe
    tokenizer: Tokenizer
    step: int
    seed: int | None
    """Of the run, where step 0 is made from it."""
    parameters: int
    vocabulary: int
    losses: dict[int, float]
    """On the validation subset, in nats a token, by step."""
    info: dict[str, Any]
    training: TrainingStories | None

    @property
    def checkpoints(self) -> list[int]:
        """Steps whose weights can be had by now, ascending; 0 too, where the seed gives the first weights again."""
        return sorted({*checkpoint_steps(self.run), *([0] if self.seed is not None else [])})


class Shelf:
    """Models by their place, and their weights by step."""

    def __init__(
        self, asked: Sequence[Asked], trust: bool = False, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """`trust` and `say` as load_trusted has them. Raises InputError for too many, and for a run whose model cannot
        be read: all are read once."""
        if not 1 <= len(asked) <= MOST_MODELS:
            raise InputError(
                f"{len(asked)} models are named, and the page has room for {MOST_MODELS}; name one to {MOST_MODELS}"
            )
        self._ready: OrderedDict[tuple[Path, int], Prepared] = OrderedDict()
        self._lock = Lock()
        self._trust = trust
        self.models = [self._open(str(place), each, say) for place, each in enumerate(asked)]

    def model(self, id: str) -> Shown | None:
        return next((each for each in self.models if each.id == id), None)

    @property
    def one_tokenizer(self) -> bool:
        """Whether all have the same tokens, so that losses by the token stand beside each other."""
        return len({each.tokenizer.hash for each in self.models}) == 1

    def weights(self, shown: Shown, step: int) -> Prepared:
        """Raises InputError for a step without a checkpoint, and for a damaged one."""
        with self._lock:
            key = shown.run, step
            if key not in self._ready:
                self._keep(key, self._of_step(shown, step))
            self._ready.move_to_end(key)
            return self._ready[key]

    def _open(self, id: str, asked: Asked, say: Callable[[str], None]) -> Shown:
        # Decided once: a run in training may have another latest checkpoint by the time that this one is read.
        step = max(checkpoint_steps(asked.run), default=0) if asked.step is None else asked.step
        model, recipe, tokenizer = load_trusted(asked.run, step, self._trust, say)
        info = read_info(asked.run) if is_run(asked.run) else {}
        seed = info.get("seed") if "init_from" in info and info["init_from"] is None else None
        shown = Shown(
            id=id,
            name=asked.name,
            run=asked.run,
            recipe=recipe,
            tokenizer=tokenizer,
            step=step,
            seed=seed,
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            vocabulary=model.vocabulary,
            losses=_losses(asked.run),
            info=info,
            training=training_stories_of(info, tokenizer),
        )
        move_to_gpu(model)
        self._keep((asked.run, step), prepared(model, 1))
        return shown

    def _of_step(self, shown: Shown, step: int) -> Prepared:
        model: Decoder | OwnModel
        if step == 0 and shown.seed is not None and 0 not in checkpoint_steps(shown.run):
            model = _untrained(shown, shown.seed)
        else:
            model = load_trusted(shown.run, step, self._trust, lambda _: None)[0]
        move_to_gpu(model)
        return prepared(model, 1)

    def _keep(self, key: tuple[Path, int], weights: Prepared) -> None:
        self._ready[key] = weights
        while len(self._ready) > 1 and sum(map(_bytes_of, self._ready.values())) > ROOM:
            self._ready.popitem(last=False)


def _untrained(shown: Shown, seed: int) -> Decoder | OwnModel:
    """As the training began: rounded to the type of its weights."""
    model: Decoder | OwnModel
    if shown.recipe.own.model:
        model = build_own(shown.recipe, shown.vocabulary, initialization_seed(seed), torch.float32)
    else:
        model = Decoder(shown.recipe.model, shown.vocabulary)
    model.to(getattr(torch, shown.recipe.compute.weights))
    if isinstance(model, Decoder):
        initialize(model, shown.recipe.initialization, initialization_seed(seed))
    return model.float().eval()


def _bytes_of(weights: Prepared) -> int:
    """About: the prepared weights are a second copy of those of the layers."""
    return 2 * sum(each.numel() * each.element_size() for each in weights.model.parameters())


def _losses(run: Path) -> dict[int, float]:
    """For the page alone, so a record that cannot be read is no reason to leave the model shut."""
    try:
        evals = read_run(run).evals
    except InputError:
        return {}
    losses = evals.get("val_loss_subset", np.array([]))  # of all evaluations: the whole split is that of the ends alone
    return {int(step): float(loss) for step, loss in zip(evals["step"], losses, strict=False) if loss == loss}
