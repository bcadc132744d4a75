"""A training on disk and back, whatever its optimizer remembers of which parameter."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fabula.errors import InputError
from fabula.record.checkpoint import read_checkpoint
from fabula.train import state


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 1, bias=False))


def with_momentum_for_the_first(model: nn.Module) -> torch.optim.Optimizer:
    first, second = model.parameters()
    return torch.optim.SGD([{"params": [first], "momentum": 0.9}, {"params": [second]}], lr=0.1)


def make_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_an_optimizer_may_remember_nothing_of_a_parameter(tmp_path: Path) -> None:
    model = small_model()
    optimizer = with_momentum_for_the_first(model)
    make_step(model, optimizer)
    state.save(tmp_path, 1, state.snapshot(model, optimizer), {})
    other = small_model()
    resumed = with_momentum_for_the_first(other)
    state.put(state.read(read_checkpoint(tmp_path), other), other, resumed)
    for each, its in ((model, optimizer), (other, resumed)):
        make_step(each, its)
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), other.parameters(), strict=True))


def test_what_an_optimizer_remembers_of_an_unknown_parameter_is_refused(tmp_path: Path) -> None:
    model = small_model()
    optimizer = with_momentum_for_the_first(model)
    make_step(model, optimizer)
    state.save(tmp_path, 1, state.snapshot(model, optimizer), {})
    checkpoint = read_checkpoint(tmp_path)
    checkpoint.optimizer.write_bytes(checkpoint.optimizer.read_bytes().replace(b"0.weight/", b"7.weight/"))
    with pytest.raises(
        InputError, match=r"holds 7\.weight/momentum_buffer, unknown here; it belongs to another recipe"
    ):
        state.read(checkpoint, model)
