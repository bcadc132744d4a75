"""A model of the user's own: `own.model = "module:function"` of a recipe, called as function(recipe, vocabulary).

What it returns is a torch module that makes logits (B, T, V) of tokens (B, T). Its forward may take targets as well and
return a loss beside the logits, as nanoGPT's does, and may then leave out logits where it is given none: it is given
some, and its loss is not used, so that every model is measured by the same one.

Importing such a module runs whatever stands in it. So only training does so, and what is told to trust a run; nothing
else that reads a run folder.

Shapes: B batch, T time, V vocabulary.
"""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fabula.errors import InputError
from fabula.model.loss import IGNORE
from fabula.recipe.schema import Model, Recipe

TokenLosses = Callable[[Tensor, Tensor], Tensor]


class OwnModel(nn.Module):
    """A module of the user's, with what training asks of a model."""

    head = None
    """Which weight is the output head is not known, so none has a learning rate of its own."""

    def __init__(self, inner: nn.Module, shape: Model, vocabulary: int, compute_dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.shape, self.vocabulary, self.compute_dtype = inner, shape, vocabulary, compute_dtype
        self._targets = _how_targets_are_given(inner)

    @property
    def device(self) -> torch.device:
        return next(self.inner.parameters()).device

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits (B, T, V), float32. Products run in the recipe's precision."""
        with torch.autocast(tokens_BT.device.type, self.compute_dtype, enabled=self.compute_dtype != torch.float32):
            if self._targets == "by name":
                out = self.inner(tokens_BT, targets=tokens_BT)
            else:
                out = self.inner(tokens_BT, *([tokens_BT] if self._targets == "second" else []))
        out = out if isinstance(out, Tensor) else getattr(out, "logits", out)
        logits = out if isinstance(out, Tensor) else next((each for each in out if getattr(each, "ndim", 0) == 3), None)
        if logits is None or logits.ndim != 3 or logits.shape[:2] != tokens_BT.shape:
            found = "none" if logits is None else tuple(logits.shape)
            raise InputError(
                f"own.model: of tokens {tuple(tokens_BT.shape)} it makes logits {found}; they have to be (batch, time, "
                "vocabulary), of every place"
            )
        return logits.float()

    def token_losses(self, inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """-log p of each target (B, T), in nats; 0 where it is IGNORE."""
        logits_BTV = self(inputs_BT)
        flat = F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=IGNORE, reduction="none")
        return flat.view_as(targets_BT)


def _how_targets_are_given(inner: nn.Module) -> Literal["by name", "second", "not"]:
    """By its forward: (tokens, targets), whatever may be left out between or behind them, or two that it needs."""
    forward = inspect.signature(inner.forward).parameters
    targets = forward.get("targets")
    by_place = [each for each in forward.values() if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = [each for each in by_place if each.default is each.empty]
    if targets is not None and targets.kind in (targets.POSITIONAL_OR_KEYWORD, targets.KEYWORD_ONLY):
        return "second" if [each for each in needed[1:] if each is not targets] else "by name"
    return "second" if len(needed) > 1 or targets in by_place else "not"


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Without dropout; then each module is in the mode that it was in."""
    before = [(each, each.training) for each in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for each, training in before:
            each.training = training


def scored_without_dropout(model: nn.Module, token_losses: TokenLosses) -> TokenLosses:
    """`token_losses` of a model that is being trained."""

    def losses(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        with evaluating(model):
            return token_losses(inputs_BT, targets_BT)

    return losses


def build_own(recipe: Recipe, vocabulary: int, seed: int, compute_dtype: torch.dtype) -> OwnModel:
    """The model that the recipe names; the same `seed` gives the same weights. Raises InputError where there is no such
    function, and where it makes no module."""
    build = function_named(recipe.own.model, "own.model")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inner = build(recipe, vocabulary)
    if not isinstance(inner, nn.Module):
        raise InputError(f"own.model: {recipe.own.model} returns {type(inner).__name__}, not a torch.nn.Module")
    return OwnModel(inner, recipe.model, vocabulary, compute_dtype)


def function_named(name: str, field: str) -> Callable[..., Any]:
    """The function `module:function`, of a module in the current folder or wherever Python finds one. Raises InputError
    where it is not there or its module cannot be imported."""
    module_name, _, function_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise InputError(
            f"{field}: the module {module_name} cannot be imported ({error}); put it here or on PYTHONPATH"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise InputError(f"{field}: the module {module_name} has no function {function_name}")
    return function


def sources(recipe: Recipe) -> dict[str, dict[str, str]]:
    """For the record: of each thing of the user's own its name, and the hash of the file that it stands in."""
    return {field: _source(name, f"own.{field}") for field, name in recipe.own.named().items()}


def other_source(recipe: Recipe, info: Mapping[str, Any]) -> str:
    """What is to be said where the model's code is not that of the run whose run.json holds `info`; else nothing."""
    if (info.get("own") or {}).get("model", {}).get("sha256") == _source(recipe.own.model, "own.model")["sha256"]:
        return ""
    return f"the file of {recipe.own.model} is not the one that the run was made with: it may be another model now"


def _source(name: str, field: str) -> dict[str, str]:
    file = _source_of(function_named(name, field))
    return {"name": name, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "unknown"}


def _source_of(function: Callable[..., Any]) -> str | None:
    """The file of what is called in the end: also behind decorators, functools.partial and objects."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    try:
        is_object = not inspect.isroutine(function) and not inspect.isclass(function)
        return inspect.getsourcefile(type(function) if is_object else function)
    except TypeError:  # built in
        return None


def num_without_embeddings(model: nn.Module) -> int:
    """Trainable numbers outside tables of embeddings (and outside a head that is tied to one)."""
    tables = {each.weight for each in model.modules() if isinstance(each, nn.Embedding)}
    return sum(each.numel() for each in model.parameters() if each not in tables)
