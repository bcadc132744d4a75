"""One optimizer update, which the device decides on: the host launches it, and reads what came of it a step later.

A GPU works through a queue. A host that asks whether a gradient is finite waits until the queue is empty, and the GPU
then waits for the host. So the question is answered on the device, and its answer selects: where it is no, weights
and moments are left as they are, bit for bit. Multiplied by zero, NaN would stay NaN.

Where it can be, the whole update is one CUDA graph: small models launch more kernels than a host can keep up with
(`basic` some hundred of about 5 microseconds each).

Shapes: A micro-batches, R rows, T time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fabula.data.batches import Batch
from fabula.train.update.optimizer import set_learning_rate
from fabula.train.update.step import LossSum, StepResult, accumulate, gradient_norm

STEPS_AHEAD = 1
"""Updates that are launched before the one before them is read: the queue is never empty, and the record one late."""


@dataclass
class _Place:
    """Memory of the host for one update under way: pinned, so that copies do not wait."""

    inputs_ART: Tensor
    targets_ART: Tensor
    outcome: Tensor
    """Loss, gradient norm, and 1 where nothing was changed."""
    copied: "torch.cuda.Event | None"
    free: bool = True


@dataclass(frozen=True)
class _Launched:
    place: _Place
    num_tokens: int

    def result(self) -> StepResult:
        if self.place.copied is not None:
            self.place.copied.synchronize()
        loss, norm, bad = self.place.outcome.tolist()
        self.place.free = True
        return StepResult(loss, norm, self.num_tokens, not bad)


class DeviceStep:
    """Updates of one model and one optimizer. A new optimizer, or tensors of its state that were put in another's
    place, need a new one."""

    def __init__(
        self,
        model: nn.Module,
        loss_sum: LossSum,
        optimizer: torch.optim.Optimizer,
        clip: float,
        shape: tuple[int, int, int],
        device: torch.device,
        graph: bool,
    ) -> None:
        """`shape`: micro-batches, rows and time of an update; `graph`: whether to record it as a CUDA graph."""
        self.parameters, self.loss_sum, self.optimizer, self.clip = list(model.parameters()), loss_sum, optimizer, clip
        self.device, self.wants_graph = device, graph
        self.no_graph: str | None = None
        """Why there is no graph although one was wanted."""
        self.inputs_ART = torch.zeros(shape, dtype=torch.int64, device=device)
        self.targets_ART = torch.zeros(shape, dtype=torch.int64, device=device)
        self.num_tokens = torch.ones((), device=device)
        self.held = torch.zeros((), dtype=torch.bool, device=device)
        """Whether the update is to change nothing, whatever its gradient."""
        self.outcome = torch.zeros(3, device=device)
        self.places = [self._place(shape) for _ in range(STEPS_AHEAD + 1)]
        self.graph: torch.cuda.CUDAGraph | None = None
        self.num_launched = 0

    def _place(self, shape: tuple[int, int, int]) -> _Place:
        on_gpu = self.device.type == "cuda"
        rows = [torch.zeros(shape, dtype=torch.int64, pin_memory=on_gpu) for _ in range(2)]
        outcome = torch.zeros(3, pin_memory=on_gpu)
        return _Place(rows[0], rows[1], outcome, torch.cuda.Event() if on_gpu else None)

    def launch(self, micro_batches: Sequence[Batch], learning_rate: float) -> _Launched:
        """Begin the update with these batches; the one before may still be under way, not the one before that."""
        place = self.places[self.num_launched % len(self.places)]
        assert place.free, "an update is read before the second one after it is launched"
        for at, batch in enumerate(micro_batches):
            place.inputs_ART[at] = torch.from_numpy(batch.inputs_BT)
            place.targets_ART[at] = torch.from_numpy(batch.targets_BT)
        num_tokens = sum(batch.num_targets for batch in micro_batches)
        self.inputs_ART.copy_(place.inputs_ART, non_blocking=True)
        self.targets_ART.copy_(place.targets_ART, non_blocking=True)
        self.num_tokens.fill_(num_tokens)
        set_learning_rate(self.optimizer, learning_rate)
        if self.wants_graph and self.graph is None:
            self._make_state()
            try:
                self.graph = self._recorded()
            except RuntimeError as error:  # a driver, or an operation that no graph can hold
                self.wants_graph, self.no_graph = False, str(error).splitlines()[0][:160]
        if self.graph is None:
            self._update()
        else:
            self.graph.replay()
        place.outcome.copy_(self.outcome, non_blocking=True)
        if place.copied is not None:
            place.copied.record()
        place.free = False
        self.num_launched += 1
        return _Launched(place, num_tokens)

    def _update(self) -> None:
        """What the device does: nothing in here asks it anything."""
        self.optimizer.zero_grad(set_to_none=True)
        rows = list(zip(self.inputs_ART.unbind(), self.targets_ART.unbind(), strict=True))
        total = accumulate(self.loss_sum, rows, self.num_tokens, self.device)
        norm = gradient_norm(self.parameters)
        bad = ~(norm.isfinite() & total.isfinite())
        if self.clip:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.clip, norm)
        # As torch's own scaler says it: a fused AdamW with 1 here returns before it touches anything.
        self.optimizer.found_inf = (bad | self.held).float()  # type: ignore[attr-defined]
        self.optimizer.step()
        self.outcome.copy_(torch.stack((total, norm.float(), bad.float())))

    def _make_state(self) -> None:
        """Updates that change nothing: an optimizer makes its state in its first step, and what is made while a graph
        is recorded would be made anew at each replay."""
        self.held.fill_(True)
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(2):
                self._update()
        torch.cuda.current_stream().wait_stream(beside)
        torch.cuda.synchronize()
        self.held.fill_(False)

    def _recorded(self) -> torch.cuda.CUDAGraph:
        """An update as a graph."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._update()
        return graph
