"""From a table to the runs that it tells of."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fabula.errors import InputError
from fabula.record.changes import changes_of
from fabula.record.content.columns import Columns
from fabula.record.foreign.lines.inside import inside_of, seen_in
from fabula.record.foreign.lines.machine import machine_of
from fabula.record.foreign.lines.numbers import as_float, decimal_sign, is_missing, is_number, numbers
from fabula.record.foreign.lines.placeholders import without_placeholders
from fabula.record.foreign.lines.several import ranks_and_runs, refuse_listing
from fabula.record.foreign.lines.steps import counted
from fabula.record.foreign.lines.table import Table, of_seeds, split_apart, widened
from fabula.record.foreign.lines.units import BESIDE, in_nats
from fabula.record.foreign.names import COUNTS, REWARD, UNSURE, normalized, recognize
from fabula.record.foreign.notes import Note, note
from fabula.record.foreign.tables import LOSSES, choose, lost_lines, to_run, wanted_columns
from fabula.record.reader import Run

ENOUGH = 8
"""So many lines are a course, if tokens rise along them."""
SIZES = set("n d params num_params n_params parameters num_parameters model_size size flops compute c".split())


def runs_of(table: Table, wanted: Mapping[str, str] | None = None) -> list[Run]:
    """The runs of `table`: one, or one for each value of a column that tells them apart.

    `wanted` says which column is what (canonical name -> its name in the log), before all that is known of names.
    Raises InputError where the lines are no course of a run, and for a cell that should be a number and is not.
    """
    table = of_seeds(widened(table))
    wanted = wanted_columns(table.path, table.cells, wanted)
    table, chosen = _chosen(table, wanted)
    runs = []
    columns = _columns(table, chosen)
    for name, part in ranks_and_runs(table, columns, chosen):
        run = _run(part, columns if part is table else _columns(part, chosen), chosen, wanted, name)
        if run is not None:
            runs.append(run)
    if not runs:
        raise InputError(f"{table.path} has no line with both a step and a value; its columns are empty")
    return runs


def _chosen(table: Table, wanted: Mapping[str, str]) -> tuple[Table, dict[str, str]]:
    """Which column is what; lines of a validation split have their loss in a column of its own."""
    names = [name for name in table.cells if name in wanted.values() or _can_be_meant(table, name)]
    refuse_listing(table, names, wanted)
    tokens = _counting_tokens(table, names, wanted)
    chosen = choose(table.path, names, {**wanted, "step": tokens} if tokens else wanted)
    losses = [chosen[name] for name in ("loss", "train_loss") if name in chosen]
    apart = split_apart(table, losses, chosen.values())
    if apart is not table:
        chosen["val_loss"] = "val_loss"
    if tokens:
        told = note("tokens_are_steps", name=tokens)
        apart = replace(apart, notes=(*apart.notes, told), info={**apart.info, "steps_are_lines": True})
    return apart, chosen


def _counting_tokens(table: Table, names: list[str], wanted: Mapping[str, str]) -> str | None:
    """The column of tokens where nothing else counts, if they rise as they do along a run; tables of models of several
    sizes have tokens and losses, too."""
    known = {**recognize(names), **wanted}
    if known.keys() & {"step", "epoch"} or "tokens" not in known or not known.keys() & {*LOSSES}:
        return None
    if {normalized(name) for name in table.cells} & SIZES:
        return None
    tokens = numbers(table.path, table.cells[known["tokens"]], known["tokens"], whole=True)
    tokens = tokens[np.isfinite(tokens)]
    return known["tokens"] if len(tokens) >= ENOUGH and (np.diff(tokens) >= 0).all() else None


def _can_be_meant(table: Table, name: str) -> bool:
    """Whether a column can be what its name says: a name that means other things as well needs numbers that differ."""
    if normalized(name) not in UNSURE:
        return True
    cells = [cell for cell in table.cells[name] if not is_missing(cell)]
    if not cells or any(isinstance(cell, bool) or not is_number(cell) for cell in cells):
        return False
    return len(cells) == 1 or len(set(map(as_float, cells))) > 1


def _columns(table: Table, chosen: Mapping[str, str]) -> Columns:
    decimal = decimal_sign(table.cells[name] for each, name in chosen.items() if each not in COUNTS)
    return {
        name: numbers(table.path, table.cells[given], given, whole=name in COUNTS, decimal=decimal)
        for name, given in chosen.items()
    }


def _of_policy(
    table: Table, columns: Columns, chosen: Mapping[str, str], wanted: Mapping[str, str], told: list[Note]
) -> Columns:
    """Without the finite losses of a policy, where the log has rewards; one that is lost is lost here as well.

    Raises InputError where nothing else was measured.
    """
    losses = [name for name in (*LOSSES, *BESIDE) if name in columns]
    short = {normalized(name): name for name in table.cells}
    reward = next((name for each, name in short.items() if REWARD.fullmatch(each)), None)
    if (
        not losses
        or reward is None
        or wanted.keys() & {*losses}
        or any(re.search("chosen|margin", each) for each in short)
    ):
        return columns
    if not columns.keys() & {"grad_norm", "learning_rate"}:
        raise InputError(
            f"{table.path} tells how a policy learns (`{reward}`): its loss says nothing of how good the model is, and "
            f"nothing else in it can be judged; to have it judged all the same, say --columns loss={chosen[losses[0]]}"
        )
    told.append(note("of_rewards", reward=reward, loss=chosen[losses[0]]))
    lost = {name: np.where(np.isinf(columns[name]), np.inf, np.nan) for name in losses}
    return {**columns, **lost}


def _run(
    table: Table, columns: Columns, chosen: Mapping[str, str], wanted: Mapping[str, str], name: str | None
) -> Run | None:
    told = list(table.notes)
    if wanted:
        told.append(
            note("named_columns", read=", ".join(f"`{given}` is read as {each}" for each, given in wanted.items()))
        )
    columns = _of_policy(table, columns, chosen, wanted, told)
    if all(np.isnan(values).all() for each, values in columns.items() if each not in ("epoch", *COUNTS)):
        return None
    losses = [each for each in LOSSES if each in columns and not np.isnan(columns[each]).all()]
    lost = None
    if losses and np.isnan(columns[losses[0]]).any():
        empty = table.empty(chosen[losses[0]])
        if empty.any():
            present = {each: table.present(each) for each in table.cells}
            lost = empty & lost_lines(present, chosen[losses[0]], [chosen.get("grad_norm", "")])
    columns = in_nats(without_placeholders(table, columns, chosen, told), told)
    columns, info = counted(columns, told)
    columns |= inside_of(table.cells, chosen.values(), told)
    machine, called = machine_of(table.cells, chosen.values())
    columns |= machine
    others = {each: cells for each, cells in table.cells.items() if seen_in(each) is None}  # `dead_units/block.0`
    if changes := changes_of(others, columns["step"].tolist()):
        info["changes"] = changes
    info = {**info, **table.info, **({"name": name} if name else {})}
    return to_run(table.path, table.form, columns, names={**chosen, **called}, notes=told, lost=lost, **info)
