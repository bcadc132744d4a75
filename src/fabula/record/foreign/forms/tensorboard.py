"""TensorBoard event files, read without TensorBoard: scalars by tag, every checksum verified.

A file is a row of records, as TensorFlow's record_writer.h describes them: length (8 bytes, little-endian), a checksum
of those bytes, the content, a checksum of it. The checksum is CRC-32C (Castagnoli), rotated by 15 bits and shifted by a
constant. A content is an `Event` of event.proto in Protocol Buffers' wire format, of which few fields matter here:

    Event        2 step, 5 summary
    Summary      1 value
    Value        1 tag, 2 simple_value, 8 tensor
    TensorProto  1 dtype (1 float32, 2 float64, 3 int32, 9 int64), 4 tensor_content, 5 float_val, 6 double_val
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fabula.errors import InputError
from fabula.record.files import refuse_pointer
from fabula.record.foreign.forms.trainer import traps
from fabula.record.foreign.lines.inside import inside_of, seen_in
from fabula.record.foreign.lines.machine import is_of_the_machine, machine_of
from fabula.record.foreign.lines.steps import counted
from fabula.record.foreign.lines.units import in_nats
from fabula.record.foreign.names import WHOLE_RUN_AVERAGE, normalized
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.stores.wire import Malformed, as_kind, fields
from fabula.record.foreign.tables import choose, merge_series, not_finite_as_infinity, to_run
from fabula.record.reader import Run

Series = dict[str, tuple[list[int], list[float]]]
"""Tag -> steps and values, in the order written."""

HEADER, FOOTER = 12, 4
_SPLIT = re.compile(
    r"(?:^|[_.-])(?:(?P<train>train|training)|val|valid|validation|eval|evaluation|dev|test)$", re.IGNORECASE
)
LONGEST = 1 << 16
"""Bytes of the longest record that is read: scalars take some tens, pictures and graphs more than this."""
_CONTENT_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}


def event_files(folder: Path) -> list[Path]:
    """The event files directly in `folder`; their names begin with the time, so a resumed run's come in order."""
    return sorted(path for path in folder.glob("*tfevents*") if path.is_file())


def is_run(folder: Path) -> bool:
    """Whether the event files in `folder`, or in folders in it that are named after splits, are those of one run."""
    if event_files(folder):
        return True
    inner = [each for each in folder.iterdir() if each.is_dir() and event_files(each)]
    splits = _splits(folder)
    return bool(inner) and len(splits) == len(inner) and any(split == "val/" for split in splits.values())


def read_folder(folder: Path, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The one run that the event files of a folder make up, and those of its splits: Keras writes `train/` and
    `validation/`, TensorFlow's estimators `eval/`, PyTorch's add_scalars `loss_train/` and `loss_val/`."""
    series: Series = {}
    for path in event_files(folder):
        _add_file(series, path)
    for within, split in _splits(folder).items():
        inner: Series = {}
        for path in event_files(within):
            _add_file(inner, path)
        series = {**{f"{split}{tag}": curve for tag, curve in inner.items()}, **series}
    return [_run(folder, series, wanted)]


def _splits(folder: Path) -> dict[Path, str]:
    """The folders in `folder` with the event files of one split of its run, and what to put before their tags."""
    named = [(each, _SPLIT.search(each.name)) for each in sorted(folder.iterdir())]
    there = [(each, match) for each, match in named if match and each.is_dir() and event_files(each)]
    return {each: "" if match["train"] else "val/" for each, match in there}


def _add_file(series: Series, path: Path) -> None:
    content = path.read_bytes()
    refuse_pointer(path, content)
    _add(series, path, content)


def read(path: Path, content: bytes, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The run of one event file. A half-written last record is left out.

    Raises InputError for a wrong checksum and where no scalar has a name that fabula knows.
    """
    series: Series = {}
    _add(series, path, content)
    return [_run(path, series, wanted)]


def looks_like(content: bytes) -> bool:
    """Whether `content` begins with the header of a record."""
    if len(content) < HEADER:
        return False
    head = content[:HEADER]
    return int(_checksums(head, np.array([0]), np.array([8]))[0]) == int.from_bytes(head[8:], "little")


def _run(path: Path, series: Series, wanted: Mapping[str, str] | None) -> Run:
    if not series:
        raise InputError(f"{path} has no scalars; give the folder of a run that logged a loss")
    chosen = choose(path, ["step", *series], wanted)
    curves = {}
    for name, tag in chosen.items():
        if name != "step":
            steps, values = (np.array(each, dtype=np.float64) for each in series[tag])
            curves[name] = (steps, not_finite_as_infinity(values))
    notes: list[Note] = []
    if any(normalized(tag) == WHOLE_RUN_AVERAGE for tag in series):  # only the Trainer writes this one
        steps = curves["train_loss"][0] if "train_loss" in curves else np.array([])
        apart = float(np.median(np.diff(steps))) if len(steps) > 1 else None
        notes = [note("train_loss_is_average"), *traps(apart)]
    free = {tag: each for tag, each in series.items() if tag not in chosen.values()}
    within = {tag: each for tag, each in free.items() if seen_in(tag) is not None or is_of_the_machine(tag) is not None}
    for tag, each in within.items():
        steps, values = (np.array(part, dtype=np.float64) for part in each)
        curves[tag] = (steps, not_finite_as_infinity(values))
    merged = merge_series(curves)
    cells = {tag: [None if value != value else value for value in merged.pop(tag).tolist()] for tag in within}
    columns, info = counted(in_nats(merged, notes), notes)
    columns |= inside_of(cells, (), notes)
    machine, called = machine_of(cells, ())
    return to_run(path, "tensorboard", columns | machine, names={**chosen, **called}, notes=notes, **info)


def _add(series: Series, path: Path, content: bytes) -> None:
    for start, length in _records(path, content):
        try:
            found = list(_scalars(memoryview(content)[start : start + length]))
        except Malformed:
            raise InputError(f"{path}: the record at byte {start} is no event; copy the file again") from None
        for step, tag, value in found:
            steps, values = series.setdefault(tag, ([], []))
            steps.append(step)
            values.append(value)


def _records(path: Path, content: bytes) -> list[tuple[int, int]]:
    """Start and length of each record's content, all checksums verified; those of more than LONGEST are left out."""
    found, place = [], 0
    while place + HEADER <= len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        found.append((place + HEADER, length))
        place += HEADER + length + FOOTER
    heads = np.array([start - HEADER for start, _ in found])
    _verify(path, content, heads, np.full(len(heads), 8))
    if found and place > len(content):
        found.pop()  # its head is right, so it is not damaged: it was being written
    found = [(start, length) for start, length in found if length <= LONGEST]
    if found:
        _verify(path, content, *np.array(found).T)
    return found


def _verify(path: Path, content: bytes, starts: np.ndarray, lengths: np.ndarray) -> None:
    if not len(starts):
        return
    stored = np.ascontiguousarray(_gather(content, starts + lengths, 4)).view("<u4").ravel()
    wrong = _checksums(content, starts, lengths) != stored
    if wrong.any():
        raise InputError(f"{path} is damaged at byte {starts[wrong].min()}: a checksum is wrong; copy the file again")


def _scalars(event: memoryview) -> Iterator[tuple[int, str, float]]:
    """Raises Malformed for what is no event, though its checksum is right."""
    step, summary = 0, None
    for number, value in fields(event):
        if number == 2:
            step = _signed(as_kind(int, value))
        elif number == 5:
            summary = as_kind(memoryview, value)
    if summary is None:
        return
    for number, entry in fields(summary):
        if number != 1:
            continue
        tag, scalar = "", None
        for inner, value in fields(as_kind(memoryview, entry)):
            if inner == 1:
                tag = str(as_kind(memoryview, value), "utf-8", "replace")
            elif inner == 2:
                scalar = _only(as_kind(memoryview, value), "<f4")
            elif inner == 8:
                scalar = _tensor_scalar(as_kind(memoryview, value))
        if scalar is not None:
            yield step, tag, scalar


def _tensor_scalar(tensor: memoryview) -> float | None:
    """The number in a tensor that holds one; None for images, texts and whatever has more."""
    kind, scalar = 0, None
    for number, value in fields(tensor):
        if number == 1:
            kind = as_kind(int, value)
        elif number == 4 and kind in _CONTENT_TYPES:
            scalar = _only(as_kind(memoryview, value), _CONTENT_TYPES[kind])
        elif number in (5, 6):
            scalar = _only(as_kind(memoryview, value), "<f4" if number == 5 else "<f8")
    return scalar


def _only(content: memoryview, kind: str) -> float | None:
    """The number that `content` is; None where it is several, or none."""
    return float(np.frombuffer(content, kind)[0]) if len(content) == np.dtype(kind).itemsize else None


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def _table() -> np.ndarray:
    """CRC-32C of each byte: the polynomial 0x1EDC6F41, reflected."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_TABLE = _table()


def _checksums(content: bytes, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The masked CRC-32C of each stretch of `content`: of all stretches of similar length at once, byte by byte."""
    crcs = np.full(len(starts), 0xFFFFFFFF, dtype=np.uint32)
    sizes = np.ceil(np.log2(np.maximum(lengths, 1)))
    for size in np.unique(sizes):
        chosen = np.flatnonzero(sizes == size)
        chosen = chosen[
            np.argsort(-lengths[chosen], kind="stable")
        ]  # the longest first: those still to read stay in front
        rows, crc = _gather(content, starts[chosen], int(lengths[chosen[0]])), crcs[chosen]
        num_left = np.searchsorted(-lengths[chosen], -np.arange(rows.shape[1]), side="left")
        for place, left in enumerate(num_left):
            crc[:left] = _TABLE[(crc[:left] ^ rows[:left, place]) & 0xFF] ^ (crc[:left] >> np.uint32(8))
        crcs[chosen] = crc
    crcs = ~crcs
    return ((crcs >> np.uint32(15)) | (crcs << np.uint32(17))) + np.uint32(0xA282EAD8)


def _gather(content: bytes, starts: np.ndarray, length: int) -> np.ndarray:
    """The `length` bytes from each start, a row each; bytes behind the end of the file are taken from its last."""
    every = np.frombuffer(content, dtype=np.uint8)
    return every[np.minimum(starts[:, None] + np.arange(length), len(every) - 1)]
