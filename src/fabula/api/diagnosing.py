"""`fabula.read` and `fabula.diagnose`: a run, or a log of another program, as arrays and as findings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fabula.api.html import run_html
from fabula.api.paths import Where, flags_of, path_of
from fabula.errors import InputError
from fabula.findings import Diagnosis, Flags
from fabula.findings import diagnose as diagnose_run
from fabula.record import reader
from fabula.record.finding import Finding, Verdict
from fabula.record.foreign import LeftOut, read_sources
from fabula.study.diagnosis import diagnose_ladder
from fabula.study.ladder import read_ladder

VERDICTS = ("healthy", "not judged", "warning", "failed")
"""From the best to the worst."""


@dataclass(frozen=True)
class Run(reader.Run):
    """A run as arrays: `train["loss"]`, `evals["val_loss"]`, each beside its `["step"]`; `info` is its run.json."""

    def diagnose(self) -> Diagnosis:
        return diagnose_run(self)

    def _repr_html_(self) -> str:
        return run_html(self, diagnose_run(self))


@dataclass(frozen=True)
class Diagnosed:
    """What the rules say of the runs at a path."""

    path: Path
    runs: tuple[tuple[reader.Run, Diagnosis], ...]
    left_out: tuple[LeftOut, ...] = ()
    """What could not be read, and why."""
    together: Diagnosis | None = None
    """Of a ladder: the effects of its changes."""

    @property
    def verdict(self) -> Verdict:
        """The worst of the runs'."""
        return max((diagnosis.verdict for _, diagnosis in self.runs), key=VERDICTS.index)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all runs, in their order, and of the ladder."""
        told = [diagnosis for _, diagnosis in self.runs] + ([self.together] if self.together else [])
        return tuple(finding for diagnosis in told for finding in diagnosis.findings)

    def of(self, *kinds: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind in kinds]

    @property
    def damaged(self) -> bool:
        """Whether a run could not be read: nobody can say that it is well."""
        return any(each.damaged for each in self.left_out)

    def as_json(self) -> dict[str, Any]:
        """What `fabula diagnose --json` prints."""
        documents = [_document(run, diagnosis) for run, diagnosis in self.runs]
        if len(documents) == 1 and not self.left_out and self.together is None:
            return documents[0]
        several = {"verdict": self.verdict, "runs": documents, "left_out": [each.why for each in self.left_out]}
        if self.together is not None:
            several |= {key: self.together.as_json()[key] for key in ("findings", "silent")}
        return several

    def _repr_html_(self) -> str:
        return "".join(run_html(run, diagnosis) for run, diagnosis in self.runs)


def read(log: Where, *, columns: Mapping[str, str] | str | None = None) -> Run:
    """The run at `log`: a run folder, or what another program logged. `columns` says what columns are whose names do
    not say it.

    Raises InputError for a path without a run, and for one with several, which `read_all` reads.
    """
    runs = read_all(log, columns=columns)
    if len(runs) > 1:
        raise InputError(f"{log} holds {len(runs)} runs; read them with fabula.read_all, or give the path of one")
    return runs[0]


def read_all(log: Where, *, columns: Mapping[str, str] | str | None = None) -> list[Run]:
    """Every run at `log`, in the order of their names. Raises InputError where there is none."""
    runs, _ = read_sources(path_of(log), flags_of(None, None, None, False, columns).columns)
    return [Run(**{each.name: getattr(run, each.name) for each in fields(run)}) for run in runs]


def diagnose(
    log: Where,
    *,
    vocab: int | None = None,
    clip: float | None = None,
    accumulation: int | None = None,
    from_scratch: bool = False,
    columns: Mapping[str, str] | str | None = None,
) -> Diagnosed:
    """Is the run at `log` healthy? A run, a folder of runs, a ladder, or a log of another program; the other arguments
    say what a log does not say itself.

    Raises InputError where there is no run that can be read.
    """
    return diagnose_with(path_of(log), flags_of(vocab, clip, accumulation, from_scratch, columns))


def diagnose_with(log: Path, flags: Flags) -> Diagnosed:
    runs, left_out = read_sources(log, flags.columns)
    told = []
    for run in runs:
        try:
            told.append((run, diagnose_run(run, flags)))
        except InputError as error:  # its recipe, or its looks inside
            if len(runs) + len(left_out) == 1:
                raise
            left_out.append(LeftOut(str(error), damaged=True))
    if not told:
        raise InputError(f"{log} has no run that can be read: {left_out[0].why}")
    together = None
    if (log / "ladder.json").is_file():
        try:
            together = diagnose_ladder(read_ladder([log]))
        except InputError as error:
            left_out.append(LeftOut(str(error), damaged=True))
    return Diagnosed(log, tuple(told), tuple(left_out), together)


def name_of(run: reader.Run) -> str:
    """Its path, and its name in that file."""
    return f"{run.path}" + (f", {run.info['name']}" if run.info.get("log_format") and run.info.get("name") else "")


def _document(run: reader.Run, diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "source": name_of(run),
        "format": run.info.get("log_format", "fabula"),
        "columns": run.info.get("columns", {}),
        "notes": run.info.get("notes", []),
        **diagnosis.as_json(),
    }
