"""`fabula export` as a user meets it."""

import os
from pathlib import Path

import pytest
import typer
from tests.exchange.test_huggingface import run_of
from tests.model.shapes import GPT, LLAMA, OTHERS
from typer.testing import CliRunner

from fabula.cli.commands.leaving.export import export
from fabula.cli.named.newest import named_or_newest
from fabula.cli.named.several_models import name_of
from fabula.errors import InputError


def command(*arguments: str) -> str:
    """stdout of `fabula export ARGUMENTS`; an InputError is raised as it is."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(export)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_what_was_written_is_told_and_what_comes_next(tmp_path: Path) -> None:
    run = run_of(GPT, tmp_path)
    out = command(str(run), "--to", "hf", "--out", str(tmp_path / "hf"))
    assert "step 10 as GPT2LMHeadModel" in out and "the bias of the head" in out
    assert "Next: transformers.AutoModelForCausalLM.from_pretrained" in out
    assert len({path.stat().st_mode for path in (tmp_path / "hf").iterdir()}) == 1  # others may read all of it or none
    assert {path.name for path in (tmp_path / "hf").iterdir()} == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "recipe.toml",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_gguf(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    out = command(str(run_of(LLAMA, tmp_path)), "--to", "gguf", "--out", str(tmp_path / "gguf"))
    assert "as llama, " in out and "Next: llama-completion -m" in out
    assert {path.name for path in (tmp_path / "gguf").iterdir()} == {
        "README.md",
        "Modelfile",
        "model.gguf",
        "recipe.toml",
    }


def test_wrong_input_writes_nothing(tmp_path: Path) -> None:
    run = run_of(OTHERS, tmp_path)
    for arguments, message in (
        (["--to", "hf"], "no architecture of transformers"),
        (["--to", "hf", "--step", "3"], "no checkpoint at step 3"),
        (["--to", "hf", "--best"], "leave out --best"),
    ):
        with pytest.raises(InputError, match=message):
            command(str(run), *arguments, "--out", str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="nowhere does not exist; give the folder of a run"):
        command(str(tmp_path / "nowhere"), "--to", "hf", "--out", str(tmp_path / "out"))


def test_each_form_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(GPT, tmp_path).rename(tmp_path / "only")
    (tmp_path / "runs").mkdir()
    (tmp_path / "only").rename(tmp_path / "runs" / "only")
    monkeypatch.chdir(tmp_path)
    assert "exported/only-hf: step 10" in command("--to", "hf")
    for form, out, free in (
        ("hf", "exported/only-hf", "exported/only-hf-2"),
        ("gguf", "exported/only-hf", "exported/only-hf-gguf"),
    ):
        with pytest.raises(InputError, match=rf"not empty; choose another --out, such as {free}$"):
            command("--to", form, "--out", out)


def test_runs_of_a_ladder_are_told_apart() -> None:
    assert name_of(Path("runs/ladder/runs/basic/packed/seed-0")) == "basic-packed-seed-0"
    assert name_of(Path("runs/first")) == "first"


def test_without_a_run_the_newest_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no run is named, and there is none under runs/"):
        named_or_newest(None)
    for age, (name, file) in enumerate({"old": "run.json", "a/new": "run.json", "ladder": "ladder.json"}.items()):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / file).write_text("{}")
        os.utime(tmp_path / "runs" / name / file, (age, age))
    assert named_or_newest(None) == Path("runs/a/new")
    assert "runs/a/new, the newest of 2 under runs/" in capsys.readouterr().err
    assert named_or_newest(None, ladders=True) == Path("runs/ladder")
    assert named_or_newest(Path("x")) == Path("x")
