"""Completions of fixed prompts: what a reader looks at first."""

from typing import Any

import numpy as np

from fabula.data.tokenizers.tokenizer import Tokenizer
from fabula.model.decode.generate import complete
from fabula.model.decoder import Decoder
from fabula.model.own import OwnModel
from fabula.score.known_stories import KnownStories

COMPLETION_STREAM = 0x74656C6C  # "tell": apart from the streams of initialisation and order
TEMPERATURE = 0.8
TOP_P = 0.95


def complete_prompts(
    model: Decoder | OwnModel,
    tokenizer: Tokenizer,
    prompts: tuple[str, ...],
    num_tokens: int,
    seed: int,
    known: KnownStories | None = None,
) -> list[dict[str, Any]]:
    """One completion of each prompt, as the fields of samples.jsonl; the same seed gives the same text. With `known`,
    how it compares with the stories."""
    ids = [[tokenizer.eot, *tokenizer.encode(prompt).tolist()] for prompt in prompts]
    stream = int(np.random.SeedSequence([COMPLETION_STREAM, seed]).generate_state(1, np.uint64)[0] >> 1)
    longest = model.shape.context - max(map(len, ids))
    num_tokens, eot = min(num_tokens, longest), tokenizer.eot
    outputs = complete(model, ids, num_tokens=num_tokens, eot=eot, temperature=TEMPERATURE, top_p=TOP_P, seed=stream)
    texts = [tokenizer.decode(output) for output in outputs]
    compared: list[dict[str, Any]] = known.fields(prompts, outputs, texts) if known else [{} for _ in prompts]
    return [
        {
            "prompt": prompt,
            "completion": text,
            "seed": seed,
            "temperature": TEMPERATURE,
            "top_p": TOP_P,
            **fields,
        }
        for prompt, text, fields in zip(prompts, texts, compared, strict=True)
    ]
