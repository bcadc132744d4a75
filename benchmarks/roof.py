"""The least time that a step can take here: its head as fast as we can make it, its layers at the rate of a product.

    roof = time of the head, loss and gradients, measured alone
         + FLOP of the layers / measured rate of bfloat16 products of the layers' shapes

FLOP of the layers of a step: 6 a number in the layers' matrices and a position (2 forward, 4 backward; Kaplan et al.
2020, table 1), and for attention 6 x layers x context x width a position (PaLM, Chowdhery et al. 2022, appendix B:
twice that, halved because it is causal). Norms, activations, embedding and optimizer are not in it: they are what the
distance to the roof is made of. Shapes: N positions, D width, V vocabulary.
"""

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from fabula.data.batches import BatchSource
from fabula.model.loss import linear_cross_entropy
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Model, Recipe
from fabula.train.machine.memory.keeping import keep_freed_memory
from fabula.train.machine.waiting import waited_seconds

PRODUCTS_A_TURN = 5


def working_seconds() -> float:
    """A clock that stands still while this thread waits for a processor."""
    return time.perf_counter() - (waited_seconds() or 0.0)


def layer_flop(recipe: Recipe, vocabulary: int) -> float:
    """Of all layers in one step, forward and backward."""
    shape = recipe.model
    a_position = 6.0 * count_parameters(shape, vocabulary).without_embeddings
    a_position += 6.0 * shape.layers * shape.context * shape.heads * shape.size_of_head
    return a_position * recipe.positions_per_step


def head_flop(recipe: Recipe, vocabulary: int) -> float:
    """Of the head in one step: its logits, and the two gradients."""
    return 6.0 * vocabulary * recipe.model.width * recipe.positions_per_step


def layer_shapes(shape: Model) -> list[tuple[int, int]]:
    """(inputs, outputs) of the matrices of a layer."""
    queries, keys = shape.heads * shape.size_of_head, shape.num_kv_heads * shape.size_of_head
    inner = shape.size_of_feed_forward
    up = inner * (2 if shape.gated else 1)
    return [(shape.width, queries + 2 * keys), (queries, shape.width), (shape.width, up), (inner, shape.width)]


def matrix_rate(rows: int, inner: int, columns: int, dtype: torch.dtype, repeats: int) -> float:
    """FLOP a second of (rows, inner) times (inner, columns): the median of `repeats` products."""
    a, b = torch.randn(rows, inner, dtype=dtype), torch.randn(inner, columns, dtype=dtype)
    a @ b
    seconds = []
    for _ in range(repeats):
        started = working_seconds()
        a @ b
        seconds.append(working_seconds() - started)
    return 2.0 * rows * inner * columns / statistics.median(seconds)


class Roof:
    """Measures, a turn at a time, what the roof of `recipe` is made of."""

    def __init__(self, recipe: Recipe, vocabulary: int, source: BatchSource) -> None:
        keep_freed_memory()
        shape = recipe.model
        self.source, self.cap = source, shape.logit_cap
        self.flop, self.head_flop = layer_flop(recipe, vocabulary), head_flop(recipe, vocabulary)
        self.micro_steps = recipe.batch.accumulation
        rows = recipe.batch.rows * shape.context
        self.x_ND = torch.randn(rows, shape.width, dtype=torch.bfloat16, requires_grad=True)
        self.head_VD = (0.02 * torch.randn(vocabulary, shape.width)).requires_grad_()
        self.bias_V = torch.zeros(vocabulary, requires_grad=True) if shape.head_bias else None
        self.targets_N = torch.randint(vocabulary, (rows,))
        self.loss = linear_cross_entropy if recipe.compute.compile == "off" else torch.compile(linear_cross_entropy)
        self.products = [
            (torch.randn(rows, inner, dtype=torch.bfloat16), torch.randn(columns, inner, dtype=torch.bfloat16).T)
            for inner, columns in layer_shapes(shape)
        ]

    def head(self) -> Tensor:
        self.x_ND.grad = self.head_VD.grad = None
        if self.bias_V is not None:
            self.bias_V.grad = None
        loss: Tensor = self.loss(self.x_ND, self.head_VD, self.bias_V, self.targets_N, self.cap)
        loss.backward()
        return loss

    def body_rate(self) -> float:
        """FLOP a second of the products of a layer."""
        flop = sum(2.0 * a.shape[0] * a.shape[1] * b.shape[1] for a, b in self.products)
        started = working_seconds()
        for _ in range(PRODUCTS_A_TURN):
            for a, b in self.products:
                a @ b
        return PRODUCTS_A_TURN * flop / (working_seconds() - started)

    def turn(self, steps: int) -> dict[str, Any]:
        waited, started = waited_seconds() or 0.0, working_seconds()
        for _ in range(steps * self.micro_steps):
            self.head()
        head = (working_seconds() - started) / steps
        rates = [self.body_rate() for _ in range(steps * self.micro_steps)]
        rate = statistics.median(rates)
        started = working_seconds()
        for step in range(1, steps + 1):
            for micro_step in range(self.micro_steps):
                self.source.batch(step, micro_step)
        batch = (working_seconds() - started) / steps
        return {
            "seconds": steps * (head + self.flop / rate),
            "waited_seconds": (waited_seconds() or 0.0) - waited,
            "head_seconds": head,
            "body_flop_per_second": rate,
            "batch_seconds": batch,
            "layer_flop": self.flop,
            "head_flop": self.head_flop,
        }
