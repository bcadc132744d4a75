"""Compiled decoding says what plain decoding says, and where it cannot be had, the reason is told."""

import os
from pathlib import Path

import pytest
import torch
from tests.model.shapes import ALL, GEMMA, GPT, GPT2, LLAMA, MODERN, build
from torch import Tensor

from fabula.errors import InputError
from fabula.model.decode import compiled_step as between
from fabula.model.decode.compiled_step import MOST_ROWS, find_native
from fabula.model.decode.generate import complete
from fabula.model.decode.one_token import CachedDecoder
from fabula.model.decode.weights import DecodingWeights
from fabula.model.decoder import Decoder
from fabula.model.kernels.build import Native, load_native
from fabula.recipe.schema import Model

NATIVE = find_native(build(GPT), 1)
needs_compiler = pytest.mark.skipif(NATIVE.library is None, reason=f"decoding is not compiled here: {NATIVE.reason}")

SHAPES: dict[str, Model] = {
    **ALL,
    "heads of 32": LLAMA.model_copy(update={"head_width": 32}),
    "heads of 64, rings": GEMMA.model_copy(update={"head_width": 64}),
    "heads of 128": GPT2.model_copy(update={"head_width": 128}),
    "heads of 40": GPT.model_copy(update={"head_width": 40}),
    "exact GELU": GPT2.model_copy(update={"feed_forward": "gelu"}),
    "learned positions, value embeddings": MODERN.model_copy(update={"positions": "learned"}),
}


def logits(model: Decoder, rows: list[list[int]], num_steps: int) -> Tensor:
    """What each of `num_steps` steps says after `rows`; the second row leaves half-way."""
    said = []
    with torch.inference_mode():
        decoder = CachedDecoder(DecodingWeights(model, len(rows)), len(rows), model.shape.context)
        decoder.prefill(rows)
        places = list(range(len(rows)))
        for step in range(num_steps):
            if step == num_steps // 2 and len(rows) > 1:
                places.remove(1)
                decoder.select(places)
            said.append(decoder.step(torch.tensor([(7 * step + 3 * each) % 97 for each in places])))
    return torch.cat(said)


@needs_compiler
@pytest.mark.parametrize("rows", [[[1, 2]], [[1], [5, 6, 7, 8, 9, 10], [11, 12, 13]]], ids=["one", "many"])
@pytest.mark.parametrize("name", SHAPES)
def test_compiled_and_plain_steps_have_the_same_logits(
    name: str, rows: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(SHAPES[name])
    compiled = logits(model, rows, 16)
    monkeypatch.setattr(between, "load_native", lambda _: Native(None, "for the test"))
    plain = logits(model, rows, 16)
    assert (compiled - plain).abs().max() <= 2e-5 * plain.abs().max()


@needs_compiler
def test_what_is_not_finite_stays_visible() -> None:
    for name in ("gpt", "gemma", "llama"):
        for part in ("attention.qkv", "feed_forward.up"):
            model = build(ALL[name])
            with torch.no_grad():
                model.layers[0].get_submodule(part).weight[:, 3] = torch.nan
            decoder = CachedDecoder(DecodingWeights(model, 1), 1, 24)
            with torch.inference_mode():
                decoder.prefill([[1, 2]])
                assert decoder.step(torch.tensor([3])).isnan().any(), (name, part)
            with pytest.raises(InputError, match="not finite"):
                complete(model, [[1, 2]], num_tokens=3, eot=0, temperature=0, seed=0)


def test_where_it_does_not_apply_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_native(build(GPT, dtype=torch.bfloat16), 1) == Native(None, "products are not in float32")
    assert find_native(build(GPT), MOST_ROWS + 1) == Native(None, f"more than {MOST_ROWS} rows")
    monkeypatch.setattr(between, "load_native", lambda _: Native(None, "for the test"))
    assert find_native(build(GPT), 1).reason == "for the test"


@needs_compiler
def test_a_library_is_kept_where_only_the_user_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "answer.c"
    source.write_text("int answer(void) { return 42; }")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load = load_native.__wrapped__  # what this process has loaded already is not asked
    library = load(source).library
    assert library is not None and library.answer() == 42
    (kept,) = (tmp_path / "cache" / "fabula").iterdir()
    before = kept.stat().st_mtime_ns
    library = load(source).library
    assert library is not None and library.answer() == 42 and kept.stat().st_mtime_ns == before
    source.write_text("int answer(void) { return 43; }")
    library = load(source).library
    assert library is not None and library.answer() == 43

    shared = tmp_path / "shared" / "fabula"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert load(source).library is not None and not list(shared.iterdir())
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load(source).library is not None


def test_without_a_compiler_or_with_a_broken_one_there_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = load_native.__wrapped__
    source = tmp_path / "broken.c"
    source.write_text("this is no C")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FABULA_NATIVE", raising=False)
    if NATIVE.library is not None:
        native = load(source)
        assert native.library is None and "failed: " in native.reason and "\n" not in native.reason
        source.write_text("#error this processor is too old\n#include <missing.h>")
        assert load(source).reason.endswith(" failed: this processor is too old")
    monkeypatch.setenv("PATH", os.devnull)
    assert load(source) == Native(None, "no C compiler was found")
    monkeypatch.setenv("FABULA_NATIVE", "off")
    assert load(source) == Native(None, "FABULA_NATIVE=off")
