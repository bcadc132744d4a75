"""What a training takes in memory: the closed form against measured peaks, and refusals that name what fits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.train.tiny import tiny

from fabula.errors import InputError
from fabula.train.machine.memory.fits import (
    MOST_STEPS,
    Room,
    check_memory,
    check_size,
    largest_rows,
    out_of_memory_told,
    too_large,
)
from fabula.train.machine.memory.footprint import footprint
from fabula.train.machine.memory.free import free_memory

GB = 10**9
STEPS = """
import json, sys
import numpy as np
import torch
from fabula.recipe.schema import Recipe
from fabula.data.batches import Batch
from fabula.train.engine import build_engine

class Source:
    def batch(self, step, micro_step):
        shape = (recipe.batch.rows, recipe.model.context)
        tokens = np.random.default_rng(step).integers(0, recipe.vocabulary, shape)
        return Batch(tokens, tokens)

recipe = Recipe.from_tree(json.loads(sys.argv[1]))
# Not getrusage, which tells the peak of the process out of which this one was started where that was larger.
peak = lambda: int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1]) * 1024
before = peak()
engine = build_engine(recipe, recipe.vocabulary, 0)
for step in (1, 2):
    engine.step(Source(), step)
tokens_BT = torch.zeros(4096 // recipe.model.context, recipe.model.context, dtype=torch.long)
with torch.no_grad():
    engine.token_losses(tokens_BT, tokens_BT)
print(peak() - before)
"""
SHAPES: dict[str, dict[str, Any]] = {
    "wide": {"model__width": 1024, "model__heads": 8, "model__layers": 4, "model__vocabulary": 4096},
    "many-rows": {"model__width": 128, "model__layers": 2, "model__context": 64, "batch__rows": 256},
    "many-words": {"model__width": 128, "model__vocabulary": 50257, "model__context": 128, "batch__rows": 4},
    "muon-swiglu": {
        "model__width": 256, "model__layers": 4, "model__feed_forward": "swiglu", "model__positions": "rope",
        "model__norm": "rmsnorm", "model__qk_norm": True, "model__context": 128, "batch__rows": 32,
        "optimizer__kind": "muon", "model__vocabulary": 2048,
    },
}  # fmt: skip


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the peak of one process")
@pytest.mark.parametrize(
    "shape", [shape if shape == "many-rows" else pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES]
)
def test_the_estimate_against_the_peak_of_a_process(shape: str) -> None:
    """least <= peak <= 7 x least, and likely off by less than a third below and twice above."""
    recipe = tiny(**{"model__vocabulary": 512, **SHAPES[shape]})
    done = subprocess.run(
        [sys.executable, "-c", STEPS, json.dumps(recipe.as_tree())], capture_output=True, text=True, check=True
    )
    grown, estimate = int(done.stdout), footprint(recipe, 4)
    assert grown / 7 <= estimate.least <= grown, (grown, estimate)
    assert grown / 1.35 <= estimate.likely <= 2 * grown, (grown, estimate)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch.rows", 1_000_000), ("batch.accumulation", 100_000_000), ("model.width", 100_000),
        ("model.context", 10_000_000), ("model.vocabulary", 1_000_000_000),
        ("model.feed_forward_width", 100_000_000), ("model.head_width", 10_000_000),
    ],
)  # fmt: skip
def test_what_is_too_large_is_named_with_the_largest_that_fits(field: str, value: int) -> None:
    recipe = tiny(model__vocabulary=512).with_values(**{field: value})
    room = Room(20 * GB, None)
    for asked in ((), (field,)):  # from a file, or with --set
        told = too_large(recipe, 4, room, asked)
        assert told is not None and told.surely
        assert told.sentence.startswith(f"{field}={value} needs about "), told.sentence
        assert " GB, 20 GB are free; the largest that fits is about " in told.sentence
    largest = int(told.sentence.rpartition("=")[2])
    assert too_large(recipe.with_values(**{field: largest}), 4, room) is None
    more = recipe.with_values(**{field: largest * 3})
    assert too_large(more, 4, room) is not None, "not much smaller than what there is room for"


def test_what_fits_is_never_refused_and_what_may_not_fit_is_told() -> None:
    recipe = tiny(model__vocabulary=512, model__width=512, batch__rows=512)
    estimate = footprint(recipe, 4)
    assert too_large(recipe, 4, Room(None, None)) is None, "where the system does not say"
    assert too_large(recipe, 4, Room(estimate.likely + estimate.batches, None)) is None
    said: list[str] = []
    check_memory([recipe], said.append, room=Room(2 * estimate.least, None))
    assert len(said) == 1 and " may need " in said[0] and "may be stopped for want of memory" in said[0]
    with pytest.raises(InputError, match="side by side"):
        check_memory([recipe], said.append, workers=3, room=Room(2 * estimate.least, None))


def test_on_a_gpu_its_own_memory_counts_and_batches_are_the_machines() -> None:
    recipe = tiny(model__vocabulary=512, batch__rows=1_000_000)
    told = too_large(recipe, 4, Room(1000 * GB, 10 * GB))
    assert told is not None and "10 GB of GPU memory are free" in told.sentence
    gpu = Room(1000 * GB, footprint(recipe, 4).likely)
    assert too_large(recipe, 4, gpu) is None
    assert too_large(recipe, 4, gpu._replace(most_logits=2**40)) is not None, "a chunk that holds all logits"
    told = too_large(tiny(model__vocabulary=512, batch__accumulation=10**9), 4, Room(10 * GB, 10 * GB))
    assert told is not None and told.sentence.startswith(
        "batch.accumulation=1000000000 needs about 2,048 GB, 10 GB are"
    )


def test_steps_that_cannot_be_planned() -> None:
    check_size(tiny(steps=MOST_STEPS))
    with pytest.raises(InputError, match="1,000,000,000 steps are too many to plan; give 10,000,000 at most"):
        check_size(tiny(steps=10**9))


def test_free_memory_is_what_the_machine_and_the_tightest_group_leave(tmp_path: Path) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    (proc / "self" / "status").write_text("VmRSS:\t 1000 kB\n")
    (proc / "self" / "cgroup").write_text("0::/user/job\n")
    assert free_memory(proc, groups) == 8_001_000 * 1024
    (groups / "user" / "job").mkdir(parents=True)
    for folder, limit in ((groups / "user", "3000000000"), (groups / "user" / "job", "max")):
        (folder / "memory.max").write_text(limit + "\n")
        (folder / "memory.current").write_text("1000000000\n")
        (folder / "memory.stat").write_text("anon 5\ninactive_file 400000000\n")
    assert free_memory(proc, groups) == 2_400_000_000 + 1000 * 1024
    (proc / "self" / "cgroup").write_text("4:memory:/job\n1:cpu:/\n")
    (groups / "memory" / "job").mkdir(parents=True)
    (groups / "memory" / "job" / "memory.limit_in_bytes").write_text("2000000000\n")
    (groups / "memory" / "job" / "memory.usage_in_bytes").write_text("500000000\n")
    assert free_memory(proc, groups) == 1_500_000_000 + 1000 * 1024
    (groups / "memory" / "job" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert free_memory(proc, groups) == 8_001_000 * 1024, "no limit"
    (proc / "self" / "limits").write_text("Max cpu time unlimited\nMax address space   3000000000   unlimited  bytes\n")
    (proc / "self" / "status").write_text("VmSize:\t 1000000 kB\nVmRSS:\t 1000 kB\n")
    assert free_memory(proc, groups) == 3_000_000_000 - 1_000_000 * 1024 + 1000 * 1024
    (proc / "self" / "limits").write_text("Max address space     unlimited    unlimited  bytes\n")
    assert free_memory(proc, groups) == 8_001_000 * 1024, "no limit"


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({"batch__rows": 64}, "out of memory with batch.rows=64; what would fit is about --set batch.rows=32 "
                              "(with batch.accumulation=2 a step stays the same)"),
        ({"batch__rows": 12, "batch__accumulation": 3}, "batch.rows=6 (with batch.accumulation=6 a step stays"),
        ({"batch__rows": 3}, "out of memory with batch.rows=3; what would fit is about --set batch.rows=1 "
                             "(with batch.accumulation=3 a step stays the same)"),
        ({"batch__rows": 5}, "batch.rows=2"),
        ({"batch__rows": 1}, "out of memory with batch.rows=1; take a smaller model"),
    ],
)  # fmt: skip
def test_memory_that_ends_on_the_way_names_the_rows_that_would_fit(recipe: dict[str, int], says: str) -> None:
    for error in (
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        with pytest.raises(InputError) as told, out_of_memory_told(tiny(model__vocabulary=512, **recipe)):
            raise error
        assert says in str(told.value)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), out_of_memory_told(tiny(model__vocabulary=512)):
        raise RuntimeError("shapes differ")


def test_what_would_fit_is_less_where_less_is_free() -> None:
    recipe = tiny(model__vocabulary=512, batch__rows=4096)
    rows = [largest_rows(recipe, 4, Room(free, None)) for free in (0, GB // 10, GB, 1000 * GB)]
    assert rows[0] == 1 and rows == sorted(rows) and rows[-1] == 2048 and rows[1] < 2048
