"""Loss by position: what a model makes of human stories at their beginning, and what the further it gets.

A model that has learned words and not stories gains nothing from what was told before.
"""

from collections.abc import Sequence
from typing import Any

import torch

from fabula.coherence.prompts.sets import Prompt
from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel


def loss_by_position(
    model: Decoder | OwnModel, tokenizer: Tokenizer, prompts: Sequence[Prompt]
) -> list[dict[str, Any]]:
    """Of the prompts with a human's continuation: mean nats of the story's tokens 0 to 15, 16 to 31, 32 to 63, and so
    on up to the context, end-of-text before them. Row by row: the logits of all would not fit into memory."""
    nats: list[list[float]] = []
    device = model.device
    with torch.inference_mode():
        for prompt in prompts:
            if prompt.continuation is None:
                continue
            ids = [tokenizer.eot, *tokenizer.encode(prompt.text + prompt.continuation).tolist()]
            tokens_T = torch.tensor(ids[: model.shape.context + 1], device=device)
            logits_TV = model(tokens_T[None, :-1])[0]
            nats.append(torch.nn.functional.cross_entropy(logits_TV, tokens_T[1:], reduction="none").tolist())
    found, start, stop = [], 0, 16
    while values := [value for row in nats for value in row[start:stop]]:
        found.append({"from": start, "to": stop, "tokens": len(values), "nats": sum(values) / len(values)})
        start, stop = stop, 2 * stop
    return found
