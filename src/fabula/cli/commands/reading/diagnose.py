"""`fabula diagnose`: is this run healthy? Of runs that fabula made, and of logs that others wrote."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fabula.cli.screen.terminal import show
from fabula.cli.screen.typed import as_called

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from fabula.findings import Diagnosis, Flags
    from fabula.record.finding import Finding
    from fabula.record.reader import Run

SEVERITIES = ("failure", "warning", "note", "good")
COLOURS = {"failure": "red", "warning": "yellow", "note": "blue", "good": "green", "failed": "red", "healthy": "green"}


class FailOn(StrEnum):
    warning = "warning"
    failure = "failure"


def diagnose(
    log: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN|FOLDER|LOG|-]",
            help="A run, a folder of runs, a log of another program, or - for standard input; "
            "default: the newest under runs/.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            help="Exit with code 1 at a failure, or already at a warning and where nothing could be judged. Without "
            "this option the exit code is 0."
        ),
    ] = None,
    vocab: Annotated[
        int | None, typer.Option(min=2, help="Number of tokens in the vocabulary, if the log does not say it.")
    ] = None,
    clip: Annotated[
        float | None, typer.Option(min=0.0, help="Largest gradient norm that clipping allowed; 0: no clipping.")
    ] = None,
    accumulation: Annotated[
        int | None, typer.Option(min=1, help="Micro-steps (forward-backward passes) per optimizer update.")
    ] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="The log begins with an untrained model.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=COLUMN,...",
            help="What the columns of the log are, where their names do not say it: step=n,loss=y.",
        ),
    ] = None,
) -> None:
    """Check whether a training went well: spikes, values that are not finite, learning rate, gradients, overfitting.

    Reads run folders, CSV, JSON lines, TensorBoard event files, W&B exports, the Hugging Face Trainer's output folder,
    and the printed lines of most training programs. What a log does not say can be given as an option; checks that
    need it are otherwise listed as not checked. Of a ladder it also states the effects of its changes.
    """
    import json
    from collections import Counter

    from fabula.api.diagnosing import diagnose_with
    from fabula.api.paths import flags_of
    from fabula.cli.named.newest import named_or_newest
    from fabula.cli.screen.terminal import tell

    flags = flags_of(vocab, clip, accumulation, from_scratch, columns)
    log = named_or_newest(log, ladders=True)
    found = diagnose_with(log, flags)
    told, together, worst = found.runs, found.together, found.verdict
    for each in found.left_out:
        tell(f"not read: {each.why}", stderr=True)
    if as_json:
        show(json.dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        _show_all(told)
        if together is not None:
            show("the ladder as a whole:")
            _show_findings(together.findings)
            _show_unknown("not checked:", {(silent.lacks, silent.kinds) for silent in together.silent})
            show("")
        if len(told) > 1:
            counts = Counter(each.verdict for _, each in told)
            show(f"{worst}: {len(told)} runs, " + ", ".join(f"{count} {word}" for word, count in counts.items()) + "\n")
        show(as_called(f"next: {_next(log, told, flags)}"))
    if fail_on is not None and (
        found.damaged or worst == "failed" or (worst != "healthy" and fail_on is FailOn.warning)
    ):
        raise typer.Exit(1)


def _show_all(told: "Sequence[tuple[Run, Diagnosis]]") -> None:
    """Run by run; what was checked in none of several runs is said once, at the end."""
    unknown = [{(silent.lacks, silent.kinds) for silent in diagnosis.silent} for _, diagnosis in told]
    everywhere = set.intersection(*unknown) if len(told) > 1 else set()
    for (run, diagnosis), here in zip(told, unknown, strict=True):
        _show(run, diagnosis)
        _show_unknown("not checked:", here - everywhere)
        _show_notes(run)
        show("")
    if everywhere:
        _show_unknown("not checked in any of them:", everywhere)
        show("")


def _show(run: "Run", diagnosis: "Diagnosis") -> None:
    """The verdict, and a line a finding."""
    import sys

    from fabula.api.diagnosing import name_of
    from fabula.cli.screen.terminal import width_of, wrapped

    typer.secho(diagnosis.verdict, fg=COLOURS.get(diagnosis.verdict, "yellow"), bold=True, nl=False)
    but = f", but {diagnosis.caveat}" if diagnosis.caveat and diagnosis.verdict in ("healthy", "warning") else ""
    why = f" ({diagnosis.unjudged})" if diagnosis.verdict == "not judged" else ""
    line = f"{diagnosis.verdict}{why}{but}: {name_of(run)} ({_extent(run)})"
    show(wrapped(line, width_of(sys.stdout), "  ").removeprefix(diagnosis.verdict))
    _show_findings(diagnosis.findings)


def _show_findings(found: "Sequence[Finding]") -> None:
    import sys

    from fabula.cli.screen.terminal import tell, width_of, wrapped

    findings = sorted(found, key=lambda each: SEVERITIES.index(each.severity))  # steps in order within
    width = max((len(each.kind) for each in findings), default=0)
    for each in findings:
        severity = f"  {each.severity:<7}"
        line = f"{severity}  {each.kind:<{width}}  {_steps(each)}{each.sentence}{_evidence(each)}"
        typer.secho(severity, fg=COLOURS[each.severity], nl=False)
        show(wrapped(line, width_of(sys.stdout), " " * 11).removeprefix(severity))
        if each.try_:
            tell(f"           possible causes: {'; '.join(each.alternatives)}", indent=" " * 13)
            tell(f"           try: {each.try_}", indent=" " * 13)


def _show_unknown(heading: str, unknown: "set[tuple[str, tuple[str, ...]]]") -> None:
    from fabula.cli.screen.terminal import tell

    lacking: dict[str, list[str]] = {}
    for lacks, kinds in sorted(unknown, key=lambda each: each[1]):
        lacking.setdefault(lacks, []).extend(kinds)
    if lacking:
        show(f"  {heading}")
    for lacks, names in lacking.items():
        tell(f"    {', '.join(names)}: {lacks}", indent=" " * 6)


def _show_notes(run: "Run") -> None:
    from fabula.cli.screen.terminal import tell

    if notes := run.info.get("notes"):
        show("  about this log:")
        for each in notes:
            tell(f"    {each['sentence']}", indent=" " * 6)


def _extent(run: "Run") -> str:
    """`csv, 50 evaluations, steps 0 to 49,000`."""

    from fabula.record.wording import plural

    steps = [float(end) for each in (run.train, run.evals) if len(each["step"]) for end in _ends(each["step"])]
    counts = [(len(run.train["step"]), "training line"), (len(run.evals["step"]), "evaluation")]
    told = [plural(count, word) for count, word in counts if count]
    return ", ".join(
        [
            run.info.get("log_format", "fabula"),
            *told,
            f"steps {min(steps):,.0f} to {max(steps):,.0f}" if steps else "no steps",
        ]
    )


def _ends(steps: "np.ndarray") -> "tuple[float, float]":
    return steps.min(), steps.max()


def _steps(finding: "Finding") -> str:
    if finding.steps is None:
        return ""
    from fabula.record.wording import steps_text

    return f"[{steps_text(finding.steps)}] "


def _evidence(finding: "Finding") -> str:
    """` (level_before 4.97, peak 7.30)`: the numbers; what is a list or a table is left to --json, and an effect has
    its own in its sentence."""
    if finding.scope == "ladder":
        return ""
    parts = []
    for name, value in finding.evidence.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        parts.append(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.4g}")
    return f" ({', '.join(parts)})" if parts else ""


def _next(log: Path, told: "Sequence[tuple[Run, Diagnosis]]", flags: "Flags") -> str:
    """The command to type now: with the options that rules lacked, or the report."""
    import shlex

    if any("log_format" not in run.info for run, _ in told):
        return f"fabula report {shlex.quote(str(log))} --out report.html"
    known = {"--vocab": flags.vocabulary, "--clip": flags.clip, "--accumulation": flags.accumulation}
    given = shlex.quote(str(log)) + "".join(f" {name} {value:g}" for name, value in known.items() if value is not None)
    given += " --from-scratch" if flags.from_scratch else ""
    if flags.columns:
        given += " --columns " + shlex.quote(",".join(f"{name}={column}" for name, column in flags.columns.items()))
    options = dict.fromkeys(silent.option for _, diagnosis in told for silent in diagnosis.silent if silent.option)
    values = {"--vocab": " N", "--clip": " F", "--accumulation": " N"}
    if options:
        return f"fabula diagnose {given} {' '.join(option + values.get(option, '') for option in options)}"
    return f"fabula diagnose {given} --json" if str(log) == "-" else f"fabula report {given} --out report.html"
