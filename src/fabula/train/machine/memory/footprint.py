"""How much memory a training takes, in closed form, before anything is built.

With P parameters, N = rows x context positions of a micro-step, D width, F feed-forward, Q and K widths of all query
and of all key heads, V words, w bytes of a weight and c bytes of a number in a product:

    weights and moments    P w (1 + the moments that the optimizer keeps of a weight; MOMENTS in update/optimizer.py)
    activations            N (layers x a + e), kept from the forward pass for the backward one
    head                   V D x 4 for its gradient, which is made in the forward pass, and C V x 4 of a chunk of logits
    gradients              P w, while the activations go
    batches                16 bytes for each position of a whole step: inputs and targets, int64

The peak is weights, moments and batches, and the larger of gradients and of activations with head. `least` counts what
no way of computing does without (a = 4 D + (2 Q + 2 K + F') c, F' with the gate; e = 8 D; one chunk, two in float32),
`likely` what ours keeps without torch.compile and with PyTorch's own attention, and its copies. Of four shapes on a
processor without bfloat16 products the process grew by 1.6 to 6.1 times `least`, and `likely` was 0.8 to 1.5 times what
it grew by; tests/train/machine/test_footprint.py holds both to measured peaks.
"""

from dataclasses import dataclass

from fabula.model.loss import CHUNK_ELEMENTS, COLUMN_MULTIPLE
from fabula.recipe.counts import count_parameters
from fabula.recipe.schema import Recipe
from fabula.score.held_out import POSITIONS_PER_BATCH
from fabula.train.update.optimizer import MOMENTS


@dataclass(frozen=True)
class Footprint:
    """Bytes at the peak of a training."""

    least: int
    """Of numbers on the device where it trains."""
    likely: int
    batches: int
    """Of the batches of one step, made by the processor."""


def footprint(recipe: Recipe, product_bytes: int, most_logits: int = CHUNK_ELEMENTS) -> Footprint:
    """What `recipe`, whose vocabulary is known, takes with products of `product_bytes` a number (2: bfloat16) and
    `most_logits` in a chunk."""
    model, batch = recipe.model, recipe.batch
    counts = count_parameters(model, recipe.vocabulary)
    weight, c = (2 if recipe.compute.weights == "bfloat16" else 4), product_bytes
    positions = batch.rows * model.context
    width, layers = model.width, model.layers
    queries, keys = model.heads * model.size_of_head, model.num_kv_heads * model.size_of_head
    inner, inner_in = model.size_of_feed_forward, model.size_of_feed_forward * (2 if model.gated else 1)

    in_layers = layers * counts.layer
    of_layers, of_others = MOMENTS[recipe.optimizer.kind]
    kept = (counts.total + of_layers * in_layers + of_others * (counts.total - in_layers)) * weight
    gradients = counts.total * weight
    words = -(-recipe.vocabulary // COLUMN_MULTIPLE) * COLUMN_MULTIPLE
    head = words * width * 4
    chunk = min(most_logits, max(positions, POSITIONS_PER_BATCH) * words) * 4  # evaluations have chunks, too

    least_layer = 4 * width + (2 * queries + 2 * keys + inner_in) * c
    least_chunk = min(most_logits, positions * words) * (2 if c == 2 else 8)
    least = kept + max(gradients, positions * (layers * least_layer + 8 * width) + head + least_chunk)

    plain_norm = model.norm == "layernorm"
    norms = sum(model.norm_widths) * ((4 if plain_norm else 12) + (c if c < 4 else 0))
    heads = (queries + 2 * keys) * c + queries * c
    if model.qk_norm:
        heads += (queries + keys) * (12 + c)
    if model.positions == "rope":
        heads += (queries + keys) * (c + 8)
    if keys < queries:
        heads += 2 * queries * c
    if model.value_embeddings:
        heads += keys * 12
    layer = 8 * width + norms + heads + inner_in * c + (2 if model.gated else 1) * inner * c
    backward = (inner_in + inner + 2 * width) * 4 + 2 * (queries + 2 * keys) * 4
    activations = positions * (layers * layer + 20 * width + backward)
    casts = (in_layers + words * width) * c if c != weight else 0
    mask = 5 * model.context**2 if 0 < model.sliding_window < model.context <= 2 * model.sliding_window else 0
    in_forward = activations + casts + 3 * head + 5 * chunk + mask
    likely = kept + max(2 * gradients, in_forward) + in_forward // 5
    return Footprint(least, likely, 16 * recipe.positions_per_step)
