"""The search with Optuna in docs/ladders.md works as it stands there, with a smaller recipe and fewer trials."""

import re
import runpy
from pathlib import Path

import optuna
import pytest
from tests.train.tiny import tiny_file

from fabula.record.reader import find_runs, read_run


def test_the_search_of_the_page(
    repo: Path, grammar_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (repo / "docs" / "ladders.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    small = (str(grammar_folder), str(tmp_path / "search"), tiny_file(tmp_path), 16, 2)
    settings = f"DATA, OUT, RECIPE, STEPS, TRIALS = {small!r}"
    (tmp_path / "search.py").write_text(re.sub("^DATA, OUT.*$", lambda _: settings, script, flags=re.MULTILINE))
    names = runpy.run_path(str(tmp_path / "search.py"))
    assert [trial.state.name for trial in names["study"].trials] == ["COMPLETE", "COMPLETE"]
    assert "peak" in capsys.readouterr().out
    runs = [read_run(run) for run in find_runs(tmp_path / "search")]
    assert [run.status for run in runs] == ["finished", "finished"]
    assert all('split = "tune"' in run.recipe_toml for run in runs)
    assert min(float(run.full_evals()["val_loss"][-1]) for run in runs) == names["study"].best_value

    names["loss_on_tune"].__globals__["OUT"] = tmp_path / "pruned"
    strict = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.1))
    strict.optimize(names["loss_on_tune"], n_trials=1)
    assert [trial.state.name for trial in strict.trials] == ["PRUNED"]
    assert [read_run(run).status for run in find_runs(tmp_path / "pruned")] == ["interrupted"]
