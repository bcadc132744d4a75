"""Held-out loss by the yardstick.

Shapes: B rows, T context. Nats throughout, until the very end of a formula.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fabula.score.rulers import Ruler, Rulers
from fabula.text.batches import IGNORE

TokenLosses = Callable[[Tensor, Tensor], Tensor]
"""(inputs_BT, targets_BT) -> -log p of each target (B, T), 0 where it is IGNORE."""

POSITIONS_PER_BATCH = 4096


@dataclass(frozen=True)
class Score:
    """Total nats over the targets of one ruler."""

    nats: float
    targets: int
    gpt2_targets: int | None
    text_bytes: int

    @property
    def loss(self) -> float:
        """Nats per own token, end-of-text included."""
        return self.nats / self.targets

    @property
    def loss_gpt2(self) -> float | None:
        """Total nats over the GPT-2 tokens of the same text, end-of-texts counted."""
        return None if self.gpt2_targets is None else self.nats / self.gpt2_targets

    @property
    def bits_per_byte(self) -> float:
        """Total bits over the bytes of text: the nats of end-of-text count, its bytes are none."""
        return self.nats / math.log(2) / self.text_bytes


def score(token_losses: TokenLosses, ruler: Ruler, eot: int, device: torch.device) -> Score:
    """Score every target of `ruler` once; a token-weighted total in float64.

    Batches all have one shape (short ones are filled with masked rows), so that a compiled model is compiled once.
    """
    rows = max(1, POSITIONS_PER_BATCH // ruler.context)
    total, targets = 0.0, 0
    for batch in ruler.batches(rows, eot):
        missing = rows - len(batch.inputs_BT)
        inputs = np.pad(batch.inputs_BT, ((0, missing), (0, 0)), constant_values=eot)
        wanted = np.pad(batch.targets_BT, ((0, missing), (0, 0)), constant_values=IGNORE)
        with torch.no_grad():
            losses_BT = token_losses(torch.from_numpy(inputs).to(device), torch.from_numpy(wanted).to(device))
        total += float(losses_BT.double().sum())
        targets += batch.num_targets
    counts = ruler.counts
    # Padded rows are cut, so the counts of the whole text hold for the stream only.
    whole = ruler.protocol == "stream"
    assert not whole or targets == counts.num_targets, "the stream scores every target once"
    return Score(total, targets, counts.num_gpt2_targets if whole else None, counts.num_bytes)


def evaluation_fields(
    token_losses: TokenLosses, rulers: Rulers, eot: int, device: torch.device, full: bool
) -> dict[str, float | None]:
    """The loss fields of one eval line (docs/run-folder.md)."""
    subset = score(token_losses, rulers.stream_subset, eot, device)
    stream = score(token_losses, rulers.stream, eot, device) if full else subset
    fields: dict[str, float | None] = {
        "train_loss": score(token_losses, rulers.train_sample, eot, device).loss,
        "val_loss_subset": subset.loss,
        "val_loss": stream.loss,
        "val_loss_gpt2": stream.loss_gpt2,
        "val_bits_per_byte": stream.bits_per_byte,
    }
    if full:
        story = score(token_losses, rulers.story, eot, device)
        same = rulers.stream_at_128.context == rulers.stream.context
        stream_at_128 = stream if same else score(token_losses, rulers.stream_at_128, eot, device)
        story_at_128 = story if same else score(token_losses, rulers.story_at_128, eot, device)
        fields |= {
            "val_loss_story": story.loss,
            "val_loss_at_128": stream_at_128.loss,
            "val_loss_gpt2_at_128": stream_at_128.loss_gpt2,
            "val_loss_story_at_128": story_at_128.loss,
        }
    return fields
