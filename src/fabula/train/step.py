"""One optimizer update."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fabula.data.batches import Batch
from fabula.train.optimizer import set_learning_rate

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


def train_step(
    model: nn.Module,
    loss_sum: LossSum,
    optimizer: torch.optim.Optimizer,
    micro_batches: Sequence[Batch],
    learning_rate: float,
    clip: float,
    device: torch.device,
) -> StepResult:
    """Accumulate the gradient of the mean over all tokens of the micro-batches, clip it, and update once.

    Each micro-batch is divided by the tokens of the whole step, so that splitting a batch changes nothing, however
    unevenly its rows are filled. A non-finite loss or gradient is decided on here, before the update: multiplying an
    update by zero would let NaN through.
    """
    num_tokens = sum(batch.num_targets for batch in micro_batches)
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=device)
    for batch in micro_batches:
        inputs_BT = torch.from_numpy(batch.inputs_BT).to(device, non_blocking=True)
        targets_BT = torch.from_numpy(batch.targets_BT).to(device, non_blocking=True)
        loss = loss_sum(inputs_BT, targets_BT) / num_tokens
        loss.backward()
        total += loss.detach()
    parameters = list(model.parameters())
    norm = torch.nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
    applied = bool(torch.isfinite(norm) & torch.isfinite(total))
    if applied:
        if clip and norm > clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, clip, norm)
        set_learning_rate(optimizer, learning_rate)
        optimizer.step()
    return StepResult(float(total), float(norm), num_tokens, applied)
