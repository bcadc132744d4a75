"""The page on speed is what its records say, and the benchmarks that measure them still run."""

from __future__ import annotations

import importlib
import json
import runpy
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.train.tiny import tiny, tiny_file, tiny_run

from fabula.data.prepare.preparation import prepare
from fabula.record.reader import read_run


@pytest.fixture
def benchmark(repo: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Imports a script of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(repo / "benchmarks")
    return importlib.import_module


def test_the_page_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "performance_page.py"))
    page = (repo / "docs" / "performance.md").read_text(encoding="utf-8")
    stripped = page.replace("| the same to 2.89 | 60 s |", "| the same to 2.89 | 59 s |")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/performance_page.py"


def test_every_contender_trains(benchmark, grammar_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """One step each, uncompiled; the roof measures one, too."""
    pytest.importorskip("transformers")
    contenders: ModuleType = benchmark("contenders")
    recipe = contenders.recipe_of(tiny_file(tmp_path))
    assert recipe == tiny()
    for kind in contenders.KINDS:
        turn = contenders.turns_of(kind, recipe, grammar_folder)
        answer = turn(2)
        assert answer["seconds"] > 0 and answer["waited_seconds"] >= 0, kind
        if kind != "roof":
            assert answer["loss"] == pytest.approx(np.log(512), abs=0.3), kind
    assert contenders.peak_memory_bytes() > 2**20


@pytest.mark.slow
def test_contenders_take_turns(benchmark, grammar_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    training: ModuleType = benchmark("training")
    file = tiny_file(tmp_path)
    (result,) = training.compete([("fabula", file), ("roof", file)], grammar_folder, 1, turns=3, turn_seconds=0.02)
    assert result["positions_per_step"] == 4 * 32
    speed, step = result["positions_per_second"], result["step_seconds"]
    assert speed["low"] <= speed["median"] <= speed["high"]
    assert speed["median"] == pytest.approx(4 * 32 / step["median"])
    top = result["roof"]
    # By hand: one layer of width 16: qkv 3, out 1, up and down 8 times 16^2, 16 + 64 + 16 biases, 3 norms of 32.
    assert top["layer_flop"] == 128 * (6 * (12 * 256 + 16 + 80 + 96) + 6 * 32 * 16)
    assert top["head_flop"] == 128 * 6 * 512 * 16
    body = top["layer_flop"] / top["body_flop_per_second"]
    assert top["step_seconds"]["median"] == pytest.approx(top["head_seconds"] + body, rel=0.9)
    assert 0 < top["share"]["median"] and 0 < top["batch_share"]


def test_ratios_are_of_turns_not_of_medians(benchmark) -> None:  # type: ignore[no-untyped-def]
    training: ModuleType = benchmark("training")

    class Turns:
        def __init__(self, positions: int, step_seconds: list[float]) -> None:
            self.positions, self.step_seconds = positions, step_seconds

    ours, theirs = Turns(100, [1.0, 10.0, 2.0]), Turns(200, [4.0, 60.0, 4.0])
    assert training.ratio(ours, theirs) == {"median": 2.0, "low": 1.5, "high": 2.5}


@pytest.mark.usefixtures("gpt2")
def test_time_to_a_loss_is_read_off_the_record(  # type: ignore[no-untyped-def]
    benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses count in GPT-2's tokens there, so the stories are prepared where those, or a stand-in, are at hand."""
    script: ModuleType = benchmark("time_to_loss")
    folder = tmp_path / "stories"
    prepare("grammar", folder, tokenizer="bpe:512", limit=60)
    slow = tiny_run(folder, tmp_path / "runs" / "slow", tiny(name="basic/packed", schedule__peak=1e-3))
    fast = tiny_run(folder, tmp_path / "runs" / "fast", tiny(evaluation__every=2))
    tiny_run(folder, tmp_path / "runs" / "tuned", tiny(evaluation__split="tune"))
    monkeypatch.setattr(script, "REFERENCE_STEPS", 12)
    runs = script.load([tmp_path / "runs"])
    assert [each.name for each in runs] == ["runs/fast", "runs/slow"], "what was scored on tune is left out"
    document = script.time_to_loss(runs, {})
    json.dumps(document)
    wanted = document["reference"]["loss"]
    assert wanted == read_run(slow).full_evals()["val_loss_gpt2_at_128"][-1]
    (target, *_) = document["targets"]
    (reached,) = target["reached"]
    record = read_run(fast)
    curve = runs[0].curve("val_loss_gpt2_at_128")
    assert curve[-1] == record.full_evals()["val_loss_gpt2_at_128"][-1] < wanted
    at = list(record.evals["step"]).index(reached["step"])
    assert curve[at] <= wanted < curve[at - 1]
    assert 0 < reached["seconds"] <= record.evals["seconds"][at]


def test_the_tables_of_a_gpu_are_what_their_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "gpu_page.py"))
    page = (repo / "docs" / "performance.md").read_text(encoding="utf-8")
    stripped = page.replace("| `gemma3-270m` |", "| `another` |")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/gpu_page.py"


def test_the_work_of_a_step_counts_what_a_window_leaves_out(benchmark) -> None:  # type: ignore[no-untyped-def]
    gpu: ModuleType = benchmark("gpu")
    shape = tiny(model__context=8, model__layers=2, model__positions="rope").model
    # By hand: 8 rows of 1 to 8 keys, 4.5 on average; 2 products of width 16, 2 operations each, three times.
    assert gpu.attention_flop(shape) == 2 * 12 * 4.5 * 16
    windowed = shape.model_copy(update={"sliding_window": 2, "global_every": 2})
    # The first layer sees 1, then 2 of them: (1 + 7 * 2) / 8.
    assert gpu.attention_flop(windowed) == 12 * 16 * (4.5 + 15 / 8)
