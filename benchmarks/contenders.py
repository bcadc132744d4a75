"""Everything that trains in turns: one process each, which makes N steps when it is told to.

python benchmarks/contenders.py KIND RECIPE --data DIR --threads N [--device cuda]

reads lines of JSON {"steps": N} and answers each with {"seconds": ..., "loss": ...}, and {"until": SECONDS} (as many
steps as begin in that time) with {"steps": ..., "wall_seconds": ...} beside; its first line says that it is ready and
how long that took. Kinds: `fabula`; `fabula as torch waits` (nothing is done about neighbours, see
neighbours.py); `transformers float32` and `transformers bfloat16` (autocast, as its Trainer does); `plain loop`
(plain_loop.py: bfloat16 autocast, compiled). All but fabula train the recipe's layers, width, heads, context and
vocabulary in GPT-2's form, with its batch, on the same stories; transformers has Gemma's own form where the recipe has
it. `roof` trains nothing: it takes the time of a step's head and of its layers' products, see roof.py. The clock stands
still while the main thread waits for a processor that others use; how long it did is told.
"""

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from plain_loop import PlainGPT
from roof import Roof
from torch import Tensor, nn

import fabula.train.engine as engine_module
from fabula.data.batches import BatchSource
from fabula.data.dataset import open_dataset
from fabula.exchange.architectures import find_counterpart, has_counterpart
from fabula.exchange.weights import hf_config
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.schema import Model, Recipe
from fabula.train.engine import build_engine
from fabula.train.machine.waiting import waited_seconds
from fabula.train.update.step import Launched

AS_TORCH_WAITS = "fabula as torch waits"
KINDS = ("fabula", AS_TORCH_WAITS, "plain loop", "transformers bfloat16", "transformers float32", "roof")
FILLED_UP_TO = 64
WARM_UP = 2
Step = Callable[[int], float]
"""The number of a step -> its loss, after the update."""


def recipe_of(name: str) -> Recipe:
    """A recipe's name, or NAME@TOKENIZER for another vocabulary."""
    name, at, tokenizer = name.partition("@")
    recipe = load_recipe(name)
    return recipe.with_values(tokenizer=tokenizer) if at else recipe


def source_of(recipe: Recipe, data: Path) -> tuple[BatchSource, int]:
    """Its batches, and its vocabulary."""
    prepared = open_dataset(data, recipe.tokenizer)
    batch = recipe.batch
    source = BatchSource(
        prepared, layout=batch.layout, rows=batch.rows, accumulation=batch.accumulation,
        context=recipe.model.context, seed=0, end_of_text=batch.end_of_text,
        hidden_tokens=batch.hidden_tokens,
    )  # fmt: skip
    return source, max(prepared.tokenizer.vocabulary, recipe.model.vocabulary)


def compiles(recipe: Recipe) -> bool:
    """Everything that compiles does so unless the recipe says off (tests do, for a quick look)."""
    return recipe.compute.compile != "off"


def fabula_step(recipe: Recipe, data: Path, device: str, makes_room: bool) -> Step:
    source, vocabulary = source_of(recipe, data)
    if not makes_room:
        engine_module.watch_neighbours = lambda: None  # type: ignore[attr-defined]
    values = {"compute.compile": "on" if compiles(recipe) else "off", "compute.device": device}
    engine, under_way = build_engine(recipe.with_values(**values), vocabulary, 0), list[Launched]()

    def step(number: int) -> float:
        under_way.append(engine.launch(source, number))
        return under_way.pop(0).result().loss if len(under_way) > engine.steps_ahead else float("nan")

    return step


def nothing_hidden(recipe: Recipe) -> Recipe:
    """What others can train: they have no input that is not to be seen."""
    return recipe.with_values(**{"batch.hidden_tokens": 0.0})


def plain_step(recipe: Recipe, data: Path, device: str) -> Step:
    source, vocabulary = source_of(nothing_hidden(recipe), data)
    shape, vocabulary = recipe.model, -(-vocabulary // FILLED_UP_TO) * FILLED_UP_TO
    model = PlainGPT(shape.layers, shape.width, shape.heads, shape.context, vocabulary).to(device)
    return _loop(recipe, source, model, torch.compile(model) if compiles(recipe) else model, torch.bfloat16, device)


def transformers_step(recipe: Recipe, data: Path, device: str, dtype: torch.dtype) -> Step:
    source, vocabulary = source_of(nothing_hidden(recipe), data)
    model = transformers_model(recipe.model, vocabulary).to(device)
    model.train()

    def loss_of(tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        # Its own loss shifts the labels; these are shifted already.
        logits_BTV = model(tokens_BT).logits
        return nn.functional.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.flatten())

    return _loop(recipe, source, model, loss_of, dtype, device)


def transformers_model(shape: Model, vocabulary: int) -> nn.Module:
    """Gemma's own form where the shape is Gemma's, else GPT-2's."""
    import transformers

    if has_counterpart(shape) and find_counterpart(shape).family == "gemma3_text":
        config = hf_config(shape, vocabulary, find_counterpart(shape), eot=0)
        return transformers.Gemma3ForCausalLM(transformers.Gemma3TextConfig(**config, use_cache=False))
    config = transformers.GPT2Config(
        vocab_size=vocabulary, n_positions=shape.context, n_embd=shape.width, n_layer=shape.layers, n_head=shape.heads,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def _loop(
    recipe: Recipe,
    source: BatchSource,
    model: nn.Module,
    loss_of: Callable[..., Tensor],
    dtype: torch.dtype,
    device: str,
) -> Step:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    micro_steps = recipe.batch.accumulation

    def on_device(rows: Any) -> Tensor:
        tensor = torch.from_numpy(rows)
        return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)

    def step(number: int) -> float:
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=device)
        for micro_step in range(micro_steps):
            batch = source.batch(number, micro_step)
            with torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16):
                loss = loss_of(on_device(batch.inputs_BT), on_device(batch.targets_BT)) / micro_steps
            loss.backward()
            total += loss.detach()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(total)

    return step


def step_of(kind: str, recipe: Recipe, data: Path, device: str) -> Step:
    if kind in ("fabula", AS_TORCH_WAITS):
        return fabula_step(recipe, data, device, kind == "fabula")
    if kind == "plain loop":
        return plain_step(recipe, data, device)
    return transformers_step(recipe, data, device, getattr(torch, kind.split()[1]))


def turns_of(kind: str, recipe: Recipe, data: Path, device: str = "cpu") -> Callable[..., dict[str, Any]]:
    """(steps to make, seconds after which none begins) -> what the turn took."""
    if kind == "roof":
        source, vocabulary = source_of(recipe, data)
        roof = Roof(recipe, vocabulary, source)
        return lambda steps, until=math.inf: roof.turn(int(steps))
    step, done = step_of(kind, recipe, data, device), itertools.count(1)

    def turn(steps: float, until: float = math.inf) -> dict[str, Any]:
        started, waited, loss, made = time.perf_counter(), waited_seconds() or 0.0, float("nan"), 0
        while made < steps and time.perf_counter() - started < until:
            loss, made = step(next(done)), made + 1
        if device == "cuda":
            torch.cuda.synchronize()
        waited = (waited_seconds() or 0.0) - waited
        wall = time.perf_counter() - started
        return {
            "steps": made, "wall_seconds": wall, "seconds": wall - waited, "waited_seconds": waited, "loss": loss
        }  # fmt: skip

    return turn


def peak_memory_bytes() -> int:
    """Of this process since it was loaded, on the GPU where it has used one. `resource` would count the parent's, too,
    out of which it was started."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("Linux tells the peak of a process")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("recipe")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    recipe = recipe_of(arguments.recipe)
    started = time.perf_counter()
    turn = turns_of(arguments.kind, recipe, arguments.data, arguments.device)
    for _ in range(WARM_UP):
        turn(1)
    positions = recipe.batch.rows * recipe.batch.accumulation * recipe.model.context
    print(json.dumps({"positions": positions, "start_seconds": time.perf_counter() - started}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = turn(asked.get("steps", math.inf), asked.get("until", math.inf))
        print(json.dumps(answer | {"peak_memory_bytes": peak_memory_bytes()}), flush=True)


if __name__ == "__main__":
    main()
