"""Stories told at a terminal and through pipes: stopping one, changing settings, seeds, widths and encodings."""

import time
from pathlib import Path

import pytest
from tests.cli.pseudo import Terminal, piped
from tests.model.runs import write_run
from tests.model.shapes import GPT

from fabula.cli.screen.words import WordStream, as_utf8
from fabula.errors import InputError
from fabula.recipe.schema import Recipe

PLAIN = {"TERM": "dumb", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model writes any byte, so that everything is met that a story may hold."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "runs").mkdir()
    tree = {"name": "x", "steps": 10, "model": GPT.model_dump(), "schedule": {"peak": 1e-3}}
    write_run(folder / "runs" / "one", Recipe.from_tree(tree))
    return folder / "runs" / "one"


@pytest.mark.long
def test_a_story_stops_at_ctrl_c_and_settings_change(run: Path) -> None:
    terminal = Terminal(["generate", "--temperature", "0", "--max-tokens", "1000000"], run.parent.parent, **PLAIN)
    terminal.wait_for("> ")
    terminal.type("Once\n")
    terminal.wait_for("\nOnce")
    terminal.type("\x03")
    terminal.wait_for("[stopped; seed 0]\n> ")
    for typed, answer in (
        ("/max-tokens 3", "[max-tokens 3]"),
        ("/temperature 0.5", "[temperature 0.5]"),
        ("/temprature 1", 'fabula: unknown setting "/temprature"; did you mean "/temperature"?'),
        ("/top-k x", 'fabula: /top-k takes a number, as in "/top-k 7"; not x'),
        ("/top-p 2", "fabula: top-p 2.0 means nothing"),
        ("/seed -1", "fabula: /seed -1 means nothing; it is 0 or more"),
        ("/seed 7", "[seed 7]"),
        ("/again", "[seed 7: 3 tokens"),
        ("/again", "[seed 8: 3 tokens"),
        ("/help", "Ctrl-C stops a story"),
    ):
        before = len(terminal.text)
        terminal.type(typed + "\n")
        terminal.wait_for(answer, after=before)
        terminal.wait_for("\n> ", after=before)
    assert "\x1b" not in terminal.text
    time.sleep(1.0)  # a Ctrl-C between the prompt and the reading of a line is seen after the next key only
    terminal.type("\x03")
    assert terminal.finish() == 130


@pytest.mark.long
def test_ctrl_d_leaves_a_terminal_with_lines_edited(run: Path) -> None:
    terminal = Terminal(["generate", str(run), "--max-tokens", "2"], run.parent, NO_COLOR="1")
    terminal.wait_for("> ")
    terminal.type("Onx\x7fce\n")
    terminal.wait_for("\nOnce")
    terminal.wait_for("[seed 0: 2 tokens")
    terminal.wait_for("]\n> ")
    time.sleep(1.0)  # a Ctrl-D that comes before the line editor is lost
    terminal.type("\x04")
    assert terminal.finish() == 0 and "fabula export" in terminal.text


@pytest.mark.slow
def test_each_of_several_stories_is_what_its_seed_gives_alone(run: Path) -> None:
    def told(*more: str) -> bytes:
        return piped(["generate", str(run), "--prompt", "Once", "--max-tokens", "9", *more], run).stdout

    several = told("--seed", "4", "--count", "3")
    assert several == b"\n".join(told("--seed", str(seed)) for seed in (4, 5, 6))


@pytest.mark.long
@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, marks=pytest.mark.slow),
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"},
        pytest.param({"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_no_encoding_ends_a_story(run: Path, variables: dict[str, str]) -> None:
    lines = "Bär\n".encode("latin-1") + "Bär 🙂\n".encode() + b"One\n"
    loop = piped(["generate", str(run), "--max-tokens", "5"], run, lines, **variables)
    assert loop.returncode == 0 and b"Traceback" not in loop.stderr, loop.stderr.decode(errors="replace")
    assert loop.stderr.count(b": 5 tokens") >= 2
    wrong = piped(["generate", str(run), "--prompt", b"B\xe4r"], run, **variables)
    assert wrong.returncode == 2 and wrong.stderr.count(b"\n") == 1 and b"byte 0xE4 is number 2" in wrong.stderr
    if not variables:
        assert b"fabula: the prompt is not UTF-8 text" in loop.stderr
        assert "Bär 🙂".encode() in loop.stdout


def test_bytes_are_read_as_utf8_whatever_they_were_taken_for() -> None:
    raw = "Bär 🙂"
    for encoding in ("ascii", "latin-1", "utf-8"):
        assert as_utf8(raw.encode().decode(encoding, "surrogateescape"), encoding) == raw
    assert as_utf8(b"B\xe4r".decode("cp1252"), "cp1252") == "Bär"
    with pytest.raises(InputError, match="byte 0xE4 is number 2"):
        as_utf8(b"B\xe4r".decode("utf-8", "surrogateescape"), "utf-8")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three four", ["one two", "three four"]),
        ("one two 12 34567", ["one two 12", "34567"]),
        ("a line\n\n  of its own", ["a line", "", "  of its", "own"]),
        ("a verylongwordindeed b", ["a", "verylongwo", "rdindeed b"]),
        ("漢字漢字漢字", ["漢字漢字漢", "字"]),
        ("a\x1b[2Jb", ["a\ufffd[2Jb"]),
    ],
)
def test_a_story_breaks_between_words(text: str, lines: list[str]) -> None:
    for size in (1, 3, 100):
        pieces: list[str] = []
        stream = WordStream(pieces.append, lambda: 10)
        for start in range(0, len(text), size):
            stream.text(text[start : start + size])
        stream.end()
        assert "".join(pieces).split("\n") == [*lines, ""]
