"""Damage to a prepared folder is told before a number is made of it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.data.stories import jsonl, made_up

from fabula.cli import run
from fabula.data import checksums
from fabula.data.dataset import SPLITS, Dataset, open_dataset, verify
from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("data")
    prepare(str(jsonl(here / "stories.jsonl", made_up(80))), here / "out", tokenizer="bpe:300")
    return here / "out"


def content(data: Dataset) -> list[bytes]:
    """All that a training or an evaluation reads of it."""
    splits = [data.split(name) for name in SPLITS]
    arrays = [(each.tokens, each.offsets, each.num_bytes, each.story_hashes, each.gpt2_lengths) for each in splits]
    facts = [data.manifest.model_dump_json().encode(), data.tokenizer.to_json().encode()]
    return [np.ascontiguousarray(array).tobytes() for each in arrays for array in each if array is not None] + facts


def test_each_flipped_bit_is_told_or_harmless(folder: Path) -> None:
    before, generator = content(open_dataset(folder)), np.random.default_rng(0)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    told = 0
    for trial in range(300):
        path = files[trial % len(files)]
        whole = path.read_bytes()
        if not whole:
            continue
        damaged = bytearray(whole)
        damaged[generator.integers(len(damaged))] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            assert content(open_dataset(folder)) == before, f"{path.name}: silent damage"
        except InputError:
            told += 1
        finally:
            path.write_bytes(whole)
    assert told > 200
    assert content(open_dataset(folder)) == before


def test_a_large_file_is_hashed_once_until_it_is_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "SMALL_BYTES", 1)
    hashed: list[str] = []

    def sha256_of(path: Path) -> str:
        hashed.append(path.name)
        return original(path)

    original = checksums.sha256_of
    monkeypatch.setattr(checksums, "sha256_of", sha256_of)
    open_dataset(folder).split("train")
    assert "train.tokens.bin" in hashed
    hashed.clear()
    open_dataset(folder).split("train")
    assert hashed == []
    tokens = next(folder.rglob("train.tokens.bin"))
    os.utime(tokens, (0, 0))
    open_dataset(folder).split("train")
    assert hashed == ["train.tokens.bin"]


def test_what_was_checked_before_is_checked_anew_where_that_is_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that loses a bit changes neither size nor time nor inode."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(checksums, "SMALL_BYTES", 1)
    num_files = len([path for path in folder.rglob("*") if path.is_file()])
    assert verify(folder) == num_files
    path = next(folder.rglob("train.tokens.bin"))
    status, whole = path.stat(), path.read_bytes()
    with open(path, "r+b") as file:
        file.write(bytes([whole[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    open_dataset(folder).split("train")  # as it is known
    with pytest.raises(InputError, match=r"train\.tokens\.bin is damaged"):
        verify(folder)
    for command in ("train", "ladder"):
        what = "demo" if command == "train" else "classic"
        assert run([command, what, "--data", str(folder), "--out", str(tmp_path / command), "--verify"]) == 2
        assert "train.tokens.bin is damaged" in capsys.readouterr().err and not (tmp_path / command).exists()
    path.write_bytes(whole)
    assert verify(folder) == num_files


def test_a_folder_of_before_there_were_checksums_is_asked_what_it_can_be(folder: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", *(path.relative_to(folder) for path in folder.rglob("tokenization.json"))):
        document = json.loads((folder / name).read_text())
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps({**document, "sha256": {}, "checksum": None}))
    for path in folder.rglob("*"):
        if path.is_file() and not (tmp_path / path.relative_to(folder)).exists():
            (tmp_path / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(folder)).write_bytes(path.read_bytes())
    open_dataset(tmp_path).split("train")
    tokens = next(tmp_path.rglob("train.tokens.bin"))
    ids = np.fromfile(tokens, "<u2")
    ids[7] = 301
    ids.tofile(tokens)
    with pytest.raises(InputError, match="the tokens of train are damaged; prepare the data again"):
        open_dataset(tmp_path).split("train")
