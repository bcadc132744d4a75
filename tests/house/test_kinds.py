"""Every kind of finding that the design names: one line in the documentation, one rule, examples on both sides."""

import re
from pathlib import Path

import pytest
from tests.findings.heldout import CASES
from tests.findings.kinds import EXAMPLES

from fabula.findings.diagnosis import RULES

LADDER = {"effect", "interaction"}
"""Made by the statistics of a ladder, not by a rule over one run; tested in tests/study/test_effects.py."""

OURS = {"lr_too_high"}
"""Beyond the design: trainings at thirty times the rate ended badly without a sign in their loss."""


def named_in_the_design(shared: Path) -> set[str]:
    """What stands in backquotes where its section on findings lists the kinds, line by line: `loss: ...`."""
    section = (shared / "DESIGN.md").read_text(encoding="utf-8").split("## Findings")[1].split("\n## ")[0]
    listed = section.split("`docs/findings.md`:", 1)[1].rsplit("A rule that lacks its column", 1)[0]
    return set(re.findall(r"`([a-z_]+)`", listed))


def defined(repo: Path) -> list[str]:
    """The kinds in the table of docs/findings.md, each with a line."""
    page = (repo / "docs" / "findings.md").read_text(encoding="utf-8")
    table = page.split("<!-- kinds: written by findings_page.py -->")[1].split("<!-- end -->")[0]
    return re.findall(r"^\| `([a-z_]+)` \| \S", table, flags=re.MULTILINE)


def of_rules() -> list[str]:
    return [kind for rule in RULES for kind in rule.kinds]


def test_each_kind_has_one_line_and_one_rule(repo: Path) -> None:
    assert len(set(defined(repo))) == len(defined(repo))
    assert len(set(of_rules())) == len(of_rules()), "a kind has one rule"
    assert set(defined(repo)) == {*of_rules(), *LADDER}


@pytest.mark.beside
def test_the_designs_kinds_are_all_there(repo: Path, shared: Path) -> None:
    named = named_in_the_design(shared)
    assert len(named) > 40 and "divergence" in named and "copying" in named
    assert named | OURS == set(defined(repo))
    assert not named & OURS


def test_each_kind_has_examples_on_both_sides() -> None:
    """Curves with the kind and without it (held out from its thresholds), or recipes, events and completions."""
    assert {*CASES, *EXAMPLES} == set(of_rules())
    assert all(case.shows is not case.shows_not for case in CASES.values())
    assert all(shown and not_shown for shown, not_shown in EXAMPLES.values())
