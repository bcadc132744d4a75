"""`fabula export`: a run's model for other people's programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Form(StrEnum):
    hf = "hf"
    gguf = "gguf"


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    to: Annotated[Form, typer.Option(help="hf: a folder for transformers and vLLM; gguf: for llama.cpp and Ollama.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    step: Annotated[int | None, typer.Option(help="The checkpoint of this step; default: the latest.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The checkpoint with the lowest validation loss.")] = False,
) -> None:
    """Write a run's model in a form that other programs load, computing exactly what it computes here."""
    import shlex

    from fabula.errors import InputError
    from fabula.model.load import best_step

    if best and step is not None:
        raise InputError("give --step or --best, not both")
    step = best_step(run) if best else step
    if to is Form.hf:
        from fabula.exchange.huggingface import export_hf

        exported = export_hf(run, out, step)
    else:
        from fabula.exchange.llama_cpp import export_gguf

        exported = export_gguf(run, out, step)
    size = f"{exported.num_bytes / 1e6:,.1f} MB of float32 weights"
    print(f"{out}: step {exported.step:,} as {exported.architecture}, {size}")
    if exported.home.folded:
        print(f"folded into the weights, with the same results: {', '.join(exported.home.folded)}")
    folder = shlex.quote(str(out))
    if to is Form.hf:
        print(f"\nNext: transformers.AutoModelForCausalLM.from_pretrained({str(out)!r}), or vllm serve {folder}")
    else:
        print(f"\nNext: llama-completion -m {folder}/model.gguf -no-cnv -p 'Once upon a time'")
