"""`export --to hf`: a run as a folder that transformers, vLLM and everything else in that ecosystem loads.

OUT/{config.json, generation_config.json, model.safetensors, tokenizer.json, tokenizer_config.json, README.md,
     recipe.toml}
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.errors import InputError
from fabula.exchange.architectures import Counterpart, find_counterpart
from fabula.exchange.card import model_card
from fabula.exchange.weights import hf_config, hf_weights
from fabula.model.decoder import Decoder
from fabula.model.load import load_model
from fabula.recipe.schema import Recipe
from fabula.record.checkpoint import read_checkpoint
from fabula.record.files import whole_folder, write_json, write_text
from fabula.record.lock import only_writer
from fabula.record.reader import read_run


@dataclass(frozen=True)
class Exported:
    """What was written, for the last lines of the command."""

    folder: Path
    architecture: str
    """As the program that will read it calls it."""
    counterpart: Counterpart
    step: int
    num_bytes: int


@dataclass(frozen=True)
class ExportSource:
    """A checkpoint on its way out."""

    run: Path
    step: int
    model: Decoder
    recipe: Recipe
    tokenizer: Tokenizer
    counterpart: Counterpart


def read_source(run: Path, step: int | None, out: Path) -> ExportSource:
    """Load what is to be exported.

    Raises InputError for an `out` that holds something, for a run that cannot be read, and for a shape without a
    counterpart.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} already exists and is not empty; choose another --out")
    model, recipe, tokenizer = load_model(run, step)
    return ExportSource(
        run,
        read_checkpoint(run, step, only="model.safetensors").step,
        model,
        recipe,
        tokenizer,
        find_counterpart(recipe.model),
    )


def export_hf(run: Path, out: Path, step: int | None = None) -> Exported:
    """Write the Hugging Face folder of a run at `step` (default: its latest checkpoint); whole or not at all.

    Raises InputError as `read_source` does, and while another process writes `out`.
    """
    source = read_source(run, step, out)
    config, weights = as_hf(source)
    record = read_run(run)
    card = model_card(source.recipe, source.model.vocabulary, record, source.step, source.counterpart)
    with only_writer(out), whole_folder(out) as folder:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        write_json(folder / "config.json", config)
        eot = source.tokenizer.eot
        write_json(folder / "generation_config.json", {"bos_token_id": eot, "eos_token_id": eot, "pad_token_id": eot})
        write_tokenizer(source, folder)
        write_text(folder / "recipe.toml", record.recipe_toml)
        write_text(folder / "README.md", card)
    return Exported(
        out,
        source.counterpart.architecture,
        source.counterpart,
        source.step,
        (out / "model.safetensors").stat().st_size,
    )


def as_hf(source: ExportSource) -> tuple[dict[str, Any], dict[str, Any]]:
    """config.json and tensors of a source."""
    shape = source.recipe.model
    config = hf_config(shape, source.model.vocabulary, source.counterpart, source.tokenizer.eot)
    return config, hf_weights(shape, source.model.state_dict(), source.counterpart)


def write_tokenizer(source: ExportSource, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json, by which AutoTokenizer encodes as the model was trained: EOT first."""
    document = json.loads(source.tokenizer.to_json())
    eot = source.tokenizer.eot
    text = next(token["content"] for token in document["added_tokens"] if token["id"] == eot)
    if source.recipe.batch.end_of_text and document.get("post_processor") is None:
        document["post_processor"] = _begins_with(text, eot)
    write_text(folder / "tokenizer.json", json.dumps(document, ensure_ascii=False))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": text,
            "eos_token": text,
            "pad_token": text,
            "padding_side": "left",
            "model_max_length": source.recipe.model.context,
            "clean_up_tokenization_spaces": False,
        },
    )


def _begins_with(text: str, token: int) -> dict[str, Any]:
    """The post-processor of `tokenizers` that puts one token before a text."""
    special = {"SpecialToken": {"id": text, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [special, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [special, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {text: {"id": text, "ids": [token], "tokens": [text]}},
    }
