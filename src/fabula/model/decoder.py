"""The decoder: one class for the GPT tiers, Gemma 3 and Llama shapes; the recipe's `model` section is its shape.

Shapes: B batch, T time, D width, V vocabulary.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fabula.model.embedding import Embedding
from fabula.model.layers import Attention, FeedForward, Keep, Norm, rope_tables
from fabula.model.loss import linear_cross_entropy
from fabula.recipe.schema import Model


class Layer(nn.Module):
    """Attention and feed-forward, each normalised before and added to the residual stream (Gemma: after, too)."""

    def __init__(self, shape: Model, index: int) -> None:
        super().__init__()
        self.attention_norm = Norm(shape.norm, shape.width, shape.norm_epsilon)
        self.attention = Attention(shape, index)
        self.feed_forward_norm = Norm(shape.norm, shape.width, shape.norm_epsilon)
        self.feed_forward = FeedForward(shape)
        self.attention_post_norm = self.feed_forward_post_norm = None
        if shape.post_norm:
            self.attention_post_norm = Norm(shape.norm, shape.width, shape.norm_epsilon)
            self.feed_forward_post_norm = Norm(shape.norm, shape.width, shape.norm_epsilon)

    @property
    def norms(self) -> dict[str, Norm]:
        return {name: part for name, part in self.named_children() if isinstance(part, Norm)}

    def forward(
        self,
        x_BTD: Tensor,
        rope: tuple[Tensor, Tensor] | None,
        dtype: torch.dtype,
        values: Tensor | None = None,
        keep: Keep | None = None,
    ) -> Tensor:
        y_BTD = self.attention(self.attention_norm(x_BTD).to(dtype), rope, values, keep)
        x_BTD = x_BTD + (y_BTD if self.attention_post_norm is None else self.attention_post_norm(y_BTD.float()))
        y_BTD = self.feed_forward(self.feed_forward_norm(x_BTD).to(dtype))
        return x_BTD + (y_BTD if self.feed_forward_post_norm is None else self.feed_forward_post_norm(y_BTD.float()))


class Decoder(nn.Module):
    """A decoder-only transformer language model.

    `compute_dtype` is the type of matrix products (float32 or bfloat16); parameters keep their own type.
    """

    def __init__(self, shape: Model, vocabulary: int, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.shape, self.vocabulary, self.compute_dtype = shape, vocabulary, compute_dtype
        self.embedding = Embedding(vocabulary, shape.width)
        self.embedding_scale = math.sqrt(shape.width) if shape.embedding_scale == "sqrt_width" else 1.0
        self.previous_token = nn.Parameter(torch.empty(shape.width)) if shape.previous_token else None
        self.embedding_norm = Norm(shape.norm, shape.width, shape.norm_epsilon) if shape.embedding_norm else None
        self.positions = nn.Embedding(shape.context, shape.width) if shape.positions == "learned" else None
        tables = shape.layers if shape.value_embeddings else 0
        self.value_embeddings = nn.ModuleList(
            Embedding(vocabulary, shape.num_kv_heads * shape.size_of_head) for _ in range(tables)
        )
        self.layers = nn.ModuleList(Layer(shape, index) for index in range(shape.layers))
        self.final_norm = Norm(shape.norm, shape.width, shape.norm_epsilon)
        self.head = None if shape.tied else nn.Parameter(torch.empty(vocabulary, shape.width))
        self.head_bias = nn.Parameter(torch.empty(vocabulary)) if shape.head_bias else None

    @property
    def stack(self) -> list[Layer]:
        """The layers, from the embedding up."""
        return cast("list[Layer]", list(self.layers))

    @property
    def value_tables(self) -> list[Embedding]:
        """The value embeddings of the layers; empty where there are none."""
        return cast("list[Embedding]", list(self.value_embeddings))

    @property
    def head_weight(self) -> Tensor:
        return self.embedding.weight if self.head is None else self.head

    def hidden(self, tokens_BT: Tensor, keep: Sequence[Keep] | None = None, some_hidden: bool = False) -> Tensor:
        """Final hidden states (B, T, D), float32, of whole rows from position 0.

        `keep[i]` is shown the keys and values of layer i. With `some_hidden`, embeddings of tokens below 0 are zero.
        """
        T = tokens_BT.shape[1]
        assert T <= self.shape.context, f"{T} tokens do not fit into a context of {self.shape.context}"
        # Scaled in float32: bfloat16 would round sqrt(D) itself.
        visible_BT1 = (tokens_BT >= 0).float()[..., None] if some_hidden else None
        tokens_BT = tokens_BT.clamp(min=0) if some_hidden else tokens_BT
        x_BTD = self.embedding(tokens_BT).float() * self.embedding_scale
        if visible_BT1 is not None:
            x_BTD = x_BTD * visible_BT1
        if self.previous_token is not None:
            x_BTD = x_BTD + self.previous_token.float() * F.pad(x_BTD, (0, 0, 1, 0))[:, :-1]
        if self.embedding_norm is not None:
            x_BTD = self.embedding_norm(x_BTD)
        if self.positions is not None:
            x_BTD = x_BTD + self.positions.weight[:T].float()
        rope_global, rope_local = self.rope(T, tokens_BT.device)
        for index, layer in enumerate(self.layers):
            rope = rope_local if self.shape.is_local(index) else rope_global
            values = self.value_tables[index](tokens_BT) if self.value_tables else None
            if values is not None and visible_BT1 is not None:
                values = values * visible_BT1
            x_BTD = layer(x_BTD, rope, self.compute_dtype, values, None if keep is None else keep[index])
        return self.final_norm(x_BTD)

    def rope(
        self, length: int, device: torch.device
    ) -> tuple[tuple[Tensor, Tensor] | None, tuple[Tensor, Tensor] | None]:
        """Rotary tables of the global and of the local layers; None where positions are learned."""
        if self.positions is not None:
            return None, None
        width, shape = self.shape.size_of_head, self.shape
        tables = rope_tables(length, width, shape.rope_base, device)
        local = rope_tables(length, width, shape.rope_local_base, device) if shape.sliding_window else None
        return tables, local

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Logits (B, T, V), float32, of final hidden states."""
        dtype = self.compute_dtype
        logits_BTV = (x_BTD.to(dtype) @ self.head_weight.to(dtype).T).float()
        if self.head_bias is not None:
            logits_BTV = logits_BTV + self.head_bias.float()
        cap = self.shape.logit_cap
        return cap * torch.tanh(logits_BTV / cap) if cap else logits_BTV

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits (B, T, V), float32. For losses use `loss`, which never holds them all."""
        return self.logits(self.hidden(tokens_BT))

    def loss(self, x_BTD: Tensor, targets_BT: Tensor) -> Tensor:
        """Sum of -log p over the targets that are not IGNORE, in nats, float32, from final hidden states."""
        return linear_cross_entropy(
            x_BTD.flatten(0, 1).to(self.compute_dtype),
            self.head_weight,
            self.head_bias,
            targets_BT.flatten(),
            self.shape.logit_cap,
        )


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers, a tied head counted once."""
    return sum(parameter.numel() for parameter in model.parameters())
