"""Findings carry their evidence, and warnings their experiment."""

import json

import pytest

from fabula.record.finding import Finding, verdict


def test_a_finding_as_a_document() -> None:
    finding = Finding(
        kind="spike", scope="run", severity="warning", sentence="It jumped.", steps=(10, 20), evidence={"height": 2.5},
        alternatives=("a bad batch",), try_="look at step 10",
    )  # fmt: skip
    assert json.loads(json.dumps(finding.as_json())) == {
        "kind": "spike", "scope": "run", "severity": "warning", "sentence": "It jumped.", "steps": [10, 20],
        "evidence": {"height": 2.5}, "alternatives": ["a bad batch"], "try": "look at step 10",
    }  # fmt: skip
    assert Finding(kind="stable", scope="run", severity="good", sentence="Fine.").as_json()["steps"] is None


@pytest.mark.parametrize("severity", ["warning", "failure"])
def test_who_warns_names_causes_and_an_experiment(severity: str) -> None:
    with pytest.raises(AssertionError, match="names causes and an experiment"):
        Finding(kind="spike", scope="run", severity=severity, sentence="It jumped.", alternatives=("a bad batch",))


def test_the_verdict_is_the_worst() -> None:
    def of(*severities: str) -> str:
        return verdict(
            [
                Finding(kind="x", scope="run", severity=each, sentence="", alternatives=("a",), try_="b")
                for each in severities
            ]
        )

    assert of() == of("good", "note") == "healthy"
    assert of("good", "warning") == "warning"
    assert of("warning", "failure", "good") == "failed"
