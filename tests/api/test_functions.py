"""The functions do what the commands do, with the same sentences where something is wrong."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.api.loops import course

import fabula
from fabula.cli import run as fabula_command
from fabula.errors import InputError
from fabula.train.observer import Observer

TINY = {"batch.rows": 2, "model.layers": 1, "model.width": 32, "model.heads": 1, "model.context": 32,
        "evaluation.every": 2, "evaluation.sample_tokens": 0, "compute.compile": "off"}  # fmt: skip


class Watching(Observer):
    def __init__(self) -> None:
        self.steps: list[int] = []

    def stepped(self, line: dict) -> None:
        self.steps.append(line["step"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 steps, made by the functions."""
    place = tmp_path_factory.mktemp("functions")
    made = fabula.prepare("builtin", place / "data", tokenizer="bpe:300", limit=40)
    assert made.folder == place / "data" and made.tokenization.vocabulary <= 300
    watching = Watching()
    run = fabula.train(
        "basic/packed", data=made.folder, out=place / "run", set={**TINY, "tokenizer": "bpe:300"}, steps=4,
        observer=watching,
    )  # fmt: skip
    assert run.status == "finished" and watching.steps == [1, 2, 3, 4] and len(run.train["loss"]) == 4
    return place


def test_a_finished_run_is_read_when_it_is_resumed(trained: Path) -> None:
    before = fabula.read(trained / "run").info["steps"]
    again = fabula.train(data=trained / "data", out=trained / "run", resume=True)
    assert again.info["steps"] == before and again.status == "finished"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recipe": "bassic"}, "unknown recipe"),
        ({"set": {"batch.row": 8}}, "batch.rows"),
        ({"steps": 5, "minutes": 1.0}, "both say how long"),
        ({"out": "run"}, "not empty"),
        ({"minutes": -1.0}, "minutes -1: give a number above 0"),
        ({"minutes": math.nan}, "give a number above 0"),
        ({"out": "run", "resume": True, "minutes": 1.0}, "its own recipe"),
        ({"out": "run", "resume": True, "recipe": "mid"}, "was made with the recipe basic/packed, not mid/packed"),
        ({"resume": True, "recipe": None}, "nothing was saved in .*new, so there is nothing to go on with"),
    ],
)
def test_what_is_wrong_is_said_as_the_command_says_it(options: dict, said: str, trained: Path) -> None:
    given = {"recipe": "basic/packed", "data": trained / "data", "out": "new", **options}
    given["out"] = trained / given["out"]
    with pytest.raises(ValueError, match=said):
        fabula.train(**given)
    assert not (trained / "new").exists()


def test_without_a_recipe_the_one_that_reads_the_tokens_is_trained(trained: Path, tmp_path: Path) -> None:
    small = {key: value for key, value in TINY.items() if key != "model.context"}
    run = fabula.train(data=trained / "data", out=tmp_path / "run", set={**small, "model.kv_heads": 1}, steps=2)
    assert run.status == "finished" and "bpe:300" in (tmp_path / "run" / "recipe.toml").read_text()


def test_a_plan_that_is_warned_of_is_refused_where_that_was_asked(trained: Path, tmp_path: Path) -> None:
    odd = {**TINY, "tokenizer": "bpe:300", "schedule.floor": 1.0}
    with pytest.raises(fabula.InputError, match=r"lr_.* \(strict\)"):
        fabula.train("basic/packed", data=trained / "data", out=tmp_path / "run", set=odd, steps=4, strict=True)
    assert not (tmp_path / "run").exists()


def test_a_model_is_loaded_for_logits_stories_and_scores(trained: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = fabula.load(trained / "run")
    logits = model.logits("A boy")
    assert logits.shape == (len(model.tokens("A boy")), model.module.vocabulary)
    text = "Once upon a time there was a boy. " * 8  # longer than the context
    scored = model.score(text)
    assert len(scored.tokens) == len(scored.nats) > model.recipe.model.context
    first = np.exp(-scored.nats[0])
    assert first == pytest.approx(
        float(torch.from_numpy(model.logits([model.tokenizer.eot])[0]).softmax(0)[scored.tokens[0]]), rel=1e-4
    )
    assert scored.loss == pytest.approx(math.log(model.module.vocabulary), rel=0.2)
    assert scored.bits_per_byte == pytest.approx(scored.nats.sum() / math.log(2) / len(text))
    story = model.generate("A boy ", max_tokens=8, seed=3)
    assert (
        fabula_command(["generate", str(trained / "run"), "--prompt", "A boy ", "--max-tokens", "8", "--seed", "3"])
        == 0
    )
    assert capfd.readouterr().out.rstrip("\n") == story.rstrip("\n")
    with pytest.raises(fabula.InputError, match="context"):
        model.logits(text)
    with pytest.raises(fabula.InputError, match="step or best"):
        fabula.load(trained / "run", step=4, best=True)


def write_log(path: Path, fault: str, seed: int) -> Path:
    lines = ["step,loss,val_loss"]
    lines += [f"{each.step},{each.loss},{each.val_loss or ''}" for each in course(fault, seed)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_log_of_another_program_is_read_and_diagnosed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "bad.csv", "divergence", 0)
    run = fabula.read(log)
    assert run.train["loss"].shape == (600,) and np.isfinite(run.evals["val_loss"]).sum() == 30
    found = fabula.diagnose(str(log), vocab=50257)
    assert found.verdict == "failed" and found.of("divergence")[0].severity == "failure"
    assert fabula_command(["diagnose", str(log), "--vocab", "50257", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.as_json()))
    write_log(tmp_path / "good.csv", "nothing", 0)
    assert [len(each.train["loss"]) for each in fabula.read_all(tmp_path)] == [600, 600]
    with pytest.raises(fabula.InputError, match="holds 2 runs"):
        fabula.read(tmp_path)
    with pytest.raises(fabula.InputError, match="does not exist"):
        fabula.diagnose(tmp_path / "nowhere")


def test_groups_are_compared(tmp_path: Path) -> None:
    for seed in range(3):
        write_log(tmp_path / f"base-{seed}.csv", "nothing", seed)
        write_log(tmp_path / f"new-{seed}.csv", "overfitting", 10 + seed)
    by_glob = fabula.compare({"base": tmp_path / "base-*.csv", "new": str(tmp_path / "new-*.csv")})
    by_list = fabula.compare({"base": sorted(tmp_path.glob("base-*")), "new": sorted(tmp_path.glob("new-*"))})
    typed = fabula.compare([f"base={tmp_path}/base-*.csv", f"new={tmp_path}/new-*.csv"])
    assert by_glob.values == by_list.values == typed.values
    assert (
        by_glob.decision == "discard" and by_glob.decisions == {"new": "discard"} and "higher" in by_glob.reasons["new"]
    )
    with pytest.raises(fabula.InputError, match="K/N"):
        fabula.compare({"base": tmp_path / "base-*.csv", "new": tmp_path / "new-*.csv"}, look="first")


def test_a_notebook_shows_runs_findings_and_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    monkeypatch.setattr("fabula.report.render.page.chart_program", lambda: "the chart library")
    log = write_log(tmp_path / "<b>bad.csv", "divergence", 0)
    for shown in (fabula.read(log)._repr_html_(), fabula.diagnose(log)._repr_html_()):
        assert "divergence" in shown and "<svg" in shown and "&lt;b&gt;bad.csv" in shown and "<script" not in shown
    page = fabula.report(log, out=tmp_path / "page.html")
    assert page.path.is_file() and page.twin.is_file() and page.values
    framed = page._repr_html_()
    assert framed.startswith("<iframe sandbox=") and "<script" not in framed.replace("&lt;script", "")
    assert "loss" in fabula.read(trained / "run")._repr_html_()


def test_a_page_in_a_folder_is_its_index(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a host of static pages: a folder that exists, or a name without an ending, which is made."""
    (tmp_path / "there").mkdir()
    for name in ("there", "made"):
        assert fabula_command(["report", str(trained / "run"), "--out", str(tmp_path / name)]) == 0
        assert str(tmp_path / name / "index.html") in capsys.readouterr().out
        assert sorted(each.name for each in (tmp_path / name).iterdir()) == ["index.html", "index.md"]
    assert fabula_command(["verify", str(tmp_path / "made" / "index.html")]) == 0
    with pytest.raises(InputError, match=r"an \.html file"):
        fabula.report(trained / "run", out=tmp_path / "page.pdf")
