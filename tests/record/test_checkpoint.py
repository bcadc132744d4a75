"""A checkpoint is whole or does not exist, and damage is told before it is loaded."""

import os
from pathlib import Path

import pytest

from fabula.errors import InputError
from fabula.record.checkpoint import checkpoint_steps, read_checkpoint, remove_old_checkpoints, write_checkpoint

STATE = {"progress": {"step": 10, "best_loss": 2.25, "note": "ä"}, "offsets": {"metrics": 120, "samples": 0}}


def write(run: Path, step: int = 10) -> Path:
    files = {"model.safetensors": b"weights" * 20, "optimizer.safetensors": b"moments" * 20}
    writers = {name: (lambda path, content=content: path.write_bytes(content)) for name, content in files.items()}
    return write_checkpoint(run, step, writers, STATE)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, 10)
    write(tmp_path, 123_456_789)
    assert checkpoint_steps(tmp_path) == [10, 123_456_789]
    checkpoint = read_checkpoint(tmp_path, 10)
    assert checkpoint.step == 10 and checkpoint.model.read_bytes() == b"weights" * 20
    assert {name: checkpoint.state[name] for name in STATE} == STATE
    assert read_checkpoint(tmp_path).step == 123_456_789
    with pytest.raises(InputError, match="no checkpoint at step 11; choose one of: 10, 123456789"):
        read_checkpoint(tmp_path, 11)


def test_what_a_crash_left_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no checkpoint"):
        read_checkpoint(tmp_path)
    write(tmp_path, 10)
    partial = tmp_path / "checkpoints" / ".step-00000020.4711.partial"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert checkpoint_steps(tmp_path) == [10] and read_checkpoint(tmp_path).step == 10

    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_checkpoint(tmp_path, 30, {"model.safetensors": fails}, {})
    assert checkpoint_steps(tmp_path) == [10]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_flipped_bit_a_cut_or_a_missing_file_is_found(name: str, tmp_path: Path) -> None:
    path = write(tmp_path) / name
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[70] ^= 1
    for damaged in (bytes(flipped), content[:-1], content + b"\0", b""):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"{name} is missing or damaged; remove that"):
            read_checkpoint(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="missing or damaged"):
        read_checkpoint(tmp_path)
    path.write_bytes(content)
    assert read_checkpoint(tmp_path).step == 10


def test_a_flipped_bit_of_the_state_never_changes_what_is_read(tmp_path: Path) -> None:
    path = write(tmp_path) / "state.json"
    content = path.read_bytes()
    expected = read_checkpoint(tmp_path).state
    num_told = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(bytes(flipped))
        try:
            state = read_checkpoint(tmp_path).state
        except InputError:
            num_told += 1
        else:  # white space, or the name of the checksum itself
            assert {name: state[name] for name in expected} == expected
    assert num_told > 0.7 * len(content)
    for damaged in (content[:-20], b"", b"[]", b"\xff"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"state\.json.*remove that checkpoint's folder") as error:
            read_checkpoint(tmp_path)
        assert "\n" not in str(error.value)


def test_the_latest_and_the_named_ones_are_kept(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40, 50):
        write(tmp_path, step)
    remove_old_checkpoints(tmp_path, keep=0, also=set())
    assert checkpoint_steps(tmp_path) == [10, 20, 30, 40, 50]
    remove_old_checkpoints(tmp_path, keep=2, also={20, 99})
    assert checkpoint_steps(tmp_path) == [20, 40, 50]
    remove_old_checkpoints(tmp_path, keep=7, also=set())
    assert checkpoint_steps(tmp_path) == [20, 40, 50]
    assert all(not name.startswith(".") for name in os.listdir(tmp_path / "checkpoints"))
