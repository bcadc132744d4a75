"""Files and folders are whole or absent, whatever happens while they are written."""

import json
import os
from pathlib import Path

import pytest

from fabula.record.files import sha256_of, whole_folder, write_json, write_text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old\n")
    write_text(path, "новое\r\n")
    assert path.read_bytes() == "новое\r\n".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"status": "running"})

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, moment, no_space)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"status": "finished"})
    assert json.loads(path.read_text()) == {"status": "running"}
    assert os.listdir(tmp_path) == ["run.json"]


def test_json_holds_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not os.listdir(tmp_path)


def test_a_folder_appears_at_the_end_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "checkpoint"
    with whole_folder(folder) as partial:
        (partial / "inner").mkdir()
        (partial / "inner" / "a.bin").write_bytes(b"abc")
        assert not folder.exists()
    assert (folder / "inner" / "a.bin").read_bytes() == b"abc"
    assert os.listdir(tmp_path / "deep") == ["checkpoint"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_middle_leaves_no_folder(error: type[BaseException], tmp_path: Path) -> None:
    def write() -> None:
        with whole_folder(tmp_path / "checkpoint") as partial:
            (partial / "a.bin").write_bytes(b"abc")
            raise error

    with pytest.raises(error):
        write()
    assert not os.listdir(tmp_path)


def test_checksum_of_a_file_larger_than_a_block(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 1_000_000)
    # The well-known test vector of FIPS 180-2: one million times "a".
    assert sha256_of(tmp_path / "a") == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    (tmp_path / "b").write_bytes(b"a" * (2 << 20))
    (tmp_path / "c").write_bytes(b"a" * (2 << 20) + b"b")
    assert sha256_of(tmp_path / "b") != sha256_of(tmp_path / "c")


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_who_may_read_a_file_in_a_whole_folder_the_umask_says(umask: int, tmp_path: Path) -> None:
    """Whatever wrote it: safetensors makes files for their owner alone."""
    before = os.umask(umask)
    try:
        with whole_folder(tmp_path / "made") as partial:
            write_text(partial / "state.json", "{}")
            (partial / "model.safetensors").touch(0o600)
    finally:
        os.umask(before)
    rights = {path.stat().st_mode & 0o777 for path in (tmp_path / "made").iterdir()}
    assert rights == {0o666 & ~umask}
