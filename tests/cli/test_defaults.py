"""What is taken for granted where nothing is said, and that the first line tells it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabula.cli.named.defaults import (
    announce,
    as_begun,
    called_today,
    choose_data,
    choose_recipe,
    data_of,
    ladder_folder,
    new_run_folder,
)
from fabula.errors import InputError


def prepared(folder: Path, *tokenizers: str) -> Path:
    """The names of a prepared folder, without its stories."""
    for number, name in enumerate(tokenizers, start=1):
        place = folder / "tokens" / name.replace(":", "-")
        place.mkdir(parents=True)
        (place / "tokenization.json").write_text(json.dumps({"name": name, "number": number}))
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_only_prepared_stories_are_taken_and_of_several_none() -> None:
    with pytest.raises(InputError, match=r"no prepared stories in data/ or here; make some, .*fabula prepare builtin"):
        choose_data(None)
    prepared(Path("mine"), "gpt2")
    assert choose_data(None) == ("mine", "the only prepared stories here")
    prepared(Path("data/.half.partial"), "gpt2")
    prepared(Path("data/stories"), "gpt2")
    assert choose_data(None).value == "data/stories", "data/ comes first"
    prepared(Path("data/others"), "gpt2")
    with pytest.raises(
        InputError, match=r"several prepared folders \(data/others, data/stories\); say which one with --data"
    ):
        choose_data(None)
    assert choose_data(Path("nowhere")) == ("nowhere", ""), "what is given is taken"


@pytest.mark.parametrize(
    ("tokenizers", "recipe", "settings"),
    [
        (["gpt2", "bpe:8192"], "modern-portable", []),
        (["gpt2"], "basic", []),
        (["bpe:2048"], "demo", []),
        (["bpe:777"], "modern-portable", ["tokenizer=bpe:777"]),
        ([], "modern-portable", []),
    ],
)
def test_the_recipe_reads_the_stories(tokenizers: list[str], recipe: str, settings: list[str]) -> None:
    chosen, needed = choose_recipe(prepared(Path("data"), *tokenizers) if tokenizers else Path("nowhere"))
    assert (chosen.value, needed) == (recipe, settings) and chosen.reason


def test_a_run_gets_a_new_folder_and_a_ladder_always_the_same() -> None:
    assert new_run_folder("basic/packed").value == "runs/basic-packed-1"
    Path("runs/basic-packed-1").mkdir(parents=True)
    Path("runs/mine-1").touch()
    assert new_run_folder("basic/packed").value == "runs/basic-packed-2"
    assert new_run_folder("recipes/mine.toml").value == "runs/mine-2"
    assert ladder_folder("demo", None) == ("runs/ladder-demo", "a new folder")
    Path("runs/ladder-demo").mkdir()
    assert ladder_folder("demo", None) == ("runs/ladder-demo", "goes on with what is there")
    assert ladder_folder("demo", Path("out")).value == "out"


def test_a_run_goes_on_with_the_stories_it_was_made_with() -> None:
    prepared(Path("data"), "gpt2")
    Path("run").mkdir()
    for content, found in (
        ('{"data": {"path": "data"}}', Path("data")),
        ('{"data": {"path": "gone"}}', None),
        ("{", None),
    ):
        Path("run/run.json").write_text(content)
        assert data_of(Path("run")) == found


def test_an_earlier_name_is_told_today(capsys: pytest.CaptureFixture[str]) -> None:
    assert called_today("gemma3-nano-seed") == "gemma3-nano-rising"
    assert capsys.readouterr().err == "fabula: gemma3-nano-seed is called gemma3-nano-rising now\n"
    assert called_today("basic/packed") == "basic/packed" and capsys.readouterr().err == ""


def test_a_ladder_begun_under_an_earlier_name_is_gone_on_with() -> None:
    assert ladder_folder("classic", None).value == "runs/ladder-classic"
    tiers = ["gemma3-nano-rising", "basic"]
    assert as_begun(Path("runs/ladder-seeds"), tiers) == tiers
    Path("runs/ladder-seeds/runs/gemma3-nano-seed").mkdir(parents=True)
    assert ladder_folder("classic", None).value == "runs/ladder-seeds"
    assert as_begun(Path("runs/ladder-seeds"), tiers) == ["gemma3-nano-seed", "basic"]


def test_nothing_is_announced_that_names_show_to_be_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    prepared(Path("data"), "gpt2")
    Path("full").mkdir()
    Path("full/file").touch()
    wrong = [
        ("basc", "data", "run"),
        ("no.toml", "data", "run"),
        ("basic", "nowhere", "run"),
        ("basic", "data", "full"),
    ]
    for recipe, data, out in wrong:
        announce("it", recipe, Path(data), Path(out))
        assert capsys.readouterr() == ("", "")
    announce("it", "basic/cosine", Path("data"), Path("run"))
    assert capsys.readouterr().err == "fabula: it; loading torch ...\n"


def test_the_first_line_needs_no_torch(repo: Path) -> None:
    """It comes before torch is imported, here where there is none to import."""
    prepared(Path("data"), "bpe:8192")
    (Path("blocked") / "torch").mkdir(parents=True)
    Path("blocked/torch/__init__.py").write_text("raise ModuleNotFoundError('none', name='torch')")
    command = [sys.executable, "-c", "from fabula.cli import main; main()", "train", "basic", "--data", "data"]
    paths = os.pathsep.join([str(Path("blocked").resolve()), str(repo / "src")])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert first == "fabula: basic on data, into runs/basic-1 (a new folder); loading torch ..."
