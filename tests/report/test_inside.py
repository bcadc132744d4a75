"""The page of a run that looked inside shows its layers; of one that did not, nothing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.report.synthetic import write_run

from fabula.recipe import load_recipe
from fabula.report.document import make_document
from fabula.report.figures.inside import chosen_layers, curves_inside, inside_figures
from fabula.report.render.markdown import render_markdown
from fabula.report.render.page import render_page
from fabula.study.ladder import read_ladder


def look(step: int, layers: int = 3, **seen: Any) -> dict[str, Any]:
    usual = {"grad_norm": [0.1 * (place + 1) for place in range(layers)], "update_ratio": [1e-3] * layers,
             "dead_units": [0.0] * layers}  # fmt: skip
    return {"step": step, **usual, **seen}


def names(looks: list[dict[str, Any]]) -> list[str]:
    return [figure.title for figure in inside_figures("tiny", looks)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run", load_recipe("basic").with_values(steps=200))
    return tmp_path / "run"


def test_a_run_that_looked_inside_shows_each_layer(run: Path) -> None:
    assert "Inside the model" not in render_markdown(make_document(read_ladder([run])))
    lines = [json.dumps(look(step, attention_logit=[2.0, 4.0, step])) + "\n" for step in range(10, 200, 10)]
    (run / "internals.jsonl").write_text("".join(lines))
    document = make_document(read_ladder([run]))
    twin = render_markdown(document)
    assert "19 looks inside the model while it trained (`internals.jsonl`)." in twin
    assert re.search(r"\*\*Largest attention logit\*\*.*?\| layer 3 \| `[^`]+` \| 10 to 190 \|", twin, re.DOTALL)
    assert "Silent feed-forward units" not in twin  # all are awake
    page = render_page(document)
    assert page.count(">layer 3</text>") == 3, "each of the three pictures names its layers"


def test_a_foreign_log_names_its_layers_as_it_counts_them(tmp_path: Path) -> None:
    lines = ["step,loss,grad_norm/layers.0,grad_norm/layers.1,max_attention_logit"]
    lines += [f"{step},{5 - step / 50},0.1,0.2,7" for step in range(100)]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    twin = render_markdown(make_document(read_ladder([tmp_path / "log.csv"])))
    assert "100 looks inside the model while it trained.\n" in twin
    assert "| layer 0 |" in twin and "| layer 1 |" in twin and "| the model |" in twin


def test_what_makes_no_line_is_no_figure() -> None:
    assert names([look(step) for step in (1, 2)]) == []
    assert names([look(step) for step in (1, 2, 3)]) == [
        "Gradient norm, layer by layer", "Update per weight, layer by layer",
    ]  # fmt: skip
    assert names([look(step, grad_norm=[0.0, None, 0.0], update_ratio=[None] * 3) for step in range(5)]) == []
    assert names([look(step, layers=step % 2 + 1) for step in range(6)]) == []


def test_of_many_layers_some_are_drawn_both_ends_among_them() -> None:
    assert chosen_layers(26) == [0, 5, 10, 15, 20, 25] and chosen_layers(1) == [0]
    curves = curves_inside([look(step, layers=26) for step in range(5)], "grad_norm")
    assert list(curves) == ["layer 1", "layer 6", "layer 11", "layer 16", "layer 21", "layer 26"]
