"""What a page needs to run models by itself: the engine's script, and texts to stand in it.

The script defines `createEngine` as the page of `fabula play` expects it; the texts belong into elements with the ids
that they have here.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fabula.exchange.html.as_text import as_text
from fabula.exchange.html.build import ENGINE, KERNELS
from fabula.exchange.html.packing import PackedModel

WORKER_SCRIPTS = ("unpacking", "random", "tokenizer", "decoder", "sampling", "telling", "worker")
PAGE_SCRIPTS = ("unpacking", "engine")


@dataclass(frozen=True)
class Offered:
    """A model on the page."""

    packed: PackedModel
    tokenizer: bytes
    """As packing.py packs it."""
    shown: Mapping[str, Any]
    """What the page tells of it: the fields of the engine's `models` but `id`."""
    prompts: Sequence[str]
    """Beginnings that it was asked to go on with in training."""


@dataclass(frozen=True)
class Payload:
    engine_script: str
    data: dict[str, str]


def payload_of(models: Sequence[Offered]) -> Payload:
    """The models for one page. A tokenizer that several have is there once."""
    tokenizers = list(dict.fromkeys(each.tokenizer for each in models))
    hidden = {"loss": None} if len(tokenizers) > 1 else {}  # losses by different tokens do not stand side by side
    index = {
        "models": [
            {
                "model": each.packed.header,
                "tokenizer": tokenizers.index(each.tokenizer),
                "shown": {**each.shown, **hidden},
            }
            for each in models
        ],
        "num_tokenizers": len(tokenizers),
        "prompts": list(dict.fromkeys(prompt for each in models for prompt in each.prompts)),
    }
    parts = {
        "index": json.dumps(index, separators=(",", ":"), allow_nan=False).encode(),
        "worker": script(WORKER_SCRIPTS).encode(),
        "kernels": KERNELS.read_bytes(),
        **{f"tokenizer-{place}": each for place, each in enumerate(tokenizers)},
        **{f"model-{place}": each.packed.content for place, each in enumerate(models)},
    }
    # A function of its own: the page's scripts stand beside it and have names, too.
    engine = f"const createEngine = (() => {{\n{script(PAGE_SCRIPTS)}\nreturn createEngine;\n}})();\n"
    return Payload(engine, {f"packed-{name}": as_text(content) for name, content in parts.items()})


def script(names: Sequence[str]) -> str:
    """Scripts of the engine as one: a file that is opened from a disk can import nothing."""
    return "\n".join((ENGINE / f"{name}.js").read_text(encoding="utf-8") for name in names)
