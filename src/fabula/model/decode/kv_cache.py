"""Keys and values of the tokens a batch has seen, so that the next token costs one position.

Rows of different lengths end together: row b of a batch of slots S begins at slot `padding_B[b]`, and the next token
of every row goes to one and the same slot. A row that is read afresh begins again in the middle, so that it ends with
the others. A sliding-window layer keeps a ring of `window` slots, so its memory and
work stay the same however long the text grows.

Shapes: B rows, T time, S slots, K key/value heads, J heads of keys and values together (2 K), E head width.
"""

import torch
from torch import Tensor

from fabula.recipe.schema import Model


class LayerCache:
    """Keys and values of one layer: `slots` of them, preallocated, written round and round.

    A layer that sees everything has as many slots as there will be tokens and so never comes round.
    """

    def __init__(self, rows: int, slots: int, shape: Model, dtype: torch.dtype, device: torch.device) -> None:
        self.slots = slots
        self._keep(torch.zeros(rows, 2 * shape.num_kv_heads, slots, shape.size_of_head, dtype=dtype, device=device))

    def _keep(self, both_BJSE: Tensor) -> None:
        self.both_BJSE = both_BJSE
        self.k_BKSE, self.v_BKSE = both_BJSE.chunk(2, dim=1)

    def fill(self, k_BKTE: Tensor, v_BKTE: Tensor, padding_B: Tensor | None) -> None:
        """Store whole rows that begin together (their ends padded) so that they end together.

        Row b moves right by `padding_B[b]` (None: no row moves); of a ring only the last `slots` tokens matter.
        """
        T = k_BKTE.shape[2]
        if padding_B is None and T <= self.slots:
            self.k_BKSE.narrow(2, 0, T).copy_(k_BKTE)
            self.v_BKSE.narrow(2, 0, T).copy_(v_BKTE)
            return
        padding_B = torch.zeros(len(k_BKTE), dtype=torch.long, device=k_BKTE.device) if padding_B is None else padding_B
        time_S = torch.arange(max(0, T - self.slots), T, device=k_BKTE.device)
        source_BS = (time_S - padding_B[:, None]).clamp(min=0)
        index = source_BS[:, None, :, None].expand(-1, k_BKTE.shape[1], -1, k_BKTE.shape[3])
        self.k_BKSE[:, :, time_S % self.slots] = k_BKTE.gather(2, index)
        self.v_BKSE[:, :, time_S % self.slots] = v_BKTE.gather(2, index)

    def refill(self, rows_N: Tensor, k_NKTE: Tensor, v_NKTE: Tensor, end: int) -> None:
        """Store these rows anew, of one length, to end before slot `end`; of a ring only what fits matters."""
        T = min(k_NKTE.shape[2], self.slots)
        slot_T = torch.arange(end - T, end, device=rows_N.device) % self.slots
        self.k_BKSE[rows_N[:, None], :, slot_T] = k_NKTE[:, :, -T:].transpose(1, 2)
        self.v_BKSE[rows_N[:, None], :, slot_T] = v_NKTE[:, :, -T:].transpose(1, 2)

    def put(self, slot: int, both_BJE: Tensor) -> None:
        """Store one token's keys and values, keys first."""
        self.both_BJSE.select(2, slot).copy_(both_BJE)

    def used(self, slots: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the first `slots` slots."""
        if slots == self.slots:
            return self.k_BKSE, self.v_BKSE
        return self.k_BKSE.narrow(2, 0, slots), self.v_BKSE.narrow(2, 0, slots)

    def select(self, rows_B: Tensor) -> None:
        """Go on with these rows only."""
        self._keep(self.both_BJSE[rows_B])


class Visibility:
    """Which slots of a kind of layer (ring or not) a query sees: a count, and where rows differ, an additive mask."""

    def __init__(self, rows: int, slots: int, dtype: torch.dtype, device: torch.device) -> None:
        self.slots = slots
        self.bias_BS = torch.zeros((rows, slots), dtype=dtype, device=device)

    def begin(self, length: int, padding_B: Tensor) -> None:
        """After `length` slots have been used by rows that begin at `padding_B`."""
        self.bias_BS.zero_()
        self.masked = bool(padding_B.any())
        if self.masked:
            time_S = torch.arange(max(0, length - self.slots), length, device=padding_B.device)
            hidden_BS = (time_S < padding_B[:, None]).to(self.bias_BS.dtype)
            self.bias_BS[:, time_S % self.slots] = hidden_BS * torch.finfo(self.bias_BS.dtype).min

    def begin_again(self, rows_N: Tensor, start: int, end: int) -> None:
        """These rows begin at slot `start`, and `end` slots have been used."""
        self.masked = True
        self.bias_BS[rows_N, : min(end, self.slots)] = torch.finfo(self.bias_BS.dtype).min
        slot_T = torch.arange(max(start, end - self.slots), end, device=rows_N.device) % self.slots
        self.bias_BS[rows_N[:, None], slot_T] = 0.0

    def step(self, time: int) -> tuple[int, int, Tensor | None]:
        """The slot of the token at `time`, how many slots are in use then, and the mask (B, 1, 1, S)."""
        slot, used = time % self.slots, min(time + 1, self.slots)
        if not self.masked:
            return slot, used, None
        if time >= self.slots:
            self.bias_BS[:, slot] = 0.0
        return slot, used, self.bias_BS[:, None, None, :used]

    def select(self, rows_B: Tensor) -> None:
        """Go on with these rows only."""
        self.bias_BS = self.bias_BS[rows_B]
