"""Of how many runs a table tells: of one, of several that a column tells apart, or of many with a line each.

Refused is a table of runs (their last values are no course); split is a table in which the steps go back or repeat,
unless within each value of a column they only rise.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import numpy as np

from fabula.errors import InputError
from fabula.record.content.columns import Columns
from fabula.record.foreign.lines.numbers import Cells, is_missing, is_number, numbers
from fabula.record.foreign.lines.steps import MEASURED, main_lines
from fabula.record.foreign.lines.table import Table
from fabula.record.foreign.names import normalized, recognize
from fabula.record.foreign.notes import note

IDENTITIES = set(
    "name run runs run_name run_id run_uuid runname id uuid experiment experiment_name experiment_id exp exp_name "
    "exp_id model model_name trial trial_id trial_name trial_number config config_name variant recipe session "
    "session_name session_group_name setting ablation method arm job job_name group display_name params_name seed "
    "tags_mlflow_runname architecture optimizer".split()
)
"""Names of columns that say which run a line is of."""
LISTINGS = {
    "W&B's table of runs": ({"name", "state"}, {"created", "runtime", "end_time", "sweep", "notes", "user"}),
    "MLflow's table of runs": ({"run_id"}, {"experiment_id", "artifact_uri", "start_time", "source_name", "user"}),
    "MLflow's table of runs ": ({"start_time", "run_id"}, {"duration", "source_type", "status"}),
    "a table of trials": ({"datetime_start"}, {"datetime_complete", "duration", "state"}),
    "a table of trials ": ({"session_group_name"}, {"status", "metrics", "session_name", "monitor_url"}),
}
"""What it is -> columns that all are there, and columns of which one is."""
ADVICE = {
    "W&B": "export a chart's CSV, or run.history(), of the runs that you want to know about",
    "MLflow": "give the metric history of one run, with a line a step",
    "": "give the log of one run, with a line a step (W&B: a chart's CSV or run.history(); TensorBoard: event files)",
}
TIMES = re.compile(r".*(time|date|created|started|elapsed|seconds|runtime|duration|stamp|eta|wall|clock|updated).*")
OF_ONE_RUN = set(
    "attempt restart restarts resume resumed launch pid host hostname node nodename job_id slurm_job_id".split()
)
"""They change at a resume, and the run goes on."""
RANKS = set(
    "rank local_rank global_rank gpu gpu_id device device_id worker worker_id process process_index dp_rank".split()
)
OVERLAP = 0.5
"""Variants cover the same steps; of a run that was resumed, the parts overlap by less than half of the shorter."""
COURSE = 0.8
"""Along a run the steps rise from line to line, but for resumes; in a table of runs they are in any order."""
MOST_LISTED = 5000
"""A longer log is no table of runs."""
MOST_RUNS = 200


class TableOfRuns(InputError):
    """Each line is a run: no log, and enough for who compares runs (foreign/listing.py)."""


def refuse_listing(table: Table, names: Iterable[str], wanted: Mapping[str, str]) -> None:
    """Raise InputError where each line is a run."""
    short = {normalized(name): name for name in table.cells}
    for what, (every, one) in LISTINGS.items():
        if every <= short.keys() and one & short.keys():
            raise _is_listing(table, what.strip(), table.num_lines)
    if not 1 < table.num_lines <= MOST_LISTED:
        return
    chosen = {**recognize(names), **wanted}
    steps = _steps(table, chosen)
    if steps is None or _rising(steps) < COURSE:
        unusual = [name for name in table.cells if name not in chosen.values() and _names_each_line(table, name)]
        for name in unusual:
            if normalized(name) in IDENTITIES or (steps is not None and table.num_lines > 2 and _is_text(table, name)):
                raise _is_listing(table, "a table of runs", table.num_lines, f", each with another `{name}`")
    else:
        for name in table.cells:
            named = (
                normalized(name) in IDENTITIES - {"id", "uuid"}
                and _is_text(table, name)
                and _names_each_line(table, name)
            )
            if named and not _tells_steps(table.cells[name], steps):
                raise _is_listing(table, "a table of runs", table.num_lines, f", each with another `{name}`")
    loss = next(
        (chosen[name] for name in MEASURED if name in chosen and name in ("loss", "train_loss", "val_loss")), None
    )
    if steps is not None and loss is not None and "epoch" not in chosen:
        steps = steps[there := table.present(loss)]
        differ = len({str(cell) for cell, is_there in zip(table.cells[loss], there, strict=True) if is_there}) > 1
        if differ and (steps == steps[0]).all():
            raise _is_listing(table, "a table of runs", len(steps), f", all at step {steps[0]:,.0f}")


def _steps(table: Table, chosen: Mapping[str, str]) -> np.ndarray | None:
    """What counts, if anything does and is a number on every line."""
    name = chosen.get("step", chosen.get("epoch"))
    if name is None or name not in table.cells:
        return None
    try:
        steps = numbers(table.path, table.cells[name], name, whole="step" in chosen)
    except InputError:
        return None
    return steps if np.isfinite(steps).all() else None


def _rising(steps: np.ndarray) -> float:
    """Share of the lines that go on in one direction: some logs have their newest line first."""
    ahead = np.sign(np.diff(steps))
    return float(max((ahead > 0).mean(), (ahead < 0).mean()))


def _names_each_line(table: Table, name: str) -> bool:
    cells = [str(cell).strip() for cell in table.cells[name]]
    return len(set(cells)) == len(cells) and not any(map(is_missing, cells)) and not TIMES.fullmatch(normalized(name))


def _is_text(table: Table, name: str) -> bool:
    return not any(map(is_number, table.cells[name]))


def ranks_and_runs(table: Table, columns: Columns, chosen: Mapping[str, str]) -> Iterator[tuple[str | None, Table]]:
    """The runs of `table`, each with the name that its lines have in common (None: it is one run)."""
    lines = main_lines(columns)
    key = _place(columns)[lines]
    if len(key) < 4 or (np.diff(key) > 0).all():
        yield None, table
        return
    candidates = _candidates(table, lines, set(chosen.values()) - {chosen.get("learning_rate", "")})
    for size in (1, 2, 3):
        for names in combinations(candidates, size):
            labels = np.array(["\0".join(str(table.cells[name][line]).strip() for name in names) for line in lines])
            if not _apart(key, labels, sure=any(_is_sure(table, name) for name in names)):
                continue
            if size == 1 and normalized(names[0]) in RANKS:
                first = sorted(set(labels), key=lambda each: (len(each), each))[0]
                told = note("first_rank", name=names[0], ranks=len(set(labels)), first=first)
                yield None, table.only(_holds(table, names, first)).with_note(told)
                return
            for label in dict.fromkeys(labels):
                told = note("variants", names=" and ".join(f"`{name}`" for name in names), runs=len(set(labels)))
                named = ", ".join(f"{name} {value}" for name, value in zip(names, label.split("\0"), strict=True))
                yield named, table.only(_holds(table, names, label)).with_note(told)
            return
    yield None, table


def _is_listing(table: Table, what: str, lines: int, why: str = "") -> TableOfRuns:
    runs = "1 run" if lines == 1 else f"{lines} runs, one line each"
    known = next((advice for program, advice in ADVICE.items() if program in what), ADVICE[""])
    return TableOfRuns(f"{table.path} is {what} ({runs}{why}) and shows no run's course; {known}")


def _tells_steps(cells: Cells, steps: np.ndarray) -> bool:
    """Whether the names are those of checkpoints: `model-500` at step 500."""
    return all(
        f"{step:.0f}" in str(cell)
        or f"{step / 1000:g}k" in str(cell).lower()
        or f"{step / 1e6:g}m" in str(cell).lower()
        for cell, step in zip(cells, steps, strict=True)
    )


def _place(columns: Columns) -> np.ndarray:
    """What rises along a run: the step, or epoch and step."""
    step = columns.get("step")
    if "epoch" not in columns:
        return _known(step) if step is not None else np.arange(0.0)
    epoch = _known(columns["epoch"])
    if step is None:
        return epoch
    step = _known(step)
    return np.floor(epoch) * (step.max() + 1.0) + step if _restarts(step, epoch) else step


def _known(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, -1.0)


def _restarts(step: np.ndarray, epoch: np.ndarray) -> bool:
    """Whether steps begin anew with each epoch."""
    turns = np.flatnonzero(np.diff(np.floor(epoch)) > 0)
    return len(turns) > 0 and bool((step[turns + 1] <= step[turns]).mean() >= 0.5)


def _candidates(table: Table, lines: np.ndarray, taken: set[str]) -> list[str]:
    """Columns that may tell runs apart, the likeliest first."""
    found = []
    for name, cells in table.cells.items():
        short = normalized(name)
        if name in taken or short in OF_ONE_RUN or TIMES.fullmatch(short):
            continue
        values = [str(cells[line]).strip() for line in lines]
        if 2 <= len(set(values)) <= min(MOST_RUNS, len(values) / 2) and not any(map(is_missing, values)):
            found.append((short not in IDENTITIES, all(map(is_number, values)), short in RANKS, name))
    found.sort(key=lambda each: each[:3])
    return [name for *_, name in found[:8]]


def _is_sure(table: Table, name: str) -> bool:
    short = normalized(name)
    return short in IDENTITIES or short in RANKS or not any(map(is_number, table.cells[name]))


def _apart(key: np.ndarray, labels: np.ndarray, *, sure: bool) -> bool:
    """Whether steps only rise within each label, over the same steps. Not `sure`: only where the labels are blocks."""
    groups = [key[labels == label] for label in dict.fromkeys(labels)]
    if any((np.diff(group) <= 0).any() for group in groups):
        return False
    changes = int((labels[1:] != labels[:-1]).sum())
    even = len({len(group) for group in groups}) == 1 and changes == len(labels) - 1
    if not sure and changes != len(groups) - 1 and not even:
        return False
    return any(_overlap(one, other) >= OVERLAP for one, other in combinations(groups[:20], 2))


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    short, long = sorted((one, other), key=len)
    return float(((short >= long[0]) & (short <= long[-1])).mean())


def _holds(table: Table, names: tuple[str, ...], label: str) -> np.ndarray:
    values = [[str(cell).strip() for cell in table.cells[name]] for name in names]
    return np.array(["\0".join(each) == label for each in zip(*values, strict=True)])
