"""What everybody tries first: help, version, completion, a typing error; and a terminal that can show little."""

import json
import os
import sys
from pathlib import Path

import pytest
from tests.cli.pseudo import all_shown, piped, shown

from fabula import __version__, cli
from fabula.cli.screen.terminal import wrapped


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([option]) == 0
    assert capsys.readouterr().out == f"fabula {__version__}\n"


def test_as_a_module_without_a_command_and_with_help_it_lists_all_commands(tmp_path: Path) -> None:
    texts = [piped(arguments, tmp_path) for arguments in ([], ["help"], ["--help"], ["-h"])]
    assert [each.returncode for each in texts] == [0] * 4
    assert len({each.stdout for each in texts}) == 1
    assert b"Usage: fabula" in texts[0].stdout and b"recipes" in texts[0].stdout


def test_help_explains_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["help", "recipes"]) == 0
    asked = capsys.readouterr().out
    assert cli.run(["recipes", "--help"]) == 0
    assert asked == capsys.readouterr().out and "fabula recipes" in asked


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("trian", 'unknown command "trian"; did you mean "train"?'),
        ("help trian", 'unknown command "trian"; did you mean "train"?'),
        ("xyz", 'unknown command "xyz"; known: compare, demo, '),
        ("train --dta x", "train has no option --dta; did you mean --data?; see: fabula train --help"),
        ("recipes --jsn=x", "recipes has no option --jsn; did you mean --json?"),
        ("generate x -prompt y", "generate has no option -prompt; did you mean --prompt?"),
        ("generate x --max 3", "generate has no option --max; did you mean --max-tokens?"),
        ("generate x -q", "generate has no option -q; see: fabula generate --help"),
        ("--verion", "fabula has no option --verion; did you mean --version?"),
        ("generate x --prompt", "Option '--prompt' requires an argument; see: fabula generate --help"),
        ("export x --to hg", "'hg' is not one of 'hf', 'gguf', 'html', 'tensorboard', 'wandb', "),
    ],
)
def test_a_typing_error_is_one_line(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(typed.split()) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and error.startswith("fabula: ")


@pytest.mark.parametrize(("shell", "word"), [("bash", b"complete -o"), ("zsh", b"#compdef"), ("fish", b"--command")])
def test_a_shell_can_complete(shell: str, word: bytes, tmp_path: Path) -> None:
    """Asked by name: the shell above this process is another in a terminal than under make."""
    script = piped(["--show-completion", shell], tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert script.returncode == 0 and b"_FABULA_COMPLETE" in script.stdout and word in script.stdout


def test_what_a_shell_is_offered(tmp_path: Path) -> None:
    def offered(words: str) -> list[str]:
        asked = {"_FABULA_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        return piped([], tmp_path, **asked).stdout.decode().split()

    assert offered("fabula re") == ["report", "recipes"]
    assert offered("fabula recipes --js") == ["--json"]


LITTLE = [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": "1"}]


@pytest.mark.parametrize("variables", LITTLE, ids=str)
def test_no_escape_codes_where_they_are_not_wanted(variables: dict[str, str], tmp_path: Path) -> None:
    log = "step,loss\n" + "".join(f"{step},{5 / step}\n" for step in range(1, 60))
    (tmp_path / "log.csv").write_text(log)
    commands = ["--help", "help generate", "recipes", "recipes basic", "diagnose log.csv", "trian"]
    code, text = all_shown(commands, tmp_path, **variables)
    assert code == 2, "of the last one, which is no command"
    shown_of_each = ("Usage: fabula", "Usage: fabula generate", "gemma3-270m", "modern-portable", "stable", 'train"?')
    assert all(each in text for each in shown_of_each), text
    assert "\x1b" not in text


def test_styles_where_they_are_wanted(tmp_path: Path) -> None:
    assert "\x1b[" in shown(["--help"], tmp_path)[1]


def test_words_are_not_broken() -> None:
    text = "one line\nthe next one is longer"
    assert wrapped(text, None) == text
    assert wrapped(text, 10) == "one line\nthe next\none is\nlonger"
    assert wrapped(text, 10, indent="  ") == "one line\nthe next\n  one is\n  longer"
    assert wrapped("a/path/that/is-longer than", 8) == "a/path/that/is-longer\nthan"


@pytest.fixture
def as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands in this process are told to be typed again as those of `piped` and `shown` are."""
    monkeypatch.setattr("sys.argv", [str(Path(cli.__file__).parents[1] / "__main__.py")])
    monkeypatch.setattr("sys.orig_argv", [sys.executable])


@pytest.mark.usefixtures("as_a_module")
@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_recipes_fit_and_cut_no_number(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = shown(["recipes"], tmp_path, columns, NO_COLOR="1")
    assert code == 0 and text.index("modern-portable") < text.index("gemma3-270m") and "Recommended" in text
    lines = text.splitlines()
    assert max(map(len, lines[:-1])) <= columns  # the last line is a command, to be copied
    assert cli.run(["recipes", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        if "/" not in row["name"]:
            assert any(line.startswith(row["name"]) for line in lines)
            assert f"{row['parameters']:,}" in text and f"{row['parameters_without_embeddings']:,}" in text
    monkeypatch.setenv("COLUMNS", str(columns))
    assert cli.run(["recipes"]) == 0
    assert capsys.readouterr().out.splitlines() == lines, "the same without a terminal"


@pytest.mark.usefixtures("as_a_module")
def test_findings_break_between_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    log = "step,loss\n" + "".join(f"{step},{5 / step}\n" for step in range(1, 60))
    (tmp_path / "log.csv").write_text(log)
    assert cli.run(["diagnose", "log.csv"]) == 0
    whole = capsys.readouterr().out
    code, text = shown(["diagnose", "log.csv"], tmp_path, 60, **LITTLE[2])
    assert code == 0 and text.split() == whole.split()
    assert max(map(len, text.splitlines()[:-1])) <= 60 < max(map(len, whole.splitlines()[:-1]))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes for a file's name")
def test_a_log_whose_name_is_not_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page in this process, for its drawing takes seconds anew in each."""
    log = "step,loss\n" + "".join(f"{step},{5 / step}\n" for step in range(1, 60))
    (tmp_path / os.fsdecode(b"l\xe4g.csv")).write_text(log)
    told = piped(["diagnose", b"l\xe4g.csv"], tmp_path)
    assert told.returncode == 0, told.stderr.decode()
    monkeypatch.chdir(tmp_path)
    assert cli.run(["report", os.fsdecode(b"l\xe4g.csv")]) == 0
    assert "l?g.csv" in (tmp_path / "report.md").read_text(encoding="utf-8")
