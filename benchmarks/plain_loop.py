"""The training loop that most people write: GPT-2's shape, torch's fused attention, autocast, one cross-entropy.

The reference that fabula's speed is measured against, tuned as its users would: vocabulary filled up to a multiple of
64, fused AdamW, gradients clipped, bfloat16 autocast, torch.compile. Shapes as in fabula.model: B, T, D, H, E.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class PlainLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)])
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q, k, v = (
            each.view(B, T, self.heads, D // self.heads).transpose(1, 2)
            for each in self.qkv(self.norms[0](x_BTD)).chunk(3, dim=-1)
        )
        y_BHTE = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.out(y_BHTE.transpose(1, 2).reshape(B, T, D))
        return x_BTD + self.down(F.gelu(self.up(self.norms[1](x_BTD)), approximate="tanh"))


class PlainGPT(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, context: int, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.layers = nn.ModuleList(PlainLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.embedding(tokens_BT) + self.positions.weight[: tokens_BT.shape[1]]
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return F.linear(self.norm(x_BTD), self.embedding.weight)

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(tokens_BT).flatten(0, 1), targets_BT.flatten())
