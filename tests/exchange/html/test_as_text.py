"""Bytes survive as text in a page, and damage is found."""

import base64
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.exchange.html.node import Node, node_at

from fabula.exchange.html.as_text import as_text, page_bytes


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with node_at(tmp_path_factory.mktemp("node")) as process:
        yield process


UNPACK = "return Buffer.from(await wholeOf(bytesOf(given))).toString('base64');"


@given(content=st.binary(max_size=2_000))
@example(content=b"")
@example(content=bytes(range(256)) * 600)  # 0xD8 to 0xDF as higher bytes, "<", NUL and CR
@settings(max_examples=40)
def test_bytes_come_back(node: Node, content: bytes) -> None:
    text = as_text(content)
    assert not set(text) & set("<\r\0")
    assert page_bytes(text).decode("utf-16") == text
    assert base64.b64decode(node.ask(UNPACK, text)) == content


def test_random_bytes_take_few_more(node: Node) -> None:
    content = bytes((each * 7919 + each // 3) * 2654435761 // 4096 % 256 for each in range(60_000))
    text = as_text(content)
    assert 2 * len(text) < 1.05 * len(content)
    assert base64.b64decode(node.ask(UNPACK, text)) == content


def test_a_cut_or_changed_text_is_called_damaged(node: Node) -> None:
    text = as_text(bytes(range(256)) * 40)
    changed = text[:30] + chr(ord(text[30]) ^ 1) + text[31:]
    for broken in (text[: len(text) // 2], text[:1], "", changed):
        with pytest.raises(ValueError, match="this file is damaged or was cut short; get it once more"):
            node.ask(UNPACK, broken)
