"""The numbers in README.md and in the log of trials are what the kept records say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from fabula.api.planning.planner import WELL_SPENT
from fabula.study.frontier.choice import BEYOND
from fabula.study.frontier.law import LEAST_KINDS, LEAST_RUNS, RESAMPLES


def test_the_numbers_are_what_their_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "readme_page.py"))
    page = (repo / "README.md").read_text(encoding="utf-8")
    stripped = page.replace("**helps**", "")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/readme_page.py"


def test_the_trials_in_the_log_are_what_their_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "search_page.py"))
    page = (repo / "docs" / "log.md").read_text(encoding="utf-8")
    assert script["written"](page.replace("the base itself", "")) == page, "run: python docs/search_page.py"


@pytest.mark.parametrize("file", ["report.md", "models.md", "train.md"])
def test_the_guides_say_what_the_kept_ladders_showed(repo: Path, file: str) -> None:
    script = runpy.run_path(str(repo / "docs" / "ladder_pages.py"))
    page = (repo / "docs" / file).read_text(encoding="utf-8")
    stripped = page.replace("95 % interval", "")
    assert stripped != page
    assert script["written"](file, stripped) == page, "run: python docs/ladder_pages.py"


def test_the_glossary_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "glossary_page.py"))
    written = (repo / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert written == script["written"](), "run: python docs/glossary_page.py"


def test_the_referees_guide_says_what_was_measured(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "referee_page.py"))
    page = (repo / "docs" / "referee.md").read_text(encoding="utf-8")
    stripped = page.replace("standard deviations |", "")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/referee_page.py"


def test_the_guide_of_watching_says_what_was_measured(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "watch_page.py"))
    page = (repo / "docs" / "watch.md").read_text(encoding="utf-8")
    stripped = page.replace("turn by turn, of alone", "")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/watch_page.py"


@pytest.mark.long
def test_the_guide_of_plans_says_what_is_known(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "plan_page.py"))
    page = (repo / "docs" / "plan.md").read_text(encoding="utf-8")
    stripped = page.replace("loss expected", "")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/plan_page.py"


def test_what_plans_rest_on_is_in_the_kept_records(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "frontier.py"))
    table = repo / "src" / "fabula" / "study" / "frontier" / "runs.toml"
    assert script["runs_written"]() == table.read_text(encoding="utf-8"), "run: python docs/frontier.py runs"


def test_the_guide_of_plans_has_the_constants_of_the_code(repo: Path) -> None:
    page = " ".join((repo / "docs" / "plan.md").read_text(encoding="utf-8").split())
    assert (LEAST_RUNS, LEAST_KINDS, BEYOND) == (8, 3, 2.0)
    for said in ("eight runs of three sizes and lengths", "more than twice outside", f"the law of {RESAMPLES} draws",
                 f"more than {WELL_SPENT:g} nats"):  # fmt: skip
        assert said in page, said
