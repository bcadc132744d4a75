"""The table in the docstring of fabula.model.initialization, cell by cell, against the weights."""

import math
import re

import pytest
import torch
from torch import Tensor

from fabula.model import initialization
from fabula.model.decoder import Decoder
from fabula.model.initialization import initialize
from fabula.recipe.schema import Initialization, Model

STD = 0.05
SHAPE = Model(layers=3, width=96, heads=4, context=64, tied=False, attention_bias=True)
VOCABULARY = 700
SIGMAS = 5  # about one draw in two million lies farther out


def table() -> dict[str, list[str]]:
    """Scheme -> the cells of its row: embeddings, linear weights, biases."""
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", initialization.__doc__ or "", flags=re.MULTILINE)
    return {scheme: [cell.strip() for cell in cells.split("|")] for scheme, cells in rows}


def distribution(scheme: str, name: str) -> str:
    """What the table says about the parameter `name`."""
    embeddings, linear, biases = table()[scheme]
    if name.endswith("bias"):
        return biases
    general, _, special = (embeddings if name in EMBEDDINGS else linear).partition("; ")
    if name == "head" and special:
        said = special.removeprefix("untied head ")
        return linear.partition("; ")[0] if said == "as linear" else said
    if name not in EMBEDDINGS and special and name.endswith(("attention.out.weight", "feed_forward.down.weight")):
        return special.removeprefix("writers: ")
    return general


EMBEDDINGS = ("embedding.weight", "positions.weight", "head")


def check(values: Tensor, said: str, fan_in: int) -> None:
    n, values = values.numel(), values.double()
    if said == "0":
        assert not values.any()
        return
    if normal := re.fullmatch(r"N\(0, (.+)\)", said):
        known = {"1": 1.0, "std": STD, "std / sqrt(2 layers)": STD / math.sqrt(2 * SHAPE.layers)}
        std, kurtosis = known[normal.group(1)], 3.0
    else:
        limits = {"U(-a, a), a = 1 / sqrt(fan-in)": 1.0, "U(-b, b), b = sqrt(3 / fan-in) / 2": math.sqrt(3) / 2}
        limit = limits[said] / math.sqrt(fan_in)
        std, kurtosis = limit / math.sqrt(3), 1.8
        assert values.abs().max() <= limit * (1 + 1e-6)
    # Standard errors of mean, standard deviation and fourth moment of a normal; those of a uniform are smaller.
    assert abs(float(values.mean())) <= SIGMAS * std / math.sqrt(n)
    assert abs(float(values.std()) / std - 1) <= SIGMAS / math.sqrt(2 * n)
    assert abs(float((values / std).pow(4).mean()) - kurtosis) <= SIGMAS * math.sqrt(96 / n)


def model_of(scheme: str, seed: int = 0) -> Decoder:
    model = Decoder(SHAPE, VOCABULARY)
    initialize(model, Initialization(scheme=scheme, std=STD), seed)
    return model


def test_the_table_has_every_scheme() -> None:
    assert list(table()) == list(Initialization.model_fields["scheme"].annotation.__args__)
    assert all(len(cells) == 3 for cells in table().values())


@pytest.mark.parametrize("scheme", ["default", "scaled", "scaled_residual", "normal_embedding", "zero_writers"])
def test_every_weight_is_drawn_as_the_table_says(scheme: str) -> None:
    model = model_of(scheme)
    checked = set()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            continue
        owner = model.get_submodule(name.rpartition(".")[0])
        fan_in = getattr(owner, "in_features", SHAPE.width)
        check(parameter.detach().flatten(), distribution(scheme, name), fan_in)
        checked.add(name.split(".")[-2] + "." + name.split(".")[-1] if "." in name else name)
    assert checked == {
        "embedding.weight", "positions.weight", "head", "head_bias", "qkv.weight", "qkv.bias", "out.weight", "out.bias",
        "up.weight", "up.bias", "down.weight", "down.bias",
    }  # fmt: skip


def test_zero_writers_begin_as_their_embedding() -> None:
    shape = SHAPE.model_copy(update={"value_embeddings": True, "previous_token": True, "positions": "rope"})
    model = Decoder(shape, VOCABULARY)
    initialize(model, Initialization(scheme="zero_writers"), 0)
    tokens_BT = torch.arange(20).view(2, 10)
    assert torch.equal(model.hidden(tokens_BT), model.final_norm(model.embedding(tokens_BT) * model.embedding_scale))
    assert not model(tokens_BT).any()
    for table in model.value_tables:
        assert float(table.weight.std()) == pytest.approx(0.25, rel=SIGMAS / math.sqrt(2 * table.weight.numel()))


@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm", "rmsnorm_plus_one"])
def test_norms_start_as_the_identity(norm: str) -> None:
    model = Decoder(SHAPE.model_copy(update={"norm": norm, "post_norm": True, "qk_norm": True}), VOCABULARY)
    initialize(model, Initialization(), 0)
    x = torch.randn(4, SHAPE.width, generator=torch.Generator().manual_seed(0))
    for module in (model.final_norm, model.stack[0].attention_norm, model.stack[2].feed_forward_post_norm):
        y = module(x)
        centred = x - x.mean(-1, keepdim=True) if norm == "layernorm" else x
        assert torch.allclose(y, centred / centred.square().mean(-1, keepdim=True).sqrt(), atol=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    first, same, other = (model_of("scaled", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    different = [name for name in first if not torch.equal(first[name], other[name])]
    assert different == [name for name in first if "norm" not in name and not name.endswith("bias")]


def test_a_used_model_starts_anew() -> None:
    """The probe before a run makes real updates; initialisation must undo them all."""
    model, expected = model_of("scaled"), model_of("scaled").state_dict()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1.0
    initialize(model, Initialization(scheme="scaled", std=STD), 0)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
