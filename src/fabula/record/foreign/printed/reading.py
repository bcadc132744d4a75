"""From a text with printed lines to a table: which lines belong to the run, and the step of each."""

from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from fabula.record.foreign.lines.numbers import as_float, is_number
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.names import normalized, recognize
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.printed.cleaning import label_of, labels_in, lines_of
from fabula.record.foreign.printed.formats import FORMATS, Format
from fabula.record.foreign.printed.machine import machine_pairs
from fabula.record.foreign.printed.pairs import (
    COUNTERS,
    EPOCHS,
    MEASURED,
    has_numbers,
    is_heading,
    of_evaluation,
    pairs_of,
)

Fields = dict[str, Any]
Line = tuple[int, int | None, Fields]
"""Its number, the rank of the process that printed it, and what stands in it."""
LOSSES = {"loss", "train_loss", "val_loss", "perplexity", "val_perplexity"}
TRAINED = {"loss", "train_loss"}
RANKED = {name: place for place, name in enumerate(MEASURED)}
COUNTED = {*COUNTERS, *EPOCHS}
LABEL = "run"
"""Field of a line that says of which of several runs it is."""
OWN = " own"
"""Field of a row whose line says its step itself."""
USUAL = 0.2
"""Share of the lines with numbers that a name stands in which is one of a log: prose has numbers behind other words."""
SHOWN = 5000
"""After so many lines only the programs are looked for whose lines were among them: it saves half of the time."""
SHAPE = {*LOSSES, "step", "grad_norm", "learning_rate", OWN}
MOST_DIGITS = 15
"""Of a number of steps; a longer one counts something else."""
NEAR = 20
"""Lines between those of the run and others that still belong to it, such as an evaluation before the first step."""
BELOW = 6
"""Lines below a heading such as `Running validation` that tell of it, unless they count steps."""
ENOUGH = 8
"""So many losses that nothing counts are a course, as a loop prints them that says no more."""


def find(path: Path, text: str, wanted: Mapping[str, str] | None = None) -> Table | None:
    """The table of what is printed in `text`; None where no line has a loss and something counts."""
    said = {normalized(given): canonical for canonical, given in (wanted or {}).items()}
    lines: list[Line] = []
    programs: Counter[str] = Counter()
    words = frozenset(said), frozenset(name for name, canonical in said.items() if canonical in ("step", "epoch"))
    forms: tuple[Format, ...] = FORMATS
    labels = labels_in(text)
    heading, before = -BELOW - 1, Fields()
    for number, (rank, line) in enumerate(lines_of(text)):
        if number == SHOWN:
            forms = tuple(form for form in FORMATS if programs[form.program] or form is FORMATS[-1])
        fields, program = _fields(line, forms, words) if has_numbers(line) else ({}, "")
        counted = {name: fields[name] for name in fields if name in COUNTED}
        if is_heading(line, fields):
            heading = number
        elif counted and not (number - heading == 1 and counted == before):
            heading = -BELOW - 1
        elif number - heading <= BELOW:
            fields = of_evaluation(fields)
        before = counted or before
        if labels and fields and (label := label_of(line)) in labels:
            fields[LABEL] = label
        if fields:
            lines.append((number, rank, fields))
            programs.update([program] if program else [])
    form = max(FORMATS, key=lambda each: programs[each.program])
    lines, notes = _first_rank(lines)
    if labels and not _differ(lines):
        lines = [(number, rank, _without(fields, LABEL)) for number, rank, fields in lines]
    lines = _without_batches(lines if form.program != "Keras" else _of_fits(lines))
    meaning = {**_meant(lines), **_measures(lines), **said}
    rows, info = _with_steps(lines, meaning), {}
    if not rows and (rows := _numbered(lines, meaning)):
        notes, info = [*notes, note("lines_are_steps")], {"steps_are_lines": True}
    if not _is_course(rows):
        return None
    names = dict.fromkeys(name for row in rows for name in row if name != OWN)
    cells = {name: [row.get(name) for row in rows] for name in names}
    cells = {name: each for name, each in cells.items() if name in ("step", LABEL, *RANKED) or all(map(_is_cell, each))}
    for canonical, given in (wanted or {}).items():
        if canonical in cells:
            cells[given] = cells.pop(canonical)
    if not programs[form.program] or form is FORMATS[-1]:
        return Table(path, "printed lines", cells, tuple(notes), info)
    told = (*map(note, form.notes), *notes)
    return Table(path, f"printed {form.program}", cells, told, {**info, **form.info(text)})


def names_in(text: str) -> list[str]:
    """The names with numbers behind them that come again and again, the most frequent first."""
    found = [pairs_of(line) for _, line in lines_of(text) if has_numbers(line)]
    counts = Counter(name for fields in found for name in fields if name != "planned_steps")
    usual = [name for name, count in counts.most_common(12) if count > 2 and count >= USUAL * len(found)]
    return usual if len(usual) > 1 else []


def _is_course(rows: list[Fields]) -> bool:
    """Whether losses stand at steps: one is enough on a line that says its step, as source code does not."""
    there = [row for row in rows if row.keys() & LOSSES]
    return any(row.get(OWN) for row in there) or len({(row.get("step"), row.get("epoch")) for row in there}) > 1


def _fields(line: str, forms: tuple[Format, ...], words: tuple[frozenset[str], frozenset[str]]) -> tuple[Fields, str]:
    """What stands in a line, and the program that prints such lines ("": any)."""
    for form in forms:
        for pattern in form.patterns:
            found = pattern.match if pattern.pattern[0] == "^" else pattern.search  # `match` does not look further
            if match := found(line):
                if not pattern.groups:
                    return {}, form.program
                rest = f"{line[: match.start()]} | {line[match.end() :]}"
                beside = {**machine_pairs(rest), **pairs_of(rest, *words)}
                return {**beside, **_groups(match.groupdict(), form)}, form.program
    fields = pairs_of(line, *words)
    return ({**machine_pairs(line), **fields} if fields else fields), ""


def _groups(groups: Mapping[str, str | None], form: Format) -> Fields:
    fields: Fields = {name: value for name, value in groups.items() if value is not None}
    for name, later in form.later.items():
        if name in fields:
            counted = fields.pop(name)
            if len(counted) <= MOST_DIGITS:
                fields["step"] = str(int(counted) + later)
    return fields


def _first_rank(lines: list[Line]) -> tuple[list[Line], list[Note]]:
    """Without the lines of all processes but the first that measured something."""
    ranks = {rank for _, rank, fields in lines if rank is not None and fields.keys() & MEASURED.keys()}
    if len(ranks) < 2:
        return lines, []
    first = min(ranks)
    told = note("first_rank", name="rank", ranks=len(ranks), first=first)
    return [each for each in lines if each[1] in (None, first)], [told]


def _measures(lines: list[Line]) -> Mapping[str, str]:
    """What short names mean: the loss of a test is no validation loss where there is one."""
    held_out = {name for *_, fields in lines for name in fields if MEASURED.get(name) == "val_loss"}
    tests = {name for name in held_out if "test" in name}
    return MEASURED if tests == held_out else {name: each for name, each in MEASURED.items() if name not in tests}


def _meant(lines: list[Line]) -> dict[str, str]:
    """What longer names mean (`eval/stories/CrossEntropyLoss`), where no shorter one means the same."""
    names = dict.fromkeys(name for *_, fields in lines for name in fields)
    known = {MEASURED[name] for name in names if name in MEASURED}
    found: dict[str, str] = {}
    for name in names:
        if (
            name not in MEASURED
            and (canonical := next(iter(recognize([name])), None)) in set(MEASURED.values()) - known
        ):
            found[name] = canonical
            known.add(canonical)
    return found


def _without_batches(lines: list[Line]) -> list[Line]:
    """Without the batches of evaluations: their losses stand at `3/20` where training counts to 400. Where nothing else
    is told of evaluations, the last batch tells it (`20/20`, as MMEngine has it), at the step of the line before."""
    plans = {
        fields["planned_steps"]
        for *_, fields in lines
        if "planned_steps" in fields and any(MEASURED.get(name) in TRAINED for name in fields)
    }
    if not plans:
        return lines
    alone = all(_is_batch(fields, plans) for *_, fields in lines if _tells_held_out(fields))
    kept: list[Line] = []
    for number, rank, fields in lines:
        if not _is_batch(fields, plans):
            kept.append((number, rank, fields))
        elif alone and fields["planned_steps"] in [fields[name] for name in fields if name in COUNTERS]:
            left = {name: each for name, each in fields.items() if name not in COUNTERS and name != "planned_steps"}
            kept.append((number, rank, left))
    return kept


def _of_fits(lines: list[Line]) -> list[Line]:
    """Without what Keras's `evaluate` prints, after the training and as if it were an epoch of it."""
    lengths = Counter(fields["planned_steps"] for *_, fields in lines if "planned_steps" in fields)
    rare = {length for length, count in lengths.items() if count < USUAL * max(lengths.values())}
    return [each for each in lines if each[2].get("planned_steps") not in rare]


def _tells_held_out(fields: Fields) -> bool:
    return any(MEASURED.get(name) == "val_loss" for name in fields)


def _is_batch(fields: Fields, plans: set[str]) -> bool:
    measured = {MEASURED.get(name) for name in fields}
    return bool(
        "val_loss" in measured and not measured & TRAINED and fields.get("planned_steps", "") not in {*plans, ""}
    )


def _numbered(lines: list[Line], meaning: Mapping[str, str]) -> list[Fields]:
    """The lines of a log in which nothing counts: line n of the training loss is step n."""
    rows: list[tuple[int, Fields]] = []
    step = 0
    for number, _, fields in lines:
        row = _measured(fields, meaning)
        step += bool(row.keys() & TRAINED)
        if row:
            rows.append((number, {**row, "step": str(step), OWN: True}))
    return _once(_of_the_run(rows)) if step >= max(ENOUGH, USUAL * len(lines)) else []


def _with_steps(lines: list[Line], meaning: Mapping[str, str]) -> list[Fields]:
    """The lines that measured something, each with `step` or `epoch`: its own, or that of the line before."""
    counter = _counter([fields for *_, fields in lines], meaning)
    trains = any(
        counter in fields and any(meaning.get(name) in ("loss", "train_loss") for name in fields)
        for *_, fields in lines
    )
    if _step_is_below(lines, counter, meaning):
        turned = _in_turn(lines[::-1], counter, meaning, trains)[::-1]
        return _once(_of_the_run(turned))
    return _once(_of_the_run(_in_turn(lines, counter, meaning, trains)))


def _step_is_below(lines: list[Line], counter: str | None, meaning: Mapping[str, str]) -> bool:
    """Whether each step stands on a line of its own below what was measured: `loss: 3.2`, then `step: 10`."""
    told = [
        (counter in fields, any(meaning.get(name) in TRAINED for name in fields))
        for *_, fields in lines
        if counter in fields or _measured(fields, meaning)
    ]
    turns = [counts for counts, trained in told if counts or trained]
    alone = all(counts != trained for counts, trained in told if counts or trained)
    in_turn = all(counts == bool(place % 2) for place, counts in enumerate(turns))
    return bool(turns) and alone and in_turn and turns[-1] and told[-1][0]


def _in_turn(
    lines: list[Line], counter: str | None, meaning: Mapping[str, str], trains: bool
) -> list[tuple[int, Fields]]:
    """The lines that measured something, each with its step or that of the line before."""
    rows: list[tuple[int, Fields]] = []
    waiting: list[tuple[int, Fields]] = []
    step = epoch = None
    for number, _, fields in lines:
        epoch = next((fields[name] for name in fields if name in EPOCHS or meaning.get(name) == "epoch"), epoch)
        row, says = _measured(fields, meaning), counter in fields
        if says:
            if step is None and row:
                rows += [(at, {**early, "step": "0"}) for at, early in waiting]
            step = fields[counter or ""]
        elif trains:
            row = {name: value for name, value in row.items() if name not in ("loss", "train_loss")}
        if not row:
            continue
        row |= {name: fields[name] for name in fields if name not in meaning and name not in COUNTERS}
        if epoch is not None:
            row["epoch"] = epoch
        if counter is None and epoch is None:
            continue
        if counter is not None and step is None:
            if row.keys() & {"val_loss", "val_perplexity"}:
                waiting.append((number, row))
            continue
        if counter is not None:
            row["step"] = step
        rows.append((number, {**row, OWN: True} if says or counter is None else row))
    return rows


def _of_the_run(rows: list[tuple[int, Fields]]) -> list[Fields]:
    """Without what stands far from the lines that come again and again: source code and settings, printed with them."""
    shapes = Counter(tuple(sorted(row.keys() & SHAPE)) for _, row in rows if row.keys() & LOSSES)
    least = min(3, max(shapes.values(), default=0))
    places = [at for at, row in rows if row.keys() & LOSSES and shapes[tuple(sorted(row.keys() & SHAPE))] >= least]
    if not places:
        return []
    return [row for at, row in rows if places[0] - NEAR <= at <= places[-1] + NEAR]


def _measured(fields: Fields, meaning: Mapping[str, str]) -> Fields:
    """What a line measured, by the names that a record has; of two names for one thing that which is known better."""
    named = [name for name in fields if meaning.get(name) not in (None, "step", "epoch")]
    named.sort(key=lambda name: -RANKED.get(name, -1))  # the best last: what was said, then as the table has them
    return {meaning[name]: fields[name] for name in named}


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


def _once(rows: list[Fields]) -> list[Fields]:
    """Without lines that were printed twice (a progress bar drawn anew, other processes), and without the validation
    loss where it only stands beside the training loss until the next evaluation."""
    vals = [row["val_loss"] for row in rows if "val_loss" in row and row.keys() & {"loss", "train_loss"}]
    repeated = sum(_same(one, other) for one, other in pairwise(vals)) > 0.5 * len(vals)
    kept: list[Fields] = []
    last_val: Any = None
    for row in rows:
        beside = repeated and row.keys() & TRAINED and "val_loss" in row
        if beside and _same(row["val_loss"], last_val):
            row = _without(row, "val_loss")
        last_val = row.get("val_loss", last_val)
        before = kept[-1] if kept else {}
        if any(before.get(name) != row.get(name) for name in ("step", "epoch", LABEL)):
            kept.append(row)
        elif _complete_each_other(row, before) or ("planned_steps" in row and row.keys() >= before.keys()):
            before |= row  # the same place of a bar, drawn once more with newer numbers, counts once
        elif not row.items() <= before.items() and (OWN in row or not row.keys() <= before.keys()):
            kept.append(row)
    return kept


def _differ(lines: list[Line]) -> bool:
    """Whether lines of two labels tell of the same step and not of the same loss: they are of two runs."""
    told: dict[tuple[Any, ...], dict[str, str]] = {}
    for _, _, fields in lines:
        place = tuple(fields[name] for name in fields if name in COUNTED)
        loss = next((fields[name] for name in fields if MEASURED.get(name) in TRAINED), None)
        if place and loss is not None and LABEL in fields:
            told.setdefault(place, {})[fields[LABEL]] = loss
    return any(len(set(each.values())) > 1 for each in told.values())


def _without(fields: Fields, left_out: str) -> Fields:
    return {name: value for name, value in fields.items() if name != left_out}


def _complete_each_other(row: Fields, other: Fields) -> bool:
    """Whether two lines tell of one step, one of them no loss: OLMo prints a line for each quantity."""
    alone = not row.keys() & LOSSES or not other.keys() & LOSSES
    return alone and not (row.keys() & other.keys()) - {"step", "epoch", "planned_steps", OWN}


def _same(one: Any, other: Any) -> bool:
    """Whether two numbers agree in the digits that both were printed with."""
    if one == other or not (is_number(one) and is_number(other)):
        return bool(one == other)
    digits = min(len(str(each).partition(".")[2]) for each in (one, other))
    return abs(as_float(one) - as_float(other)) <= 0.5001 * 10.0**-digits


def _is_cell(cell: Any) -> bool:
    return cell is None or is_number(str(cell).replace(",", "").rstrip("KMBGTk"))
