"""Run folders with random weights, without training."""

from pathlib import Path

from safetensors.torch import save_file

from fabula.data.tokenizers.bpe import byte_level_json
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import to_toml
from fabula.record.checkpoint import write_checkpoint

BYTES = {bytes([byte]): byte for byte in range(256)}


def write_run(folder: Path, recipe: Recipe, steps: tuple[int, ...] = (10,)) -> dict[int, Decoder]:
    """A run folder as training leaves it, with random weights at each of `steps`."""
    folder.mkdir()
    (folder / "recipe.toml").write_text(to_toml(recipe.as_tree()))
    (folder / "tokenizer.json").write_text(byte_level_json(BYTES, 256))
    (folder / "run.json").write_text('{"status": "finished"}')
    models = {}
    for step in steps:
        models[step] = model = Decoder(recipe.model, recipe.model.vocabulary or 257)
        initialize(model, recipe.initialization, seed=step)
        weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        write_checkpoint(
            folder, step, {"model.safetensors": lambda path, weights=weights: save_file(weights, path)}, {}
        )
    return models
