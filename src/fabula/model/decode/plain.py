"""Decoding a model of the user's own, of which it is not known what can be kept from one token to the next.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fabula.model.own import OwnModel


class PlainWeights:
    """Stands where DecodingWeights do: nothing is prepared."""

    def __init__(self, model: OwnModel) -> None:
        self.model, self.device = model, model.device


class PlainDecoder:
    """Does what CachedDecoder does. Every token costs a pass over its whole row, each row by itself: beside a longer
    one it would have to be filled up, and whether a model leaves that out of account is not known either."""

    length, capacity = 0, -1
    """There are no slots that could be full."""

    def __init__(self, weights: PlainWeights) -> None:
        self._model, self._rows = weights.model, list[list[int]]()

    def prefill(self, rows: Sequence[Sequence[int]]) -> Tensor:
        self._rows = [list(row) for row in rows]
        return self._logits()

    def step(self, tokens_B: Tensor) -> Tensor:
        for row, token in zip(self._rows, tokens_B.tolist(), strict=True):
            row.append(token)
        return self._logits()

    def select(self, places: Sequence[int]) -> None:
        self._rows = [self._rows[place] for place in places]

    def refill(self, places: Sequence[int], rows: Sequence[Sequence[int]]) -> None:
        for place, row in zip(places, rows, strict=True):
            self._rows[place] = list(row)

    def _logits(self) -> Tensor:
        """(B, V): what is expected behind each row."""
        device = self._model.device
        return torch.cat([self._model(torch.tensor([row], device=device))[:, -1] for row in self._rows])
