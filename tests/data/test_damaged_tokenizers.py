"""A tokenizer.json of any content is read or refused in one line: libraries panic at some of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fabula.data.tokenizers.bpe import byte_level_json, byte_tokens
from fabula.data.tokenizers.tokenizer import load_tokenizer
from fabula.errors import InputError

Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> str:
    ranks = {token: at for at, token in enumerate(byte_tokens())} | {b"th": 256, b"the": 257}
    document = json.loads(byte_level_json(ranks, len(ranks)))
    change(document)
    return json.dumps(document)


CHANGES: dict[str, tuple[Change, str]] = {
    "a float as id": (lambda each: each["model"]["vocab"].update(a=1.5), "model.vocab"),
    "a text as id": (lambda each: each["model"]["vocab"].update(a="x"), "model.vocab"),
    "an enormous id": (lambda each: each["model"]["vocab"].update(a=2**70), "model.vocab"),
    "a large id": (lambda each: each["model"]["vocab"].update(a=2**31), "model.vocab"),
    "an id twice": (lambda each: each["model"]["vocab"].update(a=7), "the same id"),
    "another's id": (lambda each: each["added_tokens"][0].update(id=7), "the same id"),
    "a merge of three": (lambda each: each["model"]["merges"].append(["a", "b", "c"]), "model.merges"),
    "merges that are an object": (lambda each: each["model"].update(merges={}), "model.merges"),
    "no merges": (lambda each: each["model"].update(merges=None), "has no merges"),
    "added tokens that are a number": (lambda each: each.update(added_tokens=7), "added_tokens"),
    "an added token that is a text": (lambda each: each.update(added_tokens=["<|endoftext|>"]), "added_tokens"),
    "an added token without id": (lambda each: each["added_tokens"][0].pop("id"), "id is missing"),
    "a cutter that is a text": (lambda each: each.update(pre_tokenizer="ByteLevel"), "pre_tokenizer"),
    "a prefix longer than its tokens": (
        lambda each: each["model"].update(continuing_subword_prefix="a" * 3000), "marks the parts of words"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_of_another_type_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    change, says = CHANGES[what]
    (tmp_path / "tokenizer.json").write_text(changed(change))
    with pytest.raises(InputError) as told:
        load_tokenizer(tmp_path / "tokenizer.json")
    assert says in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "3", '"BPE"', '{"model": []}', '{"model": {"type": []}}', ""])
def test_what_is_no_tokenizer_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(InputError, match=r"is not a tokenizer\.json|holds a \[\] model"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_an_unchanged_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(changed(lambda each: each.update(normalizer={"type": "NFC"})))
    assert load_tokenizer(tmp_path / "tokenizer.json").decode(load_tokenizer(tmp_path / "tokenizer.json").encode("the"))
