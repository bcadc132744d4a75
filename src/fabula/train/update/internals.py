"""A look inside one update: gradients, updates, activations and attention, layer by layer.

Nothing that is computed changes. Activations come from one row that passes through a twin of the model, which has the
same weights and hooks of its own: the model itself, perhaps compiled, is not touched.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fabula.model.decoder import Decoder
from fabula.model.layers import Attention
from fabula.train.machine.memory.free import own_bytes
from fabula.train.machine.waiting import all_waited_seconds
from fabula.train.update.step import StepResult

DEAD_BELOW = 1e-3
"""A unit is dead where it never exceeds this part of its layer's root mean square: ReLU gives 0 there, and GELU, which
never is quite 0, -1e-3 at -3.4."""
LOGIT_POSITIONS = 64
"""Positions whose logits are looked at: with 50,257 words 13 MB."""


@dataclass
class Inside:
    """One update, seen from before it to after it."""

    weights: dict[str, Tensor]
    seen: dict[str, Any]
    """Of the row that went through the twin."""
    seconds: float = field(default=0.0)
    """What the look before the update took."""

    @classmethod
    @torch.no_grad()
    def before(cls, model: Decoder, inputs_BT: Tensor, some_hidden: bool) -> "Inside":
        """Keep the weights, and look at what the first of these rows makes of them."""
        started = time.perf_counter()
        weights = {name: each.detach().clone() for name, each in model.named_parameters()}
        seen = activations(model, inputs_BT[:1], some_hidden)
        return cls(weights, seen, time.perf_counter() - started)

    @torch.no_grad()
    def after(self, model: Decoder, result: StepResult, clip: float) -> dict[str, Any]:
        """The line of the record, but for its step, of the model as it is now."""
        started = time.perf_counter()
        # The gradients as they stand are clipped: what they were before is told.
        scale = max(1.0, result.grad_norm / clip) if clip and result.applied else 1.0
        parts = [_movement(each, self.weights, scale) for each in parts_of(model)]
        first, *layers, last = parts
        line: dict[str, Any] = {name: [each[name] for each in layers] for name in first}
        line |= {f"embedding_{name}": value for name, value in first.items()}
        line |= {f"head_{name}": value for name, value in last.items()}
        memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else own_bytes()
        line |= self.seen | {"memory_bytes": memory, "waited_seconds": all_waited_seconds()}
        return line | {"looking_seconds": self.seconds + time.perf_counter() - started}


Named = list[tuple[str, nn.Parameter]]


def parts_of(model: Decoder) -> list[Named]:
    """The parameters: embeddings, then layer by layer, then what comes behind the last one."""
    layers: list[Named] = [[] for _ in model.stack]
    first: Named = []
    last: Named = []
    for name, parameter in model.named_parameters():
        head, _, rest = name.partition(".")
        if head == "layers":
            layers[int(rest.partition(".")[0])].append((name, parameter))
        else:
            (last if head in ("final_norm", "head", "head_bias") else first).append((name, parameter))
    return [first, *layers, last]


def _movement(part: Named, before: dict[str, Tensor], scale: float) -> dict[str, float | None]:
    """Gradient norm, length of the update per length of the weights, and the share of weights that are as before. The
    ratio is that of the matrices: norms and biases start at one or at zero, which says nothing of a step's size."""
    if not part:
        return {"grad_norm": None, "update_ratio": None, "unchanged": None}
    gradients = [each.grad for _, each in part if each.grad is not None]
    changes = [each.float() - before[name].float() for name, each in part]
    matrices = [(before[name], change) for (name, _), change in zip(part, changes, strict=True) if change.ndim > 1]
    size = _norm([weights for weights, _ in matrices])
    same = sum(int((each == 0).sum()) for each in changes)
    return {
        "grad_norm": _norm(gradients) * scale,
        "update_ratio": _norm([change for _, change in matrices]) / size if size else None,
        "unchanged": same / sum(each.numel() for each in changes),
    }


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm([each.float() for each in tensors])) if tensors else 0.0


def activations(model: Decoder, inputs_BT: Tensor, some_hidden: bool) -> dict[str, Any]:
    """What these rows show in each layer: the scale of what it hands on (root mean square), the share of its units that
    are dead on all of them, and its largest attention logit; and how far the head's logits lie apart (their standard
    deviation)."""
    twin = twin_of(model)
    scales: list[float] = []
    dead: list[float] = []
    logits: list[float] = []
    for layer in twin.stack:
        layer.register_forward_hook(lambda _, __, x_BTD: scales.append(_rms(x_BTD)))
        layer.feed_forward.down.register_forward_pre_hook(lambda _, given: dead.append(dead_share(given[0])))
        layer.attention.register_forward_pre_hook(lambda each, given: logits.append(largest_logit(each, *given[:3])))
    x_BTD = twin.hidden(inputs_BT, some_hidden=some_hidden)
    spread = twin.logits(x_BTD[:1, -LOGIT_POSITIONS:]).std(-1).mean()
    return {"activation": scales, "dead_units": dead, "attention_logit": logits, "logit_scale": float(spread)}


def twin_of(model: Decoder) -> Decoder:
    """Another object with the same weights, not copied."""
    with torch.device("meta"):
        twin = Decoder(model.shape, model.vocabulary, model.compute_dtype)
    twin.load_state_dict(model.state_dict(), assign=True)
    return twin


def dead_share(x_BTF: Tensor) -> float:
    """The share of units that are about 0 at every position."""
    largest_F = x_BTF.float().abs().flatten(0, 1).amax(0)
    return float((largest_F <= DEAD_BELOW * _rms(x_BTF)).float().mean())


def largest_logit(layer: Attention, x_BTD: Tensor, rope: Any, values: Tensor | None) -> float:
    """The largest magnitude of a score before its softmax, among the positions that are attended to."""
    q_BHTE, k_BKTE, _ = layer.project(x_BTD, rope, values)
    k_BHTE = k_BKTE.repeat_interleave(q_BHTE.shape[1] // k_BKTE.shape[1], dim=1)
    scores_BHTT = (q_BHTE @ k_BHTE.transpose(-1, -2)).float().abs() * layer.scale
    visible_BHTT = scores_BHTT.tril()
    if layer.window:
        visible_BHTT = visible_BHTT.triu(1 - layer.window)
    return float(visible_BHTT.amax())


def _rms(x: Tensor) -> float:
    return float(x.float().square().mean().sqrt())
