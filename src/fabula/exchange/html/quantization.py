"""Weights as 8-bit integers, and the model that computes with them here.

Shapes: V rows, D columns.

A matrix becomes, row by row, integers from -127 to 127 and one float32 scale: the row's largest weight over 127. What
has one dimension (norms, biases) stays float32, for it is small and everything passes through it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fabula.errors import InputError
from fabula.model.decoder import Decoder

LARGEST = 127


class Rows(NamedTuple):
    """A matrix: `integers` (V, D) times `scales` (V)."""

    integers_VD: npt.NDArray[np.int8]
    scales_V: npt.NDArray[np.float32]

    def floats(self) -> npt.NDArray[np.float32]:
        return self.integers_VD.astype(np.float32) * self.scales_V[:, None]


def rows_of(matrix_VD: npt.NDArray[np.float32]) -> Rows:
    """The nearest integers. A row of zeros has the scale 0."""
    scales_V = np.abs(matrix_VD).max(axis=1, initial=0.0) / np.float32(LARGEST)
    divisors_V = np.where(scales_V > 0, scales_V, np.float32(1))
    # A row of numbers so small that their scale has lost digits could round beyond 127.
    integers_VD = np.clip(np.rint(matrix_VD / divisors_V[:, None]), -LARGEST, LARGEST)
    return Rows(integers_VD.astype(np.int8), scales_V)


Weights = dict[str, Rows | npt.NDArray[np.float32]]


def quantized(state: Mapping[str, Tensor]) -> Weights:
    """The tensors of a Decoder's state_dict by name. Raises InputError for a weight that is not finite."""
    weights: Weights = {}
    for name, tensor in state.items():
        values = tensor.detach().cpu().float().numpy()
        if not np.isfinite(values).all():
            raise InputError(f"the weights {name} are not all finite; use another --step")
        weights[name] = rows_of(values) if values.ndim == 2 else values
    return weights


def int8_decoder(model: Decoder) -> Decoder:
    """The decoder whose float32 weights are what the integers and scales of `model` stand for: the page's."""
    with torch.device("meta"):
        same = Decoder(model.shape, model.vocabulary)
    weights = quantized(model.state_dict())
    floats = {name: each.floats() if isinstance(each, Rows) else each for name, each in weights.items()}
    same.load_state_dict({name: torch.from_numpy(each) for name, each in floats.items()}, strict=True, assign=True)
    return same.eval()
