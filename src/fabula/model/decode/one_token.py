"""One token at a time: a lean pass over prepared weights and caches.

Shapes: B rows, D width, F feed-forward width, H query heads, K key/value heads, G queries a key head serves (H / K),
J all heads (H + 2 K), E head width, S slots, L layers, V vocabulary, N rows of the batch, T time.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fabula.model.decode.kv_cache import LayerCache, Visibility
from fabula.model.decode.weights import DecodingNorm, DecodingWeights


class CachedDecoder:
    """Decodes a batch of rows, each from its own position 0: `prefill` once (or again), then `step` by step.

    A row has at most as many tokens as the context; one that has them goes on after `refill`. `capacity` is the number
    of slots: of steps and of the longest row together. To be used under `torch.inference_mode()`.
    """

    def __init__(self, weights: DecodingWeights, num_rows: int, capacity: int) -> None:
        model = weights.model
        shape, dtype, device = model.shape, model.compute_dtype, model.embedding.weight.device
        self.weights, self.model, self.capacity = weights, model, capacity
        slots = [min(layer.window or capacity, capacity) for layer in weights.layers]
        self.caches = [LayerCache(num_rows, num_slots, shape, dtype, device) for num_slots in slots]
        self.visibility = {num_slots: Visibility(num_rows, num_slots, dtype, device) for num_slots in set(slots)}
        tables: list[Tensor] = [table.weight for table in model.value_tables]
        self.value_tables: Sequence[Tensor | None] = tables or [None] * shape.layers
        self.rope = None if model.positions is not None else weights.rope_tables(min(capacity, shape.context))

    def prefill(self, rows: Sequence[Sequence[int]]) -> Tensor:
        """Logits (B, V) of the token after each row. What was cached before is forgotten.

        The rows' ends are padded for this one pass, which a causal model does not notice; they are cached so that
        they end together.
        """
        longest = max(map(len, rows))
        assert 0 < min(map(len, rows)) and longest <= min(self.capacity, self.model.shape.context)
        device = self.model.embedding.weight.device
        lengths = [len(row) for row in rows]
        tokens_BT = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
        self.length = longest
        self.last_B = torch.tensor([row[-1] for row in rows], device=device)
        self.padding_B = torch.tensor([longest - length for length in lengths], device=device)
        for visibility in self.visibility.values():
            visibility.begin(longest, self.padding_B)
        padding_B = None if min(lengths) == longest else self.padding_B
        keep = [lambda k, v, cache=cache: cache.fill(k, v, padding_B) for cache in self.caches]
        x_BTD = self.model.hidden(tokens_BT, keep)
        last_BD = x_BTD[torch.arange(len(rows), device=device), torch.tensor(lengths, device=device) - 1]
        return self.model.logits(last_BD)

    def refill(self, places: Sequence[int], rows: Sequence[Sequence[int]]) -> None:
        """Read these rows of the batch afresh, all of one length, which the caches hold already; the others wait."""
        length = len(rows[0])
        assert 0 < length <= self.length and all(len(row) == length for row in rows)
        device = self.padding_B.device
        rows_N, tokens_NT = torch.tensor(places, device=device), torch.tensor([*rows], device=device)
        start = self.length - length
        self.padding_B[rows_N], self.last_B[rows_N] = start, tokens_NT[:, -1]
        for visibility in self.visibility.values():
            visibility.begin_again(rows_N, start, self.length)
        keep = [lambda k, v, cache=cache: cache.refill(rows_N, k, v, self.length) for cache in self.caches]
        self.model.hidden(tokens_NT, keep)

    def select(self, places: Sequence[int]) -> None:
        """Go on with these rows of the batch only."""
        rows_B = torch.tensor(places, device=self.padding_B.device)
        self.padding_B, self.last_B = self.padding_B[rows_B], self.last_B[rows_B]
        for cache in self.caches:
            cache.select(rows_B)
        for visibility in self.visibility.values():
            visibility.select(rows_B)

    def step(self, tokens_B: Tensor) -> Tensor:
        """Logits (B, V), float32, of the token after `tokens_B`, which becomes part of the rows."""
        assert self.length < self.capacity, "the caches are full"
        weights, dtype = self.weights, self.model.compute_dtype
        y_BD = weights.final_norm(self._layers(self._embed(tokens_B), tokens_B))
        self.length += 1
        logits_BV = weights.head(y_BD if dtype == torch.float32 else y_BD.to(dtype)).float()
        if weights.late_bias is not None:
            logits_BV = logits_BV + weights.late_bias
        cap = self.model.shape.logit_cap
        return cap * torch.tanh(logits_BV / cap) if cap else logits_BV

    def _layers(self, x_BD: Tensor, tokens_B: Tensor) -> Tensor:
        """The residual stream behind the last layer."""
        model, weights = self.model, self.weights
        shape, dtype, B = model.shape, model.compute_dtype, len(tokens_B)
        H, K, E = shape.heads, shape.num_kv_heads, shape.size_of_head
        places = {slots: visibility.step(self.length) for slots, visibility in self.visibility.items()}
        exact = dtype == torch.float32
        turns = self._turns()
        for layer, cache, turn, table in zip(weights.layers, self.caches, turns, self.value_tables, strict=True):
            slot, used, bias = places[cache.slots]
            norms = layer.norms
            y_BD = norms["attention_norm"](x_BD)
            heads_BJE = layer.qkv(y_BD if exact else y_BD.to(dtype)).view(B, -1, E)
            if layer.qk_norm is not None or turn is not None:
                qk_BJE = turned_BJE = heads_BJE.narrow(1, 0, H + K)
                if not exact:
                    turned_BJE = qk_BJE.float()
                if layer.qk_norm is not None:
                    turned_BJE = layer.qk_norm(turned_BJE)
                if turn is None:
                    qk_BJE.copy_(turned_BJE)
                elif turn[1] is None:
                    qk_BJE.copy_(turned_BJE * turn[0])
                elif exact:
                    torch.addcmul(turned_BJE * turn[0], turned_BJE.roll(E // 2, -1), turn[1], out=qk_BJE)
                else:
                    qk_BJE.copy_(torch.addcmul(turned_BJE * turn[0], turned_BJE.roll(E // 2, -1), turn[1]))
            if table is not None:
                v_BKE = heads_BJE.narrow(1, H + K, K)
                v_BKE.copy_(v_BKE.float() + F.embedding(tokens_B, table).view(B, K, E))
            cache.put(slot, heads_BJE.narrow(1, H, 2 * K))
            # Queries that share keys stand where time does: one position, so nothing is causal here.
            q_BKGE = heads_BJE.narrow(1, 0, H).view(B, K, H // K, E)
            k_BKSE, v_BKSE = cache.used(used)
            y_BKGE = F.scaled_dot_product_attention(q_BKGE, k_BKSE, v_BKSE, attn_mask=bias, scale=layer.scale)
            y_BD = layer.out(y_BKGE.transpose(1, 2).reshape(B, H * E))
            x_BD = _added(x_BD, y_BD, norms.get("attention_post_norm"))
            y_BD = norms["feed_forward_norm"](x_BD)
            y_BF = layer.up(y_BD if exact else y_BD.to(dtype))
            if layer.feed_forward.gated:
                gate_BF, y_BF = y_BF.chunk(2, dim=-1)
                y_BF = layer.feed_forward.activation(gate_BF).mul_(y_BF)
            else:
                y_BF = layer.feed_forward.activation(y_BF)
            x_BD = _added(x_BD, layer.down(y_BF), norms.get("feed_forward_post_norm"))
        return x_BD

    def _embed(self, tokens_B: Tensor) -> Tensor:
        """Embeddings (B, D), a tensor of their own."""
        model = self.model
        x_BD = F.embedding(tokens_B, model.embedding.weight).float() * model.embedding_scale
        if model.previous_token is not None:
            before_BD = F.embedding(self.last_B, model.embedding.weight).float() * model.embedding_scale
            x_BD = torch.addcmul(x_BD, model.previous_token.float(), before_BD)
            self.last_B = tokens_B
        if model.embedding_norm is not None:
            x_BD = model.embedding_norm(x_BD)
        if model.positions is not None:
            x_BD = x_BD + F.embedding(self._positions(), model.positions.weight).float()
        return x_BD

    def _positions(self) -> Tensor:
        """Where each row stands (B), or all of them (1)."""
        alike = not any(visibility.masked for visibility in self.visibility.values())
        return self.length - (self.padding_B[:1] if alike else self.padding_B)

    def _turns(self) -> Sequence[tuple[Tensor, Tensor | None] | None]:
        """For each layer the factors (B or 1, H + K, E) of heads, and of exchanged halves where heads are rotated.

        None: queries and keys stay as they are.
        """
        if self.weights.rope_weights is None:
            return [None] * self.model.shape.layers
        if self.rope is None:
            return [(gain_JE, None) for gain_JE in self.weights.rope_weights[0]]
        position_B = self._positions()
        turns = [
            (weights_LJE[:, None] * table_SLE[position_B].transpose(0, 1)).unbind()
            for weights_LJE, table_SLE in zip(self.weights.rope_weights, self.rope, strict=True)
        ]
        return list(zip(*turns, strict=True))


def _added(x_BD: Tensor, y_BD: Tensor, norm: DecodingNorm | None) -> Tensor:
    """The residual stream with what a half of a layer adds to it, normalised first where the shape asks for it."""
    return x_BD + y_BD if norm is None else norm.added(x_BD, y_BD.float())
