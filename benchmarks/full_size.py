"""One step of a full-size recipe on this machine: seconds, peak of memory, and what the whole run would take.

python benchmarks/full_size.py gemma3-270m-gpt2 gemma3-270m-rising --data DIR --out docs/benchmarks/full_size.json

Each recipe runs in a process of its own, since the peak of memory is a process's. A step of these recipes has many
micro-steps, all alike; --micro-steps N makes a step of N of them, with the update that a whole step ends with, and the
estimate multiplies. What the process waited for a processor that others used is told apart and not counted.
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from results import write
from torch import Tensor

from fabula.data.batches import BatchSource
from fabula.data.dataset import open_dataset
from fabula.model.decoder import parameter_count
from fabula.recipe.presets.by_name import load_recipe
from fabula.train.engine import build_engine
from fabula.train.machine.waiting import waited_seconds


def working_seconds() -> float:
    """A clock that stands still while this thread waits for a processor."""
    return time.perf_counter() - (waited_seconds() or 0.0)


def measure(name: str, data: Path, micro_steps: int) -> dict[str, Any]:
    """Make one step of the recipe `name`, shortened to `micro_steps`."""
    whole = load_recipe(name)
    recipe = whole.with_values(**{"batch.accumulation": micro_steps, "compute.compile": "off"})
    prepared = open_dataset(data, recipe.tokenizer)
    engine = build_engine(recipe, recipe.vocabulary, 0)
    source = BatchSource(
        prepared,
        layout=recipe.batch.layout,
        rows=recipe.batch.rows,
        accumulation=micro_steps,
        context=recipe.model.context,
        seed=0,
        end_of_text=recipe.batch.end_of_text,
        hidden_tokens=recipe.batch.hidden_tokens,
    )
    marks: list[float] = []
    loss_sum = engine.loss_sum

    def timed(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        marks.append(working_seconds())
        return loss_sum(inputs_BT, targets_BT)

    updates: list[float] = []
    update = engine.optimizer.step

    def timed_update() -> None:
        started = working_seconds()
        update()
        updates.append(working_seconds() - started)

    engine.loss_sum = timed
    engine.optimizer.step = timed_update  # type: ignore[method-assign, assignment]
    waited_before, started = waited_seconds() or 0.0, working_seconds()
    result = engine.step(source, 1)
    seconds = working_seconds() - started
    # The first micro-step meets fresh memory and is left out where there are others. The last one ends with the update.
    each = [after - before for before, after in pairwise([*marks, started + seconds - updates[0]])]
    per_micro_step = statistics.median(each[1:] or each)
    per_step = per_micro_step * whole.batch.accumulation + updates[0]
    return {
        "recipe": name,
        "parameters": parameter_count(engine.model),
        "positions_per_micro_step": recipe.batch.rows * recipe.model.context,
        "micro_steps_made": micro_steps,
        "micro_steps_of_a_step": whole.batch.accumulation,
        "loss_before": result.loss,
        "seconds_made": seconds,
        "seconds_waited": (waited_seconds() or 0.0) - waited_before,
        "seconds_per_micro_step": per_micro_step,
        "seconds_of_update": updates[0],
        "seconds_per_step": per_step,
        "positions_per_second": recipe.batch.rows * recipe.model.context / per_micro_step,
        "steps": whole.steps,
        "days_for_the_run": per_step * whole.steps / 86_400,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "choices": {key: str(choice) for key, choice in engine.choices.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--micro-steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if len(arguments.recipes) == 1:
        results = [measure(arguments.recipes[0], arguments.data, arguments.micro_steps)]
        print(json.dumps(results[0]))
    else:
        results = []
        for name in arguments.recipes:
            command = [sys.executable, __file__, name, "--data", str(arguments.data)]
            command += ["--micro-steps", str(arguments.micro_steps), "--threads", str(arguments.threads)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            results.append(json.loads(answer.splitlines()[-1]))
            print(answer.splitlines()[-1])
    if arguments.out is not None:
        machine = {"threads": arguments.threads, "processor": platform.machine(), "torch": torch.__version__}
        write({**machine, "results": results}, arguments.out)


if __name__ == "__main__":
    main()
