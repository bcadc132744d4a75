"""Parameter counts in closed form, so that a recipe's size is known before anything is built."""

from dataclasses import dataclass

from fabula.recipe.schema import Model


@dataclass(frozen=True)
class ParameterCounts:
    """`total` counts a tied head once. `without_embeddings` leaves out tables of tokens and positions and the head,
    and counts what is left: the layers and the last norm."""

    total: int
    embedding: int
    """Of the residual stream, with the weights of the previous token and its norm."""
    value_embeddings: int
    positions: int
    head: int
    layer: int
    final_norm: int

    @property
    def without_embeddings(self) -> int:
        return self.total - self.embedding - self.value_embeddings - self.positions - self.head


def _norm(model: Model, width: int) -> int:
    return {"layernorm": 2 * width, "rmsnorm": width, "rmsnorm_plus_one": width, "rmsnorm_bare": 0}[model.norm]


def count_parameters(model: Model, vocabulary: int) -> ParameterCounts:
    """Trainable numbers of `model` with `vocabulary` rows in its embedding."""
    width, inner = model.width, model.size_of_feed_forward
    queries, keys = model.heads * model.size_of_head, model.num_kv_heads * model.size_of_head
    attention = width * (queries + 2 * keys) + (queries + 2 * keys) * model.attention_bias
    attention += queries * width + width * model.attention_output_bias
    # q/k norms are RMSNorms whatever the other norms are, and have a weight unless the norms are bare.
    if model.qk_norm and model.norm != "rmsnorm_bare":
        attention += 2 * model.size_of_head
    inner_in = inner * (2 if model.gated else 1)
    feed_forward = width * inner_in + inner * width + (inner_in + width) * model.feed_forward_bias
    norms = sum(_norm(model, each) for each in model.norm_widths)
    layer = attention + feed_forward + norms
    embedding = vocabulary * width + width * model.previous_token
    embedding += _norm(model, width) if model.embedding_norm else 0
    value_embeddings = model.layers * vocabulary * keys * model.value_embeddings
    positions = model.context * width if model.positions == "learned" else 0
    head = (0 if model.tied else vocabulary * width) + vocabulary * model.head_bias
    final_norm = _norm(model, width)
    total = embedding + value_embeddings + positions + head + model.layers * layer + final_norm
    return ParameterCounts(total, embedding, value_embeddings, positions, head, layer, final_norm)
