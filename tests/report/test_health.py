"""One notion of health: the first screen and the tables count the same states, which are the findings' verdicts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fabula.findings import Diagnosis
from fabula.record.finding import Finding, Severity
from fabula.report.render.blocks import plain_text
from fabula.report.sections.cells import health_cell, health_counts
from fabula.study.health import health_of
from fabula.study.views import RunView


def view_with(*found: tuple[str, Severity], seed: int = 0, phase: str = "init", finished: bool = True) -> RunView:
    findings = tuple(
        Finding(kind=kind, scope="run", severity=severity, sentence="said", alternatives=("a cause",), try_="a test")
        for kind, severity in found
    )
    view: Any = SimpleNamespace(
        diagnosis=Diagnosis(findings, ()), path=Path("run"), seed=seed, phase=phase, finished=finished,
        of=lambda *keys: None,
    )  # fmt: skip
    return cast(RunView, view)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("divergence", "diverged"),
        ("non_finite", "loss not a number"),
        ("gradient_explosion", "gradients exploded"),
        ("plateau", "learned nothing"),
        ("interrupted", "stopped early"),
        ("lr_rising", "learning rate rising"),
    ],
)
def test_a_run_that_failed_is_never_called_healthy(kind: str, words: str) -> None:
    """A gradient explosion was counted as failed above, and as stable below."""
    view = view_with(("stable", "good"), (kind, "failure"))
    assert view.diagnosis is not None and view.diagnosis.verdict == "failed"
    assert health_of(view) == "failed"
    assert plain_text(health_cell([view], name_phase=True)) == f"failed ({words})"


def test_a_run_without_a_failure() -> None:
    assert health_of(view_with(("stable", "good"), ("gradient_growth", "warning"))) == "with warnings"
    assert health_of(view_with(("stable", "good"), ("plateau", "note"))) == "healthy"
    assert health_of(view_with(finished=False)) == "not finished"


def test_the_short_form_counts_what_the_long_one_names() -> None:
    runs = [view_with(("gradient_explosion", "failure"), seed=seed, phase="baseline") for seed in (0, 1)]
    runs += [view_with(("spike", "warning")), *(view_with(seed=seed) for seed in (1, 2))]
    assert plain_text(health_counts(runs)) == "2 healthy, 1 with warnings, 2 failed"
    told = [span.text for span in health_cell(runs, name_phase=True)]
    assert told == [
        "2 of 5 runs healthy",
        "1 of 5 runs with warnings (init, seed 0: spike)",
        "2 of 5 runs failed (baseline, seeds 0 and 1: gradients exploded)",
    ]
    assert plain_text(health_counts(runs[3:])) == "all 2 healthy"
