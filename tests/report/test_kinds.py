"""Every kind of finding reaches the page: that of a ladder, and that of a single run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.report.synthetic import write_ladder

from fabula.findings import Diagnosis
from fabula.findings.kinds import COMPLETIONS, KINDS
from fabula.record.finding import Finding, Severity
from fabula.report.document import make_document
from fabula.report.figures.figures import KINDS as FIGURES
from fabula.report.render.markdown import render_markdown
from fabula.study import views
from fabula.study.ladder import read_ladder

OF_RULES = [kind for kind in KINDS.values() if kind.rule is not None]


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds") / "ladder"
    return write_ladder(folder, seeds=2, packed={"tail": " and the ship went on and on" * 9})


def sentence(kind: str) -> str:
    return f"This says {kind.replace('_', ' ')}."


@pytest.fixture(params=["note", "warning", "failure"])
def everything_is_found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run has a finding of every kind."""

    def found(kind: str, severity: Severity) -> Finding:
        judged = {
            "num_judged": 3,
            "num_found": 1,
            "completions": [{"prompt": "A pirate ship sailed", "step": 300}],
        }
        return Finding(
            kind=kind,
            scope="completions" if KINDS[kind].kept[0] else "run",
            severity=severity,
            sentence=sentence(kind),
            steps=(200, 300),
            evidence=judged if KINDS[kind].kept[0] else {"final": 3.0, "peak": 9.0},
            alternatives=("a cause",),
            try_=f"see about {kind}",
        )

    real = views.diagnose

    def diagnosis(*given: Any) -> Diagnosis:
        return replace(real(*given), findings=tuple(found(kind.name, request.param) for kind in OF_RULES), silent=())

    monkeypatch.setattr(views, "diagnose", diagnosis)


@pytest.mark.usefixtures("everything_is_found")
@pytest.mark.parametrize("part", ["", "runs/basic/packed/seed-0"])
def test_every_kind_reaches_the_page(ladder: Path, part: str) -> None:
    page = render_markdown(make_document(read_ladder([ladder / part])))
    assert [kind.name for kind in OF_RULES if sentence(kind.name) not in page] == []


def test_a_kind_names_figures_that_there_are() -> None:
    drawn = {figure.which for figure in FIGURES}
    for kind in KINDS.values():
        assert {*kind.marked_on, *kind.topic.figures} <= drawn
        assert kind.topic.beside in {*drawn, ""}
        assert all(kind.kept) is (kind.topic is COMPLETIONS), "the page says what stories do well"
