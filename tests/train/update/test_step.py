"""One update: the mean over tokens, AdamW by its paper, and what happens to a batch that is not finite."""

import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from tests.train.tiny import data_in, metrics, tiny, tiny_training
from torch import Tensor, nn

from fabula.data.batches import Batch, BatchSource
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.model.layers import Linear
from fabula.recipe.schema import Initialization, Model, Optimizer
from fabula.record.reader import read_run
from fabula.train.engine import build_engine
from fabula.train.life.run import start_run
from fabula.train.loop import MOST_SKIPPED, Training, TrainingFailed
from fabula.train.observer import Observer
from fabula.train.update.muon import Muon
from fabula.train.update.optimizer import MOMENTS, make_optimizer, set_learning_rate
from fabula.train.update.step import train_step

CPU = torch.device("cpu")


def test_two_micro_steps_of_eight_rows_are_one_of_sixteen(grammar_folder: Path) -> None:
    """Padded rows, so that the halves differ in tokens: a mean of means would not do."""
    data = data_in(grammar_folder)
    engines, sources = [], []
    for rows, accumulation in ((16, 1), (8, 2)):
        # A context between the lengths of the stories, so that some rows are cut and some are filled up.
        context = int(np.median(data.split("train").lengths))
        recipe = tiny(
            batch__rows=rows, batch__accumulation=accumulation, batch__layout="padded", model__context=context
        )
        engines.append(build_engine(recipe, data.tokenizer.vocabulary, seed=0))
        sources.append(
            BatchSource(data, layout="padded", rows=rows, accumulation=accumulation, context=context, seed=0)
        )
    halves = [sources[1].batch(1, micro_step).num_targets for micro_step in (0, 1)]
    assert halves[0] != halves[1]
    for step in (1, 2, 3):
        whole, split = (engine.step(source, step) for engine, source in zip(engines, sources, strict=True))
        assert whole.num_tokens == split.num_tokens
        assert split.loss == pytest.approx(whole.loss, rel=1e-6)
        assert split.grad_norm == pytest.approx(whole.grad_norm, rel=1e-4)
    first, second = (dict(engine.model.named_parameters()) for engine in engines)
    for name, parameter in first.items():
        # AdamW's first steps are lr * g / |g|: where g is near zero its rounding decides, by no more than 2 lr a step.
        assert torch.allclose(parameter, second[name], atol=1e-4), name


def test_the_loss_of_a_step_is_the_mean_over_its_tokens() -> None:
    """By hand: a model with one weight, loss = w * target."""
    weight = nn.Parameter(torch.tensor([[2.0]]))
    model = nn.Module()
    model.weight = weight
    batches = [
        Batch(np.zeros((1, 3), np.int64), np.array([[1, 2, -100]])),
        Batch(np.zeros((1, 3), np.int64), np.array([[6, -100, -100]])),
    ]

    def loss_sum(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        return weight.sum() * targets_BT[targets_BT != -100].sum()

    optimizer = torch.optim.SGD([weight], lr=9.0)
    result = train_step(model, loss_sum, optimizer, batches, 0.5, 0.0, CPU)
    assert result.num_tokens == 3 and result.applied
    assert result.loss == pytest.approx(2 * (1 + 2 + 6) / 3)
    assert result.grad_norm == pytest.approx(3.0)
    assert weight.item() == pytest.approx(2.0 - 0.5 * 3.0)
    result = train_step(model, loss_sum, optimizer, batches, 0.5, 1.5, CPU)
    assert result.grad_norm == pytest.approx(3.0), "the norm before clipping"
    assert weight.item() == pytest.approx(0.5 - 0.5 * 1.5, rel=1e-5)
    before = weight.item()
    train_step(model, loss_sum, optimizer, batches, 0.5, 3.5, CPU)
    assert weight.item() == before - 0.5 * 3.0, "a shorter gradient stays as it is"


def test_adamw_is_the_papers_and_decays_matrices_only() -> None:
    """Loshchilov and Hutter 2019, algorithm 2, in float64."""
    generator = torch.Generator().manual_seed(0)
    model = small_decoder()
    settings = Optimizer(beta1=0.8, beta2=0.9, epsilon=1e-3, weight_decay=0.2)
    optimizer = make_optimizer(model, settings, learning_rate=1.0)
    expected = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    first = {name: torch.zeros_like(value) for name, value in expected.items()}
    second = {name: torch.zeros_like(value) for name, value in expected.items()}
    for step, rate in enumerate((0.1, 0.05, 0.2, 0.1), start=1):
        set_learning_rate(optimizer, rate)
        for name, parameter in model.named_parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            gradient = parameter.grad.double()
            first[name] = 0.8 * first[name] + 0.2 * gradient
            second[name] = 0.9 * second[name] + 0.1 * gradient**2
            direction = first[name] / (1 - 0.8**step) / ((second[name] / (1 - 0.9**step)).sqrt() + 1e-3)
            decay = 0.2 * expected[name] if parameter.dim() >= 2 else 0.0
            expected[name] = expected[name] - rate * (direction + decay)
        optimizer.step()
        for name, parameter in model.named_parameters():
            assert torch.allclose(parameter.double(), expected[name], rtol=1e-5, atol=1e-6), (name, step)


def small_decoder() -> Decoder:
    model = Decoder(Model(layers=1, width=6, heads=2, context=3, tied=False, value_embeddings=True), 5)
    initialize(model, Initialization(scheme="default"), seed=0)
    return model


@pytest.mark.parametrize("kind", get_args(Optimizer.model_fields["kind"].annotation))
def test_each_optimizer_keeps_what_the_estimate_of_memory_counts(kind: str) -> None:
    """And steps every parameter, by a rate of which nothing is left at zero."""
    model = small_decoder()
    optimizer = make_optimizer(model, Optimizer(kind=kind), learning_rate=1.0)  # type: ignore[arg-type]
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for rate, moves in ((0.0, False), (0.1, True)):
        random_gradients(model, torch.Generator().manual_seed(0))
        set_learning_rate(optimizer, rate)
        optimizer.step()
        now = list(model.parameters())
        assert all(bool((old != new).any()) == moves for old, new in zip(before, now, strict=True))
    sizes = [{name: value.numel() for name, value in optimizer.state[each].items()} for each in model.parameters()]
    kept = sum(size for state in sizes for size in state.values() if size > 1)
    matrices = sum(module.weight.numel() for module in model.layers.modules() if isinstance(module, Linear))
    others = sum(parameter.numel() for parameter in model.parameters()) - matrices
    of_matrices, of_others = MOMENTS[kind]
    assert kept == of_matrices * matrices + of_others * others


def random_gradients(model: nn.Module, generator: torch.Generator) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def test_muon_steps_by_the_orthogonal_part_of_the_momentum() -> None:
    """Against a singular value decomposition: same singular vectors, values near 1 (Jordan et al. 2024: 0.7 to 1.2)."""
    generator = torch.Generator().manual_seed(0)
    model = small_decoder()
    optimizer = make_optimizer(model, Optimizer(kind="muon", momentum=0.9, weight_decay=0.1), learning_rate=1.0)
    matrices = {name: each for name, each in model.named_parameters() if name.startswith("layers") and each.dim() == 2}
    assert len(matrices) == 4
    momentum = {name: torch.zeros_like(each) for name, each in matrices.items()}
    for rate in (0.1, 0.03):
        set_learning_rate(optimizer, rate)
        random_gradients(model, generator)
        before = {name: each.detach().clone() for name, each in matrices.items()}
        gradients = {name: each.grad.clone() for name, each in matrices.items() if each.grad is not None}
        optimizer.step()
        for name, weight in matrices.items():
            momentum[name] = 0.9 * momentum[name] + 0.1 * gradients[name]
            direction = 0.9 * momentum[name] + 0.1 * gradients[name]  # Nesterov's
            size = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
            step = (before[name] * (1 - rate * 0.1) - weight.detach()) / (rate * size)
            u, _, vh = torch.linalg.svd(direction, full_matrices=False)
            inner = u.T @ step @ vh.T
            assert torch.allclose(inner - inner.diag().diag(), torch.zeros_like(inner), atol=1e-4), name
            assert 0.6 < float(inner.diag().min()) and float(inner.diag().max()) < 1.3, name


def test_muon_is_torchs_own_where_products_are_in_bfloat16() -> None:
    """Bit for bit, a tall and a wide matrix, three steps: records made with torch's stay valid."""
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(size, generator=generator) for size in ((24, 8), (8, 24), (16, 16))]
    ours, theirs = ([nn.Parameter(each.clone()) for each in starts] for _ in range(2))
    steps = (
        Muon([{"params": ours}], learning_rate=0.02, momentum=0.95, weight_decay=0.1, dtype=torch.bfloat16),
        torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn="original"),
    )
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = one.grad.clone()
        for each in steps:
            each.step()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)


def test_embeddings_and_head_have_rates_of_their_own_and_no_decay_beside_muon() -> None:
    """AdamW's first step is the rate in each number, whatever the gradient."""
    model = small_decoder()
    settings = Optimizer(kind="muon", embedding_rate=10.0, head_rate=0.5, weight_decay=0.5, epsilon=1e-12)
    optimizer = make_optimizer(model, settings, learning_rate=9.0)
    set_learning_rate(optimizer, 0.01)
    random_gradients(model, torch.Generator().manual_seed(1))
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    optimizer.step()
    for name, parameter in model.named_parameters():
        if "layers" in name and parameter.dim() == 2:
            continue
        of_embedding = "embedding" in name or name == "positions.weight"
        expected = 0.1 if of_embedding else 0.005 if name == "head" else 0.01
        moved = (parameter.detach() - before[name]).abs()
        assert torch.allclose(moved, torch.full_like(moved, expected), rtol=1e-3), name


class Snapshots(Observer):
    """Weights and moments after each update."""

    training: Training

    def __init__(self) -> None:
        self.after: dict[int, list[Tensor]] = {}

    def stepped(self, line: dict[str, Any]) -> None:
        engine = self.training.engine
        moments = [value for state in engine.optimizer.state.values() for value in state.values()]
        self.after[line["step"]] = [each.detach().clone() for each in [*engine.model.parameters(), *moments]]


def spoil(training: Training, steps: set[int], how: str) -> None:
    """Make the loss, or only its gradient, of the updates `steps` NaN."""
    plain, made = training.engine.loss_sum, iter(range(1, 10**6))

    def loss_sum(inputs_BT: Tensor, targets_BT: Tensor) -> Tensor:
        loss = plain(inputs_BT, targets_BT)
        if next(made) not in steps:
            return loss
        weight = training.engine.model.embedding.weight
        # The slope of a square root at zero is infinite, and times zero it is NaN.
        return loss * math.nan if how == "loss" else loss + (0.0 * weight.sum()).sqrt()

    training.engine.loss_sum = loss_sum


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_a_step_that_is_not_finite_touches_nothing_and_is_recorded(
    how: str, grammar_folder: Path, tmp_path: Path
) -> None:
    observer = Snapshots()
    training = observer.training = tiny_training(grammar_folder, tiny(steps=5), observer=observer)
    spoil(training, {1, 3}, how)
    assert start_run(training, tmp_path / "run") == "finished"
    after = observer.after
    assert all(torch.equal(old, new) for old, new in zip(after[2], after[3], strict=True))
    assert not torch.equal(after[3][0], after[4][0])
    assert all(torch.isfinite(each).all() for each in after[5])
    train = [line for line in metrics(tmp_path / "run") if line["kind"] == "train"]
    for line in train:
        spoilt = {1: True, 3: True}.get(line["step"], False)
        assert (line["grad_norm"] is None) == spoilt and ("non_finite" in line) == spoilt
        assert (line["loss"] is None) == (spoilt and how == "loss")
    assert train[2]["non_finite"] == (["loss", "grad_norm"] if how == "loss" else ["grad_norm"])
    events = [line for line in metrics(tmp_path / "run") if line.get("event") == "batch_skipped"]
    assert [(event["step"], event["in_a_row"]) for event in events] == [(1, 1), (3, 1)]
    assert np.isnan(read_run(tmp_path / "run").train["grad_norm"]).tolist() == [True, False, True, False, False]


def test_twenty_in_a_row_fail_the_run(grammar_folder: Path, tmp_path: Path) -> None:
    training = tiny_training(grammar_folder, tiny(steps=40))
    spoil(training, set(range(6, 100)), "loss")
    with pytest.raises(TrainingFailed, match=r"20 steps in a row were not finite; lower schedule\.peak"):
        start_run(training, tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.status == "failed" and "20 steps in a row" in run.info["error"]
    assert run.train["step"][-1] == 5 + MOST_SKIPPED == 25
    assert [event["event"] for event in run.events][-2:] == ["batch_skipped", "failed"]
    assert run.events[-1]["step"] == 25


def test_skipped_steps_that_are_not_in_a_row_fail_nothing(grammar_folder: Path, tmp_path: Path) -> None:
    training = tiny_training(grammar_folder, tiny(steps=30, evaluation__every=30))
    spoil(training, set(range(1, 20)) | set(range(21, 30)), "loss")
    assert start_run(training, tmp_path / "run") == "finished"
    in_a_row = [json.loads(line).get("in_a_row") for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert [number for number in in_a_row if number] == [*range(1, 20), *range(1, 10)]
