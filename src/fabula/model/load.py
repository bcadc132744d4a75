"""A run's model back from disk, for everything but training on."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fabula.data.tokenizers.tokenizer import Tokenizer, load_tokenizer
from fabula.errors import InputError
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel, build_own, other_source
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import read_toml
from fabula.record.checkpoint import Checkpoint, checkpoint_steps, read_checkpoint
from fabula.record.reader import is_of_others, is_run, read_info, read_recipe_toml, read_run

_OF_TWO_MODELS = "they belong to different models"


def load_model(
    run: Path, step: int | None = None, compute_dtype: torch.dtype | None = None
) -> tuple[Decoder, Recipe, Tokenizer]:
    """Model, recipe and tokenizer of a run folder at `step` (default: the latest checkpoint), on the CPU.

    Weights come as float32 whatever they were stored in; products run in `compute_dtype`, float32 by default.
    Raises InputError for a folder without a checkpoint, a damaged file, weights that belong to another recipe, or a
    model of its maker's own.
    """
    checkpoint, recipe = _opened(Path(run), step)
    if recipe.own.model:
        raise InputError(
            f"{run} has a model of its maker's own ({recipe.own.model}): its code is not here, and none is run "
            "because a folder names it; if it is yours, or you have read it, `fabula generate`, `evaluate` and `play` "
            "run it with --trust, and `fabula.load` with trust=True"
        )
    return _decoder(Path(run), checkpoint, recipe, compute_dtype)


def load_trusted(
    run: Path, step: int | None, trust: bool, say: Callable[[str], None]
) -> tuple[Decoder | OwnModel, Recipe, Tokenizer]:
    """As load_model; with `trust` also a model of its maker's own, whose code is run. `say` hears where that code is
    not what it was.

    Raises InputError also where it is not there, and where it makes another model than the weights are of.
    """
    checkpoint, recipe = _opened(Path(run), step)
    if not (trust and recipe.own.model):
        return load_model(run, step)
    tokenizer, vocabulary = _tokens(Path(run), recipe)
    model = build_own(recipe, vocabulary, seed=0, compute_dtype=torch.float32)
    if said := other_source(recipe, read_info(Path(run))):
        say(said)
    model.load_state_dict(weights_for(checkpoint.model, model))
    return model.eval(), recipe, tokenizer


def _opened(run: Path, step: int | None) -> tuple[Checkpoint, Recipe]:
    """A checkpoint of a run folder, and the run's recipe."""
    if not run.exists():
        raise InputError(f"{run} does not exist; give the folder of a run, as `fabula train` writes them")
    if is_run(run) and is_of_others(run):
        raise InputError(
            f"{run} was recorded by a loop that is not fabula's, and holds no model; load it as that loop does"
        )
    if not (run / "recipe.toml").is_file():
        raise InputError(f"{run} is not a run folder: it has no recipe.toml; `fabula train` writes run folders")
    if not (run / "checkpoints").exists() and ((run / "config.json").is_file() or (run / "model.gguf").is_file()):
        raise InputError(f"{run} is an exported model; give the folder of the run that it came from")
    checkpoint = read_checkpoint(run, step, only="model.safetensors")  # whoever does not train on needs no optimizer
    if is_run(run):
        read_recipe_toml(run, read_info(run))
    tree = read_toml(run / "recipe.toml")
    try:
        recipe = Recipe.from_tree(tree)
    except InputError as error:
        raise InputError(f"{run / 'recipe.toml'}: {error}") from error
    return checkpoint, recipe


def _tokens(run: Path, recipe: Recipe) -> tuple[Tokenizer, int]:
    """The run's tokenizer, and the rows of its model's embedding."""
    tokenizer = load_tokenizer(run / "tokenizer.json")
    vocabulary = recipe.model.vocabulary or tokenizer.vocabulary
    if vocabulary < tokenizer.vocabulary:
        raise InputError(
            f"{run / 'recipe.toml'} gives the embedding {vocabulary:,} rows, but tokenizer.json beside it has "
            f"{tokenizer.vocabulary:,} tokens; the two are of different runs"
        )
    return tokenizer, vocabulary


def _decoder(
    run: Path, checkpoint: Checkpoint, recipe: Recipe, compute_dtype: torch.dtype | None
) -> tuple[Decoder, Recipe, Tokenizer]:
    tokenizer, vocabulary = _tokens(run, recipe)
    weights = read_weights(checkpoint.model)
    # First, because a decoder of a hundred million layers fills the memory even without weights.
    if (last := f"layers.{recipe.model.layers - 1}.attention.qkv.weight") not in weights:
        raise InputError(f"{checkpoint.model} has no {last}, which {run / 'recipe.toml'} asks for; {_OF_TWO_MODELS}")
    with torch.device("meta"):
        model = Decoder(recipe.model, vocabulary, compute_dtype or torch.float32)
    put_weights(model, weights, f"{checkpoint.model}", f"{run / 'recipe.toml'}")
    return model.eval(), recipe, tokenizer


def best_step(run: Path) -> int:
    """The step with the lowest loss on the validation subset among those that still have a checkpoint.

    Raises InputError when the run has no such evaluation.
    """
    return best_steps(run)[0]


def best_steps(run: Path) -> list[int]:
    """The steps that have a checkpoint and an evaluation, the lowest loss first. Raises InputError where none has."""
    evals = read_run(run).evals
    steps = checkpoint_steps(run)
    losses = evals.get("val_loss_subset", np.array([]))
    # Of a step that was made twice, after a rollback, the later evaluation is that of the checkpoint.
    at = {int(step): float(loss) for loss, step in zip(losses, evals["step"], strict=False) if int(step) in steps}
    scored = sorted((loss, step) for step, loss in at.items() if np.isfinite(loss))
    if not scored:
        raise InputError(f"{run} has no checkpoint with an evaluation, so there is no best one; leave out --best")
    return [step for _, step in scored]


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises InputError when it is missing, cut short or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError: torch may open no further file
        raise InputError(f"{path} cannot be read ({error})", "it is missing, cut short or damaged") from error


def weights_for(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises InputError when a name of `model` is missing or one is left over, or a
    shape differs."""
    stored = read_weights(path)
    expected = model.state_dict()
    different = [name for name in expected if name not in stored or stored[name].shape != expected[name].shape]
    if different or len(stored) != len(expected):
        name = different[0] if different else next(name for name in stored if name not in expected)
        raise InputError(f"{path} does not fit this recipe (first difference: {name})", "it belongs to another one")
    return stored


def put_weights(model: Decoder, weights: Mapping[str, Tensor], file: str, shape_file: str) -> None:
    """Fill `model` (which may be on the meta device) with `weights`, as float32.

    Raises InputError when a name is missing or left over, or a shape differs from what `shape_file` says.
    """
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for name, shape in expected.items():
        if name not in weights:
            raise InputError(f"{file} has no {name}, which {shape_file} asks for; {_OF_TWO_MODELS}")
        if weights[name].shape != shape:
            raise InputError(
                f"{shape_file} asks for {name} of shape {tuple(shape)}, but {file} has {tuple(weights[name].shape)}; "
                f"{_OF_TWO_MODELS}"
            )
    unknown = sorted(set(weights) - set(expected))
    if unknown:
        raise InputError(f"{file} has a tensor {unknown[0]} that {shape_file} does not know; {_OF_TWO_MODELS}")
    model.load_state_dict({name: weights[name].float() for name in expected}, strict=True, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def move_to_gpu(model: nn.Module) -> None:
    """Move `model` to the CUDA device where there is one."""
    if torch.cuda.is_available():
        model.cuda()
