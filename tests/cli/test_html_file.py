"""`fabula export --to html` as a user meets it: what is written, and what is refused in a line."""

import json
import os
from pathlib import Path

import pytest
from tests.cli.test_export import command
from tests.model.runs import write_run
from tests.model.shapes import GPT, LLAMA, MODERN

from fabula.cli import html_file
from fabula.errors import InputError
from fabula.exchange.html import packing
from fabula.recipe.schema import Model, Recipe


def run_at(folder: Path, shape: Model = GPT, steps: tuple[int, ...] = (10,), name: str = "x") -> Path:
    tree = {"name": name, "steps": 10, "model": shape.model_dump(), "schedule": {"peak": 1e-3}}
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_run(folder, Recipe.from_tree(tree), steps)
    return folder


def page(*arguments: str) -> str:
    return command(*arguments, "--to", "html")


def test_one_file_and_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = page(str(run_at(tmp_path / "runs" / "first")))
    written = tmp_path / "exported" / "first.html"
    assert "exported/first.html: first (step 10), " in out and "no network either" in out
    assert out.splitlines()[-1] == f"Next: open it in a browser: {written.as_uri()}"
    content = written.read_bytes()
    assert content.startswith(b"\xff\xfe") and len(os.listdir(written.parent)) == 1
    assert "default-src 'none'" in content.decode("utf-16")
    written.unlink()
    page()  # the newest run; the same bytes again
    assert written.read_bytes() == content


def test_several_runs_and_checkpoints_share_a_file(tmp_path: Path) -> None:
    first = run_at(tmp_path / "a" / "seed", steps=(5, 10))
    second = run_at(tmp_path / "b" / "seed", MODERN)
    out = page(f"{first}@5", str(first), str(second), "--out", str(tmp_path / "three.html"))
    assert "seed at 5 (step 5), seed (step 10), seed (2) (step 10), " in out
    out = page(str(first), "--step", "5", "--out", str(tmp_path / "one.HTM"))
    assert "seed at 5 (step 5)" in out


def test_the_name_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page(str(run_at(tmp_path / "a")), str(run_at(tmp_path / "b", LLAMA)))
    long = [str(run_at(tmp_path / (letter * 50))) for letter in "cd"]
    page(*long)
    assert {path.name for path in (tmp_path / "exported").iterdir()} == {"a-and-b.html", f"{'c' * 50}-and-1-more.html"}


def test_what_stands_there_is_left_alone(tmp_path: Path) -> None:
    run = run_at(tmp_path / "run")
    (tmp_path / "page.html").write_text("somebody's")
    (tmp_path / "page-2.html").mkdir()
    for out, message in (
        ("page.html", rf"page\.html already exists; choose another --out, such as {tmp_path}/page-3\.html"),
        ("page-2.html", r"page-2\.html already exists; choose another --out"),
        ("page", r"page is to be opened by browsers, which know a page by its name; end it with \.html"),
    ):
        with pytest.raises(InputError, match=message):
            page(str(run), "--out", str(tmp_path / out))
    assert (tmp_path / "page.html").read_text() == "somebody's"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "page.html", "page-2.html"}


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, broken = run_at(tmp_path / "run"), run_at(tmp_path / "broken")
    tokenizer = json.loads((broken / "tokenizer.json").read_text())
    (broken / "tokenizer.json").write_text(json.dumps({**tokenizer, "normalizer": {"type": "Lowercase"}}))
    out = str(tmp_path / "out" / "page.html")
    for arguments, message in (
        ([str(run)] * 5, "5 models are named, and the page has room for four; name one to four"),
        ([str(broken)], "an HTML file cannot hold this tokenizer's rules; use --to hf, or train on gpt2 or bpe:8192"),
        ([f"{run}@3"], "no checkpoint at step 3"),
        ([f"{run}@10", "--best"], "RUN@STEP names a checkpoint already; leave out --step and --best"),
        ([str(tmp_path / "nowhere")], "nowhere does not exist; give the folder of a run"),
        ([str(run), "--step", "1", "--best"], "give --step or --best, not both"),
    ):
        with pytest.raises(InputError, match=message):
            page(*arguments, "--out", out)
    with monkeypatch.context() as patch:
        patch.setattr(packing, "COMPUTED", frozenset({"layers"}))
        with pytest.raises(InputError, match=r"model\.width is not known to the page's decoder; use --to hf"):
            page(str(run), "--out", out)
    monkeypatch.setattr(html_file, "LARGEST_TOGETHER", 100_000)
    refused = "^together these 2 models take 1 MB, more than the 0 MB that several in one file may take; export fewer"
    with pytest.raises(InputError, match=refused):
        page(str(run), str(run), "--out", out)
    assert not (tmp_path / "out").exists()
    page(str(run), "--out", out)  # one alone may be larger


def test_the_other_forms_write_one_run(tmp_path: Path) -> None:
    run = str(run_at(tmp_path / "run"))
    with pytest.raises(InputError, match="--to hf takes one run, and 2 are named; name one, or use --to html"):
        command(run, run, "--to", "hf")
