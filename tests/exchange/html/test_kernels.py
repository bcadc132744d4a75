"""The kernels that are kept were made of the source that is kept, and bytes survive as text."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.exchange.html.node import Node, needs_node, node_at

from fabula.exchange.html.as_text import as_text, page_bytes
from fabula.exchange.html.build import KERNELS, ORIGIN, build, compiler, origin


def test_the_kernels_are_those_of_their_source() -> None:
    kept = json.loads(ORIGIN.read_text())
    assert kept == origin(kept["compiler"]), "make them anew: python -m fabula.exchange.html.build"


def test_the_same_compiler_makes_the_same_kernels(tmp_path: Path) -> None:
    made_by = json.loads(ORIGIN.read_text())["compiler"]
    if compiler() != made_by:
        pytest.skip(f"{made_by} is absent")
    assert build(tmp_path / "kernels.wasm") == made_by
    assert (tmp_path / "kernels.wasm").read_bytes() == KERNELS.read_bytes()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node_at(tmp_path_factory.mktemp("node")) as process:
        yield process


UNPACK = "return Buffer.from(await wholeOf(bytesOf(given))).toString('base64');"


@needs_node
@given(content=st.binary(max_size=2_000))
@example(content=b"")
@example(content=bytes(range(256)) * 600)  # 0xD8 to 0xDF as higher bytes, "<", NUL and CR
@settings(max_examples=40)
def test_bytes_come_back(node: Node, content: bytes) -> None:
    text = as_text(content)
    assert not set(text) & set("<\r\0")
    assert page_bytes(text).decode("utf-16") == text
    assert base64.b64decode(node.ask(UNPACK, text)) == content


@needs_node
def test_random_bytes_take_few_more(node: Node) -> None:
    content = bytes((each * 7919 + each // 3) * 2654435761 // 4096 % 256 for each in range(60_000))
    text = as_text(content)
    assert 2 * len(text) < 1.05 * len(content)
    assert base64.b64decode(node.ask(UNPACK, text)) == content


@needs_node
def test_a_cut_or_changed_text_is_called_damaged(node: Node) -> None:
    text = as_text(bytes(range(256)) * 40)
    changed = text[:30] + chr(ord(text[30]) ^ 1) + text[31:]
    for broken in (text[: len(text) // 2], text[:1], "", changed):
        with pytest.raises(ValueError, match="this file is damaged or was cut short; get it once more"):
            node.ask(UNPACK, broken)
