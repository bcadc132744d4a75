"""Where a run stands among kept runs of its kind, and where nothing is said of it."""

import runpy
from pathlib import Path

import pytest
from tests.findings.kinds import ended, happened

from fabula.findings import Diagnosis, diagnose
from fabula.findings.normal import TABLE, kept
from fabula.record.reader import read_run


def why_not(diagnosis: Diagnosis) -> str:
    return next(each.lacks for each in diagnosis.silent if "among_its_kind" in each.kinds)


@pytest.mark.long
def test_the_table_and_the_page_are_what_the_records_say(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "normal_table.py"))
    assert script["as_toml"](script["rows"]()) == TABLE.read_text("utf-8"), "run: python docs/normal_table.py"
    page = (repo / "docs" / "diagnose.md").read_text("utf-8")
    assert script["written"](page.replace("| basic/init (", "| gone (")) == page


def test_more_recipes_end_lower_than_a_worse_run() -> None:
    (good,), (bad,) = (ended(loss).of("among_its_kind") for loss in (2.5, 5.5))
    assert good.evidence["lower"] == 0 and bad.evidence["lower"] == bad.evidence["recipes"] > 3
    assert good.severity == bad.severity == "note"
    assert "nats per GPT-2 token" in bad.sentence and "bits per byte" in bad.sentence


def test_only_what_is_of_its_kind_counts() -> None:
    (finding,) = ended().of("among_its_kind")
    ruler = max({row.ruler for row in kept()}, key=lambda each: sum(row.ruler == each for row in kept()))
    there = [
        row for row in kept() if row.ruler == ruler and 3.5e6 <= row.parameters <= 14e6 and 3e5 <= row.tokens <= 1.2e6
    ]
    assert finding.evidence["recipes"] == len(there)
    assert finding.evidence["runs"] == sum(len(row.gpt2) for row in there)


@pytest.mark.parametrize(("made", "why"), [
    (lambda: ended(ruler="other"), "on others say nothing here"), (lambda: ended(parameters=10**9), "kept recipes"),
    (lambda: ended(from_scratch=False), "from scratch"), (lambda: happened(log_format="csv"), "says on which stories"),
])  # fmt: skip
def test_where_nothing_is_said_it_is_told_why(made: object, why: str) -> None:
    assert callable(made)
    assert why in why_not(made())


def test_a_kept_run_is_not_compared_with_itself(repo: Path) -> None:
    (finding,) = diagnose(read_run(repo / "docs" / "runs" / "modern-300")).of("among_its_kind")
    assert finding.evidence["lowest"] > finding.evidence["nats_per_gpt2_token"] or finding.evidence["lower"] > 0
