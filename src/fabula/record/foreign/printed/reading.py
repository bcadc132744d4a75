"""From a text with printed lines to a table: which lines belong to the run, and the step of each."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabula.record.foreign.lines.numbers import is_number
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.names import normalized
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.printed.cleaning import lines_of
from fabula.record.foreign.printed.formats import FORMATS, Format
from fabula.record.foreign.printed.pairs import COUNTERS, EPOCHS, MEASURED, pairs_of

Fields = dict[str, Any]
LOSSES = {"loss", "train_loss", "val_loss", "perplexity", "val_perplexity"}
NEAR = 20
"""Lines between an evaluation that stands before the first step and that step: what is further up is not of the run."""


def find(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> Table | None:
    """The table of what is printed in `text`; None where no line has a loss and something counts."""
    said = {normalized(given): canonical for canonical, given in (wanted or {}).items()}
    lines: list[tuple[int, int | None, Fields]] = []
    programs: Counter[str] = Counter()
    for number, (rank, line) in enumerate(lines_of(text)):
        if not any(map(str.isdigit, line)):
            continue
        fields, program = _fields(line, said)
        if fields:
            lines.append((number, rank, fields))
            programs[program] += program != ""
    form = next(
        (
            each
            for each in FORMATS
            if programs and each.program == programs.most_common(1)[0][0] and programs[each.program]
        ),
        None,
    )
    lines, notes = _first_rank(lines)
    rows = _with_steps(lines, {**MEASURED, **said})
    if not any(said.get(name, MEASURED.get(name)) in LOSSES for row in rows for name in row):
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [row.get(name) for row in rows] for name in names}
    cells = {name: each for name, each in cells.items() if name in COUNTERS or name in said or all(map(_is_cell, each))}
    told = [*(note(kind) for kind in (form.notes if form else ())), *notes]
    named = f"printed {form.program}" if form and form.program != "other programs" else "printed lines"
    return Table(path, named, cells, tuple(told), form.info(text) if form else {})


def _fields(line: str, said: Mapping[str, str]) -> tuple[Fields, str]:
    """What stands in a line, and the program that prints such lines ("": any)."""
    for form in FORMATS:
        for pattern in form.patterns:
            if match := pattern.search(line):
                if not pattern.groups:
                    return {}, form.program
                rest = f"{line[: match.start()]} | {line[match.end() :]}"
                return {**pairs_of(rest, said.keys()), **_groups(match.groupdict(), form)}, form.program
    return pairs_of(line, said.keys()), ""


def _groups(groups: Mapping[str, str | None], form: Format) -> Fields:
    fields: Fields = {name: value for name, value in groups.items() if value is not None}
    if "value" in fields:
        fields["loss"] = fields.pop("value")
    for name, later in form.later.items():
        if name in fields:
            fields["step"] = str(int(fields.pop(name)) + later)
    return fields


def _first_rank(lines: list[tuple[int, int | None, Fields]]) -> tuple[list[tuple[int, int | None, Fields]], list[Note]]:
    """Without the lines of all processes but the first that measured something."""
    ranks = {rank for _, rank, fields in lines if rank is not None and fields.keys() & MEASURED.keys()}
    if len(ranks) < 2:
        return lines, []
    first = min(ranks)
    told = note("first_rank", name="rank", ranks=len(ranks), first=first)
    return [each for each in lines if each[1] in (None, first)], [told]


def _with_steps(lines: list[tuple[int, int | None, Fields]], meaning: Mapping[str, str]) -> list[Fields]:
    """The lines that measured something, each with `step` or `epoch`: its own, or that of the line before."""
    counter = _counter([fields for *_, fields in lines], meaning)
    own = [{meaning[name] for name in fields if name in meaning} for *_, fields in lines if counter in fields]
    trains = any(each & {"loss", "train_loss"} for each in own)
    rows: list[Fields] = []
    step = epoch = None
    waiting: list[tuple[int, Fields]] = []
    for number, _, fields in lines:
        epoch = next((fields[name] for name in fields if name in EPOCHS), epoch)
        measured = {
            name: value for name, value in fields.items() if name in meaning and meaning[name] not in ("step", "epoch")
        }
        if counter is not None and counter in fields:
            if step is None and measured:
                rows += [{**row, "step": "0"} for at, row in waiting if number - at <= NEAR]
            step = fields[counter]
        elif trains:
            measured = {name: value for name, value in measured.items() if meaning[name] not in ("loss", "train_loss")}
        if not measured:
            continue
        row = {name: value for name, value in fields.items() if name not in COUNTERS and name not in EPOCHS}
        row = {name: value for name, value in row.items() if name not in meaning or name in measured}
        if epoch is not None:
            row["epoch"] = epoch
        if counter is not None and step is None:
            if any(meaning[name] in ("val_loss", "val_perplexity") for name in measured):
                waiting.append((number, row))
        elif counter is not None or epoch is not None:
            rows.append(row if counter is None else {**row, counter: step})
    return _once(
        [
            {("step" if name == counter and name in COUNTERS else name): value for name, value in row.items()}
            for row in rows
        ],
        meaning,
    )


def _counter(lines: list[Fields], meaning: Mapping[str, str]) -> str | None:
    """The name that counts the steps: one that was said, or the best of those on most lines with a training loss."""
    for name, canonical in meaning.items():
        if canonical == "step":
            return name
    for losses in ({"loss", "train_loss", "perplexity"}, LOSSES, set(meaning.values())):
        trained = [fields for fields in lines if any(meaning.get(name) in losses for name in fields)]
        counts = Counter(name for fields in trained for name in fields if name in COUNTERS)
        if counts:
            usual = [name for name, count in counts.items() if count >= 0.5 * max(counts.values())]
            return min(usual, key=COUNTERS.__getitem__)
        alone = Counter(name for fields in lines for name in fields if name in COUNTERS)
        if trained and alone:  # the step stands on a line of its own above what was measured
            return min(alone, key=COUNTERS.__getitem__)
    return None


def _once(rows: list[Fields], meaning: Mapping[str, str]) -> list[Fields]:
    """Without lines that were printed twice (a progress bar drawn anew, other processes), and without the validation
    loss where it only stands beside the training loss until the next evaluation."""
    kept: list[Fields] = []
    last_val: Any = None
    for row in rows:
        if kept and row == kept[-1]:
            continue
        if kept and _complete_each_other(row, kept[-1], meaning):
            kept[-1] |= row
            continue
        same_place = kept and all(row.get(name) == kept[-1].get(name) for name in ("step", "epoch"))
        if same_place and "planned_steps" in row and row.keys() >= kept[-1].keys():
            kept[-1] = row  # the same place of a bar, drawn once more with the newer numbers
            continue
        kept.append(row)
    result = []
    for row in kept:
        vals = [name for name in row if meaning.get(name) == "val_loss"]
        if vals and any(meaning.get(name) in ("loss", "train_loss") for name in row):
            if row[vals[0]] == last_val:
                row = {name: value for name, value in row.items() if name not in vals}
            else:
                last_val = row[vals[0]]
        result.append(row)
    return result


def _complete_each_other(row: Fields, other: Fields, meaning: Mapping[str, str]) -> bool:
    """Whether two lines tell of one step, one of them no loss: OLMo prints a line for each quantity."""
    places = {"step", "epoch", "planned_steps"}
    same = all(row.get(name) == other.get(name) for name in ("step", "epoch"))
    alone = any(not any(meaning.get(name) in LOSSES for name in each) for each in (row, other))
    return same and alone and not (row.keys() & other.keys()) - places


def _is_cell(cell: Any) -> bool:
    return cell is None or is_number(str(cell).replace(",", "").rstrip("KMBGTk"))
