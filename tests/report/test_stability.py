"""One notion of health: the column "Stability" follows from the findings that a run's verdict is made of."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fabula.findings import Diagnosis
from fabula.record.finding import Finding, Severity
from fabula.report.stability import CALM, FAILED, STOPPED, TONES, stability_of
from fabula.report.views import RunView


def view_with(*found: tuple[str, Severity]) -> RunView:
    findings = tuple(
        Finding(kind=kind, scope="run", severity=severity, sentence="said", alternatives=("a cause",), try_="a test")
        for kind, severity in found
    )
    view: Any = SimpleNamespace(diagnosis=Diagnosis(findings, ()), path=Path("run"))
    return cast(RunView, view)


@pytest.mark.parametrize("kind", [*FAILED, "interrupted", "a kind of tomorrow"])
def test_a_run_that_failed_is_never_called_stable(kind: str) -> None:
    """A gradient explosion was counted as failed above, and as stable below."""
    view = view_with(("stable", "good"), (kind, "failure"))
    assert view.diagnosis is not None and view.diagnosis.verdict == "failed"
    assert TONES[stability_of(view)] == "failure"
    assert stability_of(view) == FAILED.get(kind, STOPPED)


def test_a_run_without_a_failure_is_called_by_what_its_loss_did() -> None:
    assert stability_of(view_with(("stable", "good"), ("gradient_growth", "warning"))) == CALM == "no spikes"
    assert stability_of(view_with(("spike", "warning"))) == "spikes"
    assert stability_of(view_with(("spike", "warning"), ("divergence", "warning"))) == "recovered"
    assert stability_of(view_with()) == "not known"
