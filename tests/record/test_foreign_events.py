"""TensorBoard event files. Those in logs/tensorboard were written by torch.utils.tensorboard 2.13 with tensorboard
2.21: `classic` by add_scalar, with a NaN at step 31 and a histogram; `tensors` by add_scalar(new_style=True), its
validation loss as TensorFlow 2 writes a scalar (tensor_content)."""

import struct
from pathlib import Path

import numpy as np
import pytest

from fabula.errors import InputError
from fabula.record.foreign import read_log, read_sources
from fabula.record.foreign.forms.tensorboard import _checksums

LOGS = Path(__file__).parent / "logs" / "tensorboard"


def written_losses(steps: np.ndarray) -> np.ndarray:
    """What the files were written from; exact in float32."""
    return 10.8 - 0.0625 * steps


def crc(content: bytes) -> bytes:
    """Masked CRC-32C, bit by bit from its definition."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + crc(length) + content + crc(content)


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def scalar(tag: str, step: int, value: float) -> bytes:
    varint = bytes([step & 127 | 128, step >> 7]) if step > 127 else bytes([step])
    summary = field(1, field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
    return record(b"\x09" + struct.pack("<d", 1.7e9) + b"\x10" + varint + field(5, summary))


def test_the_checksum_is_the_published_one() -> None:
    # RFC 3720, appendix B.4: CRC-32C of 32 zeros, of 32 bytes of ones, and of 0..31.
    for content, expected in [(bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)]:
        masked = ((expected >> 15 | expected << 17) + 0xA282EAD8) & 0xFFFFFFFF
        assert _checksums(content, np.array([0]), np.array([32]))[0] == masked


def test_checksums_of_different_lengths_at_once() -> None:
    content = bytes(range(256))
    starts, lengths = np.array([0, 3, 9, 100, 17]), np.array([5, 0, 8, 131, 7])
    told = _checksums(content, starts, lengths)
    for start, length, value in zip(starts, lengths, told, strict=True):
        assert value == int.from_bytes(crc(content[start : start + length]), "little")


def test_scalars_of_the_classic_writer() -> None:
    (run,), _ = read_sources(LOGS / "classic")
    steps = np.arange(1.0, 41.0)
    assert run.train["step"].tolist() == steps.tolist()
    losses = np.where(steps == 31, np.inf, written_losses(steps))
    np.testing.assert_allclose(run.train["loss"], losses, rtol=1e-7)
    np.testing.assert_allclose(run.train["learning_rate"], 2.0**-10 * steps)
    assert run.evals["step"].tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_allclose(run.evals["val_loss"], written_losses(run.evals["step"]) + 0.125, rtol=1e-7)


def test_scalars_that_are_tensors() -> None:
    (run,), _ = read_sources(LOGS / "tensors")
    steps = np.arange(1.0, 21.0)
    np.testing.assert_allclose(run.train["loss"], written_losses(steps), rtol=1e-7)
    np.testing.assert_allclose(run.train["grad_norm"], 1 + written_losses(steps), rtol=1e-15)
    np.testing.assert_allclose(run.evals["val_loss"], written_losses(np.array([0, 10, 20])) + 0.125, rtol=1e-7)


def test_a_folder_of_runs_and_one_file() -> None:
    runs, _ = read_sources(LOGS)
    assert [run.path.name for run in runs] == ["classic", "tensors"]
    (file,) = (LOGS / "classic").iterdir()
    (run,) = read_log(file, file.read_bytes())
    assert len(run.train["step"]) == 40


def test_a_run_in_two_files_goes_on(tmp_path: Path) -> None:
    first = b"".join(scalar("loss", step, 5.0) for step in range(1, 31))
    second = b"".join(scalar("loss", step, 4.0) for step in range(21, 201))
    (tmp_path / "events.out.tfevents.1.host").write_bytes(first)
    (tmp_path / "events.out.tfevents.2.host").write_bytes(second)
    (run,), _ = read_sources(tmp_path)
    assert run.train["step"].tolist() == list(range(1, 201))
    assert run.train["loss"].tolist() == [5.0] * 20 + [4.0] * 180


@pytest.mark.parametrize(
    ("train", "val", "tag"),
    [
        ("train", "validation", "epoch_loss"),
        (".", "eval", "loss"),
        ("loss_train", "loss_val", "loss"),
        ("train", "test", "loss"),
    ],
)
def test_splits_in_folders_of_their_own_are_one_run(train: str, val: str, tag: str, tmp_path: Path) -> None:
    for run in "ab":
        for split, first in ((train, 3.0), (val, 4.0)):
            folder = tmp_path / run / split
            folder.mkdir(parents=True, exist_ok=True)
            content = b"".join(scalar(tag, step, first - step / 16) for step in range(1, 9))
            (folder / "events.out.tfevents.1.host").write_bytes(content)
    runs, _ = read_sources(tmp_path)
    assert [run.path.name for run in runs] == ["a", "b"]
    train_loss = runs[0].train["loss"] if "loss" in runs[0].train else runs[0].evals["train_loss"]
    assert train_loss.tolist() == [3.0 - step / 16 for step in range(1, 9)]
    assert runs[0].evals["val_loss"].tolist() == [4.0 - step / 16 for step in range(1, 9)]


def test_a_half_written_end_is_left_out() -> None:
    whole = b"".join(scalar("loss", step, 3.0) for step in range(1, 4))
    for missing in (1, 5, len(scalar("loss", 3, 3.0)) - 3):
        (run,) = read_log(Path("events"), whole[:-missing])
        assert run.train["step"].tolist() == [1, 2]


@pytest.mark.parametrize("place", [-8, -70, 2])
def test_damage_is_seen(place: int) -> None:
    content = bytearray(b"".join(scalar("loss", step, 3.0) for step in range(1, 4)))
    content[place] ^= 1
    with pytest.raises(InputError, match=r"checksum|binary"):
        read_log(Path("events"), bytes(content))


def test_events_without_a_known_scalar() -> None:
    with pytest.raises(InputError, match="has no scalars"):
        read_log(Path("events"), record(b"\x09" + bytes(8)))
    with pytest.raises(InputError, match="no loss, gradient norm or learning rate"):
        read_log(Path("events"), scalar("accuracy", 1, 0.5))
