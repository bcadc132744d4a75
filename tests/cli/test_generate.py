"""`fabula generate` as a user meets it: streams, prompt loop, wrong input."""

import io
from pathlib import Path

import pytest
from tests.model.runs import BYTES, write_run
from tests.model.shapes import GPT
from typer.testing import CliRunner

from fabula.cli.commands.generate import generate
from fabula.data.tokenizers.bpe import byte_level_json
from fabula.data.tokenizers.tokenizer import load_tokenizer
from fabula.errors import InputError
from fabula.model.decode.streaming import CharacterStream
from fabula.recipe.schema import Recipe


@pytest.fixture
def run(tmp_path: Path) -> Path:
    tree = {"name": "x", "steps": 10, "model": GPT.model_dump(), "schedule": {"peak": 1e-3}}
    write_run(tmp_path / "run", Recipe.from_tree(tree), steps=(10, 20))
    return tmp_path / "run"


def command(run: Path, *arguments: str, stdin: str = "") -> tuple[str, str]:
    """stdout and stderr of `fabula generate RUN ARGUMENTS`; an InputError is raised as it is."""
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(generate)
    result = CliRunner().invoke(app, [str(run), *arguments], input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_a_prompt_is_continued_the_same_way_each_time(run: Path) -> None:
    out, err = command(run, "--prompt", "Once ", "--max-tokens", "40", "--seed", "3")
    assert out.startswith("Once") and out.endswith("\n")
    assert "cut at --max-tokens 40" in err and "beyond the context of 24" in err and "--to hf" in err
    assert command(run, "--prompt", "Once ", "--max-tokens", "40", "--seed", "3")[0] == out
    assert command(run, "--prompt", "Once ", "--max-tokens", "40", "--seed", "4")[0] != out
    assert command(run, "--prompt", "Once ", "--max-tokens", "40", "--seed", "3", "--step", "10")[0] != out


def test_a_training_that_goes_on_or_was_stopped_is_told(run: Path) -> None:
    told = "[not a finished training: the model is of step {} of 10]"
    (run / "run.json").write_text('{"status": "running"}')
    assert told.format(20) in command(run, "--prompt", "Once", "--max-tokens", "1")[1]
    assert told.format(10) in command(run, "--prompt", "Once", "--max-tokens", "1", "--step", "10")[1]
    (run / "run.json").write_text('{"status": "finished"}')
    assert "not a finished" not in command(run, "--prompt", "Once", "--max-tokens", "1")[1]


def test_without_a_prompt_lines_are_read_until_they_end(run: Path) -> None:
    out, err = command(run, "--max-tokens", "5", stdin="One\n" + "long " * 40 + "\n\nTwo\n")
    assert out.startswith("One") and "\nTwo" in out
    assert err.count(": 5 tokens") == 3 and "context is 24; shorten it" in err and err.count("> ") == 5


def test_wrong_input(run: Path) -> None:
    for arguments, message in (
        (["--prompt", "x" * 30], "the prompt has 31 tokens, but the model's context is 24"),
        (["--prompt", "x", "--step", "7"], "no checkpoint at step 7; choose one of: 10, 20"),
        (["--prompt", "x", "--best", "--step", "10"], "not both"),
        (["--prompt", "x", "--best"], "leave out --best"),
        (["--prompt", "x", "--top-p", "0"], "above 0 and at most 1"),
        (["--prompt", "x", "--temperature", "-1"], "0 or more"),
    ):
        with pytest.raises(InputError, match=message):
            command(run, *arguments)
    with pytest.raises(InputError, match="is not a run folder: it has no recipe"):
        command(run.parent, "--prompt", "x")
    (run / "recipe.toml").write_text((run / "recipe.toml").read_text().replace("heads = ", "heads = 5 # "))
    with pytest.raises(InputError, match=r"recipe\.toml: .* not a multiple of model\.heads 5"):
        command(run, "--prompt", "x")


def test_characters_come_whole(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(byte_level_json(BYTES, 256))
    pieces: list[str] = []
    stream = CharacterStream(load_tokenizer(path), pieces.append)
    for byte in "aé漢🙂".encode():
        stream.token(byte)
    assert pieces == ["a", "é", "漢", "🙂"]
    stream.token("é".encode()[0])
    stream.end()
    stream.token(ord("b"))
    assert pieces[4:] == ["\ufffd", "b"]
    whole = io.StringIO()
    broken = CharacterStream(load_tokenizer(path), whole.write)
    for byte in b"a\xff\xf0\x9fb\xe6\xbc":
        broken.token(byte)
    broken.end()
    assert whole.getvalue() == b"a\xff\xf0\x9fb\xe6\xbc".decode(errors="replace")
