"""Looks inside: they change nothing, and say what was there."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.tiny import StopAfter, metrics, same_tensors, samples, tensors, tiny, tiny_run, tiny_training

from fabula.model.layers import Attention
from fabula.recipe.schema import Recipe
from fabula.record.reader import read_run
from fabula.train.life.run import resume_run, start_run
from fabula.train.observer import Observer
from fabula.train.update.internals import Inside, activations, largest_logit, twin_of

SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"optimizer__kind": "muon"},
    {"batch__hidden_tokens": 0.2, "model__tied": False, "model__head_bias": True},
    {"model__feed_forward": "swiglu", "model__norm": "rmsnorm", "model__positions": "rope", "model__qk_norm": True},
    {"compute__weights": "bfloat16", "batch__accumulation": 2},
)


def looking(**values: Any) -> Recipe:
    return tiny(record__internals=2, model__layers=2, **values)


def inside(run: Path) -> list[dict[str, Any]]:
    """The lines but for times and memory."""
    lines = [json.loads(line) for line in (run / "internals.jsonl").read_text().splitlines()]
    return [{name: each for name, each in line.items() if not name.endswith(("_seconds", "_bytes"))} for line in lines]


@pytest.mark.parametrize("values", SHAPES, ids=[",".join(each) or "plain" for each in SHAPES])
def test_what_is_computed_does_not_change(values: dict[str, Any], grammar_folder: Path, tmp_path: Path) -> None:
    on = tiny_run(grammar_folder, tmp_path / "on", looking(**values))
    off = tiny_run(grammar_folder, tmp_path / "off", looking(**values).with_values(**{"record.internals": 0}))
    assert metrics(on) == metrics(off) and samples(on) == samples(off)
    assert same_tensors(tensors(on), tensors(off))
    assert not (off / "internals.jsonl").exists() and read_run(off).internals == []
    lines = read_run(on).internals
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    for name in ("grad_norm", "update_ratio", "unchanged", "activation", "dead_units", "attention_logit"):
        assert all(len(line[name]) == 2 for line in lines), name
        assert all(value is not None and value >= 0 for line in lines for value in line[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("values", SHAPES[1:4], ids=["muon", "hidden", "modern"])
def test_what_is_compiled_computes_the_same(values: dict[str, Any], grammar_folder: Path, tmp_path: Path) -> None:
    on = looking(compute__compile="on", **values)
    runs = [tiny_run(grammar_folder, tmp_path / str(n), on.with_values(**{"record.internals": n})) for n in (2, 0)]
    assert metrics(runs[0]) == metrics(runs[1]) and samples(runs[0]) == samples(runs[1])
    assert same_tensors(tensors(runs[0]), tensors(runs[1]))


@pytest.mark.long
def test_a_traced_step_is_traced_once_and_computes_the_same(
    grammar_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dynamo's part of compiling, which a hook or another mode of gradients would bring to trace anew."""
    traced: list[int] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        traced.append(len(graph.graph.nodes))
        return graph

    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **more: compiled(function, backend=backend, **more))
    monkeypatch.setenv("CXX", "c++")  # for the choice alone: tracing needs no compiler
    training = tiny_training(grammar_folder, tiny(compute__compile="on"))
    engine, source = training.engine, training.source
    results, graphs = [], []
    for look in (True, False):
        engine.reset()
        made = []
        for step in range(1, 5):
            rows = torch.from_numpy(source.batch(step, 0).inputs_BT[:1])
            inside = Inside.before(engine.model, rows, some_hidden=False) if look and step % 2 == 0 else None
            result = engine.step(source, step)
            made.append((result.loss, result.grad_norm))
            graphs.append(len(traced))
            if inside is not None:
                inside.after(engine.model, result, clip=1.0)
        results.append((made, {name: each.clone() for name, each in engine.model.named_parameters()}))
    (seen, weights), (unseen, others) = results
    assert seen == unseen and graphs[0] > 0 and set(graphs) == {graphs[0]}
    assert all(torch.equal(each, others[name]) for name, each in weights.items())


def test_the_parts_make_the_norm_of_the_whole(grammar_folder: Path, tmp_path: Path) -> None:
    run = tiny_run(grammar_folder, tmp_path / "run", looking(optimizer__clip=0.1))  # every step is clipped
    norms = {line["step"]: line["grad_norm"] for line in metrics(run) if line["kind"] == "train"}
    for line in read_run(run).internals:
        parts = [*line["grad_norm"], line["embedding_grad_norm"], line["head_grad_norm"]]
        assert sum(each**2 for each in parts) ** 0.5 == pytest.approx(norms[line["step"]], rel=1e-4)
        assert norms[line["step"]] > 0.1


def test_an_interrupted_and_resumed_record_is_that_of_an_uninterrupted_run(
    grammar_folder: Path, tmp_path: Path
) -> None:
    whole = tiny_run(grammar_folder, tmp_path / "whole", looking())
    training = tiny_training(grammar_folder, looking(), observer=StopAfter(3))
    assert start_run(training, tmp_path / "run") == "interrupted"
    assert resume_run(tiny_training(grammar_folder, looking()), tmp_path / "run") == "finished"
    assert inside(tmp_path / "run") == inside(whole)


class Killed(Observer):
    """Keeps the folder as a crash after update 7 would leave it."""

    def __init__(self, run: Path, kept: Path) -> None:
        self.run, self.kept = run, kept

    def stepped(self, line: dict[str, Any]) -> None:
        if line["step"] == 7:
            shutil.copytree(self.run, self.kept)


def test_after_a_crash_the_looks_behind_the_checkpoint_are_cut_back(grammar_folder: Path, tmp_path: Path) -> None:
    whole, crashed = tmp_path / "whole", tmp_path / "crashed"
    start_run(tiny_training(grammar_folder, looking(), observer=Killed(whole, crashed)), whole)
    assert [line["step"] for line in inside(crashed)] == [2, 4, 6]  # the checkpoint is that of step 4
    assert resume_run(tiny_training(grammar_folder, looking()), crashed) == "finished"
    assert inside(crashed) == inside(whole)
    discarded = (crashed / "internals.discarded.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in discarded] == [6]


def test_dead_units_and_weights_that_stand_still_are_counted(grammar_folder: Path) -> None:
    training = tiny_training(
        grammar_folder, looking(model__feed_forward="relu", schedule__peak=1e-12, schedule__floor=0.0)
    )
    model, first = training.engine.model, training.engine.model.stack[0].feed_forward.up
    assert first.bias is not None
    with torch.no_grad():
        first.bias[: first.out_features // 2] = -1e3
    rows = torch.from_numpy(training.source.batch(1, 0).inputs_BT)
    look = Inside.before(model, rows, some_hidden=False)
    line = look.after(model, training.engine.step(training.source, 1), clip=1.0)
    assert 0.5 <= line["dead_units"][0] < 0.7 and line["dead_units"][1] < 0.2
    assert all(each > 0.5 for each in line["unchanged"]) and all(each < 1e-8 for each in line["update_ratio"])


def test_the_twin_has_the_weights_and_leaves_the_model_alone(grammar_folder: Path) -> None:
    model = tiny_training(grammar_folder, looking()).engine.model
    twin = twin_of(model)
    assert all(a.data_ptr() == b.data_ptr() for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    with torch.no_grad():
        activations(model, torch.zeros(1, 8, dtype=torch.int64), some_hidden=False)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


@torch.no_grad()
@pytest.mark.parametrize("window", [0, 3])
def test_the_largest_logit_is_that_of_the_positions_attended_to(window: int) -> None:
    torch.manual_seed(0)
    layer = Attention(tiny(model__positions="rope").model, 0)
    layer.window = window
    x_BTD = torch.randn(1, 10, 16)
    q, k, _ = layer.project(x_BTD, None, None)
    scores = (q @ k.transpose(-1, -2))[0] * layer.scale
    seen = [
        abs(float(scores[head, query, key]))
        for head in range(2) for query in range(10) for key in range(query + 1)
        if not window or key > query - window
    ]  # fmt: skip
    assert largest_logit(layer, x_BTD, None, None) == pytest.approx(max(seen), rel=1e-5)
