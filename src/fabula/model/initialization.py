"""Initial weights.

| scheme | embedding, positions, untied head | linear weights | biases |
|---|---|---|---|
| `default` | N(0, 1); untied head as linear | U(-a, a), a = 1 / sqrt(fan-in) | U(-a, a), a = 1 / sqrt(fan-in) |
| `scaled` | N(0, std) | N(0, std) | 0 |
| `scaled_residual` | N(0, std) | N(0, std); writers: N(0, std / sqrt(2 layers)) | 0 |
| `normal_embedding` | N(0, 1); untied head N(0, std) | N(0, std) | 0 |
| `zero_writers` | N(0, 1); untied head 0 | U(-b, b), b = sqrt(3 / fan-in) / 2; writers: 0 | 0 |

Writers are the two linear maps of a layer that write to the residual stream. Value embeddings are drawn as the
embedding is, with `zero_writers` N(0, 1/4). Norm weights start as the identity in every scheme, the weights of the
previous token as zero. `default` is what torch.nn does for Embedding and Linear.
`scaled_residual` is GPT-2's (Radford et al. 2019, section 2.3).
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from fabula.model.decoder import Decoder
from fabula.model.layers import Linear, Norm
from fabula.recipe.schema import Initialization

INITIALIZATION_STREAM = 0x696E6974  # "init": keeps these numbers apart from the order's and the completions'
RESIDUAL_WRITERS = ("attention.out", "feed_forward.down")
VALUE_EMBEDDING_STD = 0.25
"""Of `zero_writers`: small beside the values of about 1/2 that such linear weights make of a normalised input."""


def initialization_seed(seed: int) -> int:
    """The seed of the initial weights in a run with `seed`."""
    return int(np.random.SeedSequence([INITIALIZATION_STREAM, seed]).generate_state(1, np.uint64)[0] >> 1)


@torch.no_grad()
def initialize(model: Decoder, initialization: Initialization, seed: int) -> None:
    """Fill all weights of `model` in place; the same seed gives the same weights on any device.

    Numbers are drawn on the CPU in the order of the modules, from a stream of their own.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(weight: Tensor, std: float) -> None:
        weight.copy_(torch.empty(weight.shape).normal_(0.0, std, generator=generator))

    def uniform(weight: Tensor, limit: float) -> None:
        weight.copy_(torch.empty(weight.shape).uniform_(-limit, limit, generator=generator))

    scheme, std = initialization.scheme, initialization.std
    default, zero = scheme == "default", scheme == "zero_writers"
    residual_std = std / math.sqrt(2 * model.shape.layers) if scheme == "scaled_residual" else std
    embedding_std = 1.0 if scheme in ("default", "normal_embedding", "zero_writers") else std
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding):
            of_values = zero and name.startswith("value_embeddings")
            normal(module.weight, VALUE_EMBEDDING_STD if of_values else embedding_std)
        elif isinstance(module, Linear):
            limit = 1.0 / math.sqrt(module.in_features)
            writes = name.endswith(RESIDUAL_WRITERS)
            if zero:
                module.weight.zero_() if writes else uniform(module.weight, limit * math.sqrt(3.0) / 2.0)
            elif default:
                uniform(module.weight, limit)
            else:
                normal(module.weight, residual_std if writes else std)
            if module.bias is not None:
                uniform(module.bias, limit) if default else module.bias.zero_()
        elif isinstance(module, Norm):
            module.reset()
    limit = 1.0 / math.sqrt(model.shape.width)
    if model.previous_token is not None:
        model.previous_token.zero_()
    if model.head is not None and zero:
        model.head.zero_()
    elif model.head is not None:
        uniform(model.head, limit) if default else normal(model.head, std)
    if model.head_bias is not None:
        uniform(model.head_bias, limit) if default else model.head_bias.zero_()
