"""Stories that come through a pipe, which can be read once only."""

import gzip
import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.data.stories import all_texts_of, jsonl, made_up

from fabula.data.dataset import open_dataset
from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError

STORIES = made_up(20)


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes, terminal: bool = False) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stdin)


@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "txt", "blank", "csv"])
def test_standard_input(source: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jsonl(tmp_path / "s.jsonl", STORIES).read_bytes()
    if kind == "jsonl.gz":
        data = gzip.compress(data)
    elif kind == "txt":
        data = "\n<|endoftext|>\n".join(STORIES).encode()
    elif kind == "blank":
        data = "\n\n".join(STORIES).encode()
    elif kind == "csv":
        data = b"id,text\n" + "".join(f'1,"{story}"\n' for story in STORIES).encode()
    standard_input(monkeypatch, data)
    made = prepare(source, tmp_path / "out", tokenizer="bpe:260")
    assert all_texts_of(open_dataset(made.folder)) == sorted(STORIES)
    assert made.manifest.source == "standard input"
    with pytest.raises(InputError, match="fabula prepare SOURCE --tokenizer bpe:999"):
        open_dataset(made.folder, "bpe:999")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_and_a_descriptor(tmp_path: Path) -> None:
    data = jsonl(tmp_path / "s.jsonl", STORIES).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    made = prepare(str(tmp_path / "pipe"), tmp_path / "named", tokenizer="bpe:260")
    writer.join()
    assert all_texts_of(open_dataset(made.folder)) == sorted(STORIES)
    if Path("/dev/fd").exists():  # what the shell puts for <(zcat stories.jsonl.gz)
        reading, writing = os.pipe()
        with open(writing, "wb") as file:
            file.write(data)
        made = prepare(f"/dev/fd/{reading}", tmp_path / "fd", tokenizer="bpe:260")
        os.close(reading)
        assert all_texts_of(open_dataset(made.folder)) == sorted(STORIES)
        assert made.manifest.source == "the pipe"


def test_nothing_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b"")
    with pytest.raises(InputError, match="standard input is empty"):
        prepare("-", tmp_path / "out", tokenizer="bpe:260")
    standard_input(monkeypatch, b"", terminal=True)
    with pytest.raises(
        InputError, match=r"no stories on standard input; .*zcat stories\.jsonl\.gz \| fabula prepare -"
    ):
        prepare("-", tmp_path / "out", tokenizer="bpe:260")
    assert list(tmp_path.iterdir()) == []


def test_messages_name_the_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b'{"text": "a"}\n{"text": null}\n')
    with pytest.raises(InputError, match='standard input:2: "text" is null'):
        prepare("-", tmp_path / "out", tokenizer="bpe:260")
