"""Which reader fits what was given: a run folder, a folder of another program, a file, or standard input."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fabula.errors import InputError
from fabula.record.content.parsing import json_value
from fabula.record.foreign import no_log
from fabula.record.foreign.forms import csv, jsonl, lists, nameless, tensorboard, trainer, wandb
from fabula.record.foreign.forms.notebook import printed_in, table_of
from fabula.record.foreign.lines.reading import runs_of
from fabula.record.foreign.no_log import KNOWN
from fabula.record.foreign.opening import ENDINGS, LARGEST_LOG, decoded, unpacked, within_budget
from fabula.record.foreign.printed import find, names_in, trainer_lines
from fabula.record.foreign.stores import places, sqlite, wandb_offline
from fabula.record.reader import Run, is_run, read_run

STDIN = Path("-")
LOOSE = {".csv", ".tsv", ".jsonl", ".log"}
"""Files that count as logs in a folder that holds no run of a known form."""
LOOSER = {".txt", ".out", ".err", ".json"}
"""Files that count where there is none of these either; others are read when they are named."""
Wanted = Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """A place that holds one log; `loose` where nothing but the name's ending speaks for it."""

    path: Path
    loose: bool = False


@dataclass(frozen=True)
class LeftOut:
    """A source that could not be read, and why. Of a `damaged` one the form was known: it is a run, and not well."""

    why: str
    damaged: bool


def read_sources(path: Path, wanted: Wanted | None = None, growing: bool = False) -> tuple[list[Run], list[LeftOut]]:
    """The runs at `path` (a run, a folder of runs, a log; `-`: standard input), in the order of their names.
    `wanted`: canonical name -> column, for columns whose names say too little. `growing`: another program writes it at
    this moment, so that a last line without its end may be half of one.

    The second value says what in a folder could not be read, and why: damaged runs, and, where there is no run of a
    known form, files that are not logs. Raises InputError when there is no run at all, or `path` itself is damaged.
    """
    runs: list[Run] = []
    left_out = []
    sources = find_sources(path)
    for source in sources:
        try:
            runs += _read_source(source.path, wanted, growing)
        except InputError as error:
            if len(sources) == 1 and not source.loose:
                raise
            left_out.append(LeftOut(str(error), damaged=not source.loose))
    if not runs:
        raise InputError(f"{path} has no log that fabula can read: {left_out[0].why}")
    return runs, left_out


def find_sources(path: Path) -> list[Source]:
    """Where the logs are: `path` itself, or every log in the folder `path`.

    Raises InputError when it does not exist or holds nothing that looks like a log.
    """
    if path == STDIN or path.is_file():
        return [Source(path)]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; give a run folder, a log file, or - for standard input")
    if places.offline_files(path):  # named, it is read as far as it goes, also where later folders go on
        return [Source(path)]
    found = [Source(each) for each in _run_folders(path)]
    if not found:
        files = sorted(each for each in path.rglob("*") if each.is_file())
        logs = [each for each in files if _ending(each) in LOOSE]
        databases = [each for each in files if each.suffix in sqlite.SUFFIXES]  # which say why they are not read
        others = [each for each in files if _ending(each) in LOOSER]
        found = [Source(each, loose=True) for each in logs or databases or others]
    if not found:
        raise InputError(f"{path} has no log in it; fabula reads its own runs, {KNOWN}")
    return found


def _ending(path: Path) -> str:
    """`.csv` of `log.csv` and of `log.csv.gz`."""
    return path.with_suffix("").suffix if path.suffix in ENDINGS else path.suffix


def _read_source(path: Path, wanted: Wanted | None, growing: bool) -> list[Run]:
    if path == STDIN:
        return read_log(Path("standard input"), _content(path, sys.stdin.buffer), wanted)
    if not path.is_dir():
        if sqlite.looks_like(path):
            return places.read(path, wanted)
        with open(path, "rb") as file:
            content = _content(path, file)
        if growing and (whole := _whole_lines(content)) != content:
            with suppress(InputError):  # one JSON document ends without a line break
                return read_log(path, whole, wanted)
        return read_log(path, content, wanted)
    if is_run(path):
        if wanted:
            raise InputError(f"{path} is a run folder of fabula, whose columns are known; leave --columns out")
        return [read_run(path)]
    if trainer.is_output(path):
        return trainer.read_folder(path, wanted)
    if tensorboard.is_run(path):
        return tensorboard.read_folder(path, wanted)
    return places.read(path, wanted)


def _whole_lines(content: bytes) -> bytes:
    """Without what follows the last line break, a progress bar's included; event files have none."""
    if tensorboard.looks_like(content):
        return content
    return content[: max(content.rfind(b"\n"), content.rfind(b"\r")) + 1]


def _content(path: Path, file: IO[bytes]) -> bytes:
    return unpacked(path, within_budget(path, file.read(LARGEST_LOG + 1)))


def read_log(path: Path, content: bytes, wanted: Wanted | None = None) -> list[Run]:
    """The runs of a log's content; `path` is its name in messages.

    Raises InputError when it is empty, binary, or of no known format.
    """
    content = unpacked(path, content)
    is_page = content.lstrip()[:1] == b"<" and b"<td" in content
    if is_page and csv.has_steps(csv.from_header(table := table_of(decoded(path, content)), wanted), wanted):
        return csv.read(path, csv.from_header(table, wanted), wanted)
    no_log.refuse(path, content)
    if tensorboard.looks_like(content):
        return tensorboard.read(path, content, wanted)
    if wandb_offline.looks_like(content):
        return wandb_offline.read(path, [content], wanted)
    text = decoded(path, content)
    if '"nbformat"' in text and (outputs := printed_in(text)) is not None:
        return _read_notebook(path, outputs, wanted)
    return _reader_of(path, text, wanted)(path, text, wanted)


def _read_notebook(path: Path, outputs: list[str], wanted: Wanted | None) -> list[Run]:
    """The runs that the cells of a notebook printed, each named after the cell's place among those with a run."""
    runs = []
    for text in outputs:
        try:
            runs += _reader_of(path, text, wanted)(path, text, wanted)
        except InputError:
            continue  # most cells print something else
    runs = [run for run in runs if not _is_nameless(run)] or runs  # what is named is sure, other numbers may be any
    if not runs:
        raise InputError(f"{path} is a notebook, and no cell's output is a log: no line has a step and a loss")
    if len(runs) > 1:
        for number, run in enumerate(runs, start=1):
            run.info["name"] = f"output {number}" + (f", {run.info['name']}" if "name" in run.info else "")
    return runs


def _is_nameless(run: Run) -> bool:
    return any(each["kind"] in ("nameless", "nameless_list") for each in run.info.get("notes", ()))


def _reader_of(path: Path, text: str, wanted: Wanted | None) -> Callable[[Path, str, Wanted | None], list[Run]]:
    start = text.lstrip()
    if start.startswith("{") and '"log_history"' in text and _is_one_object(text):
        return trainer.read
    if jsonl.looks_like(start):
        if (printed := jsonl.messages(path, text)) is not None:
            return lambda path, _, wanted: _reader_of(path, printed, wanted)(path, printed, wanted)
        return jsonl.read
    if wandb.looks_like(csv.header_of(text)):
        return wandb.read
    below = csv.from_header(text, wanted)
    if csv.has_steps(below, wanted):
        return lambda path, _, wanted: csv.read(path, below, wanted)
    if trainer_lines.looks_like(text):
        return trainer_lines.read
    listed = lists.find(path, text, wanted)
    table = find(path, lists.without(text) if listed else text, wanted)
    if table is None and listed is None:
        listed = lists.find(path, text, wanted, least=2)
    if listed and (table is None or not table.cells.keys() & {"loss", "train_loss"}):
        return lambda path, text, wanted: lists.read(path, listed, wanted)
    if table is not None:
        return lambda path, text, wanted: runs_of(table, wanted)
    if start.startswith('{"'):
        return jsonl.read  # which says what is wrong
    if csv.is_table(text) and csv.separator(csv.header_of(text)) != csv.BLANKS:
        return csv.read  # which says what is missing
    named = csv.ruled(text)
    if not named and (numbers := nameless.read(path, text, wanted)) is not None:
        return lambda path, text, wanted: runs_of(numbers, wanted)
    if names := named or names_in(text):
        raise InputError(
            f"{path} is no log that fabula knows: no line has a step and a loss under a name that it knows; names with "
            f"numbers in it are: {', '.join(names)}; say which is what with --columns step=NAME,loss=NAME"
        )
    raise InputError(f"{path} is no log that fabula knows: no line in it has a step and a loss; fabula reads {KNOWN}")


def _run_folders(folder: Path) -> list[Path]:
    """Every folder at or below `folder` that is one run, and every store of a tracker; what lies inside a run belongs
    to it."""
    if is_run(folder) or trainer.is_output(folder) or tensorboard.is_run(folder):
        return [folder]
    if (stores := places.in_folder(folder)) and stores == [folder]:
        return stores
    inner = sorted(
        each
        for each in folder.iterdir()
        if each.is_dir() and not each.name.startswith(".") and each.name != places.LATEST
    )
    return [*stores, *(run for each in inner for run in _run_folders(each))]


def _is_one_object(text: str) -> bool:
    try:
        return isinstance(json_value(text), dict)
    except ValueError:
        return False
