"""One optimizer update, which the host decides on: where it computes itself, it never waits for what it asks."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from fabula.data.batches import Batch
from fabula.train.processes.tensors import held
from fabula.train.processes.together import ALONE, Together
from fabula.train.update.optimizer import set_learning_rate

if TYPE_CHECKING:
    from fabula.train.processes.sharing import Shared

LossSum = Callable[[Tensor, Tensor], Tensor]
"""(inputs_BT, targets_BT) -> sum of -log p over the targets that count."""


@dataclass(frozen=True)
class StepResult:
    loss: float
    """Mean nats per target token over the whole step."""
    grad_norm: float
    """Global norm before clipping."""
    num_tokens: int
    applied: bool
    """False where loss or gradient was not finite: then no weight was touched."""


class Launched(Protocol):
    """An update that is under way."""

    def result(self) -> StepResult:
        """What came of it; waits until it is made."""
        ...


@dataclass(frozen=True)
class Made:
    """An update that was made when it was asked for."""

    made: StepResult

    def result(self) -> StepResult:
        return self.made


def train_step(
    model: nn.Module,
    loss_sum: LossSum,
    optimizer: torch.optim.Optimizer,
    micro_batches: Sequence[Batch],
    learning_rate: float,
    clip: float,
    device: torch.device,
    together: Together = ALONE,
    shared: "Shared | None" = None,
) -> StepResult:
    """Accumulate the gradient of the mean over all tokens of the micro-batches, clip it, and update once.

    Each micro-batch is divided by the tokens of the whole step, so that splitting a batch changes nothing, however
    unevenly its rows are filled. A non-finite loss or gradient is decided on here, before the update: multiplying an
    update by zero would let NaN through.

    Of several processes `together`, each has its own rows of the micro-batches; their gradients are added up once,
    behind the last one.
    """
    num_tokens = sum(batch.num_targets for batch in micro_batches)
    optimizer.zero_grad(set_to_none=True)
    rows = [
        (torch.from_numpy(batch.inputs_BT).to(device), torch.from_numpy(batch.targets_BT).to(device))
        for batch in micro_batches
    ]
    total = together.total(accumulate(loss_sum, rows, num_tokens, device, shared))
    parameters = list(model.parameters())
    norm = together.norm(gradient_norm(parameters))
    applied = bool(torch.isfinite(norm) & torch.isfinite(total))
    if applied:
        if clip and norm > clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        set_learning_rate(optimizer, learning_rate)
        optimizer.step()
    return StepResult(float(total), float(norm), num_tokens, applied)


def accumulate(
    loss_sum: LossSum,
    rows: Sequence[tuple[Tensor, Tensor]],
    num_tokens: int | Tensor,
    device: torch.device,
    shared: "Shared | None" = None,
) -> Tensor:
    """Add the gradients of the mean loss over all micro-batches to the parameters'; returns that mean."""
    total = torch.zeros((), device=device)
    for number, (inputs_BT, targets_BT) in enumerate(rows, 1):
        with nullcontext() if shared is None else shared.communicating(last=number == len(rows)):
            loss = loss_sum(inputs_BT, targets_BT) / num_tokens
            loss.backward()
        total += loss.detach()
    return total


def gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    """The global norm of the gradients that there are; of those parts of them that this process holds."""
    return torch.nn.utils.get_total_norm([held(each.grad) for each in parameters if each.grad is not None])
