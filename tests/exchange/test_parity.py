"""The same weights in fabula and in transformers: logits, gradients, padding, cached decoding.

Everywhere max |difference| / max |reference| <= 1e-4 in float32.
"""

import time

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fabula.exchange.reading import from_hf, shape_of
from fabula.model.decode.generate import complete
from fabula.model.decode.one_token import CachedDecoder
from fabula.model.decode.weights import DecodingWeights
from fabula.model.decoder import Decoder
from fabula.model.load import put_weights

transformers = pytest.importorskip("transformers")
from tests.exchange.references import CASES, VOCABULARY, reference, relative_difference  # noqa: E402

TOLERANCE = 1e-4


def twin(model: "transformers.PreTrainedModel") -> Decoder:
    """The same model in fabula."""
    config = model.config.to_dict()
    shape, vocabulary = shape_of(config)
    with torch.device("meta"):
        ours = Decoder(shape, vocabulary)
    put_weights(ours, from_hf(shape, config["model_type"], model.state_dict()), "reference", "config")
    return ours


def tokens(rows: int, length: int, seed: int = 1) -> Tensor:
    return torch.randint(1, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("length", [5, 33])  # shorter and longer than the sliding window
def test_logits_and_gradients(case: str, length: int) -> None:
    theirs = reference(case)
    ours = twin(theirs)
    tokens_BT = tokens(2, length)
    their_logits = theirs(tokens_BT).logits
    assert relative_difference(ours(tokens_BT).detach(), their_logits.detach()) <= TOLERANCE

    inputs, targets = tokens_BT[:, :-1], tokens_BT[:, 1:]
    their_loss = F.cross_entropy(theirs(inputs).logits.flatten(0, 1), targets.flatten(), reduction="sum")
    our_loss = ours.loss(ours.hidden(inputs), targets)
    assert our_loss.item() == pytest.approx(their_loss.item(), rel=1e-5)
    their_loss.backward()
    our_loss.backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    expected = from_hf(ours.shape, theirs.config.model_type, gradients)
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        assert relative_difference(parameter.grad, expected[name]) <= TOLERANCE, name


@pytest.mark.parametrize("case", CASES)
def test_left_padding_and_cached_decoding(case: str) -> None:
    """Rows of 3, 14 and 20 tokens, prefilled and continued by 15 tokens, against the reference's own cache."""
    theirs = reference(case)
    decoder = CachedDecoder(DecodingWeights(twin(theirs), 3), 3, 40)
    lengths, T = (3, 14, 20), 20
    rows = [tokens(1, length, seed=length)[0] for length in lengths]
    padded_BT = torch.stack([F.pad(row, (T - len(row), 0)) for row in rows])
    mask_BT = torch.stack([F.pad(torch.ones_like(row), (T - len(row), 0)) for row in rows])
    position_B = torch.tensor(lengths)
    with torch.inference_mode():
        ours = decoder.prefill([row.tolist() for row in rows])
        position_BT = (mask_BT.cumsum(-1) - 1).clamp(min=0)
        output = theirs(padded_BT, attention_mask=mask_BT, position_ids=position_BT, use_cache=True)
        assert relative_difference(ours, output.logits[:, -1]) <= TOLERANCE
        for step in range(15):
            next_B = tokens(3, 1, seed=100 + step)[:, 0]
            mask_BT = F.pad(mask_BT, (0, 1), value=1)
            output = theirs(
                next_B[:, None],
                attention_mask=mask_BT,
                position_ids=position_B[:, None],
                past_key_values=output.past_key_values,
                use_cache=True,
            )
            ours = decoder.step(next_B)
            assert relative_difference(ours, output.logits[:, -1]) <= TOLERANCE, f"token {step}"
            position_B = position_B + 1


@pytest.mark.parametrize("case", CASES)
def test_greedy_text_is_that_of_generate(case: str) -> None:
    theirs = reference(case)
    rows = [tokens(1, length, seed=length)[0].tolist() for length in (3, 9, 12)]
    longest = max(map(len, rows))
    padded = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    output = theirs.generate(
        padded,
        attention_mask=(padded != 0).long(),
        max_new_tokens=25,
        do_sample=False,
        repetition_penalty=1.3,
    )
    expected = [row[longest:].tolist() for row in output]
    expected = [row[: row.index(0)] if 0 in row else row for row in expected]
    ours = complete(twin(theirs), rows, num_tokens=25, eot=0, temperature=0, repetition_penalty=1.3, seed=0)
    assert ours == expected


@pytest.mark.slow
def test_gemma_3_270m_at_full_size() -> None:
    """Every layer, width and head of the published model; its own random weights, 600 tokens, beyond the window."""
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(
        vocab_size=262_144, hidden_size=640, intermediate_size=2048, num_hidden_layers=18, num_attention_heads=4,
        num_key_value_heads=1, head_dim=256, sliding_window=512, max_position_embeddings=32_768, dtype="float32",
    )  # fmt: skip
    theirs = transformers.Gemma3ForCausalLM(config).float().eval()
    ours = twin(theirs)
    assert sum(each.numel() for each in ours.parameters()) == 268_098_176
    tokens_BT = torch.randint(0, 262_144, (1, 600))
    seconds = {}
    with torch.inference_mode():
        for name, model in (("fabula", ours), ("transformers", theirs)):
            started = time.perf_counter()
            logits = model(tokens_BT)
            seconds[name] = time.perf_counter() - started
            logits = logits if name == "fabula" else logits.logits
            if name == "fabula":
                our_logits = logits
    assert relative_difference(our_logits, logits) <= TOLERANCE
    print({name: f"{each:.1f} s" for name, each in seconds.items()})
