"""`fabula prepare` on the screen: what was found, what was made, and what to type next."""

import json
import re
from pathlib import Path

import pytest

from fabula import cli
from fabula.data.prepare.preparation import default_folder
from fabula.grammar import stories as grammar_stories
from fabula.recipe.presets.by_name import FIRST_RECIPE

STORIES = [story.text for story in grammar_stories(0, 0, 60)]
TOKENIZER = ("--tokenizer", "bpe:300")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    return tmp_path


def test_a_text_without_separators(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my [1].txt").write_text("\n\n".join(STORIES), encoding="utf-8")
    assert cli.run(["prepare", "my [1].txt", *TOKENIZER]) == 0
    out, err = capsys.readouterr()
    assert "my [1].txt: no <|endoftext|>; 60 stories, separated by blank lines. To read it otherwise: --split-on" in err
    folder = here / "data" / "my--1"
    assert out.startswith("Prepared: data/my--1 (")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["separated"] == "separated by blank lines"
    assert f"--data {folder.relative_to(here)} --out runs/first" in out.splitlines()[-1]
    (here / "runs" / "first").mkdir(parents=True)
    assert cli.run(["prepare", "my [1].txt", *TOKENIZER, "--split-on", "line", "--out", "lines"]) == 0
    assert capsys.readouterr().out.endswith("--data lines --out runs/run-2\n")
    manifest = json.loads((here / "lines" / "manifest.json").read_text("utf-8"))
    assert (manifest["separated"], manifest["split_on"]) == ("one on each line", "line")


def test_what_is_not_said_is_what_the_recommended_recipe_reads(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "short.txt").write_text("\n\n".join(STORIES), encoding="utf-8")
    assert cli.run(["prepare", "short.txt"]) == 0
    out, err = capsys.readouterr()
    said = r"These stories hold only ([\d,]+) different tokens, so bpe:8192 has \1 of them"
    assert re.search(said, " ".join(err.split()))
    assert out.splitlines()[-1] == f"Next: fabula train {FIRST_RECIPE} --data data/short --out runs/first"


def test_the_summary_is_whole_at_60_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["prepare", "builtin", "--limit", "1200", *TOKENIZER]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    for name, num in (("train", "1,080"), ("tune", "60"), ("validation", "60")):
        assert re.search(rf"^  {name} +{num} stories +[\d,]+ tokens +[\d.]+ kB$", out, re.MULTILINE), out
    assert max(len(line) for line in out.splitlines() if line.startswith("  ")) <= 60
    assert "No story was left out." in out


def test_what_is_left_out_is_told_with_its_reason(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = here / "mine"
    folder.mkdir()
    for name, texts in (("train", [*STORIES, STORIES[0].upper(), " "]), ("validation", STORIES[:1])):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    assert cli.run(["prepare", "mine", *TOKENIZER]) == 0
    out = capsys.readouterr().out
    assert "  1 empty\n" in out
    assert "  2 of train, nearly the same as one of validation\n" in out


def test_stories_of_another_source_do_not_take_the_place(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "builtin.txt").write_text("\n\n".join(STORIES), encoding="utf-8")
    assert cli.run(["prepare", "builtin", "--limit", "60", *TOKENIZER]) == 0
    assert cli.run(["prepare", "builtin.txt", "--tokenizer", "bpe:301"]) == 2
    assert re.search(r"builtin holds other stories \(.*\); give another --out", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("builtin", "data/builtin"),
        ("grammar", "data/builtin"),
        ("roneneldan/TinyStories", "data/TinyStories"),
        ("texts/My Stories.txt", "data/My-Stories"),
        ("stories.v2.jsonl.gz", "data/stories.v2"),
        ("a.json", "data/a"),
        ("-", "data/stories"),
        ("/dev/fd/63", "data/stories"),
        ("mine", "data/mine"),
        ("mine/", "data/mine"),
        ("data/theirs", "data/theirs-prepared"),
        ("data/theirs/a.csv", "data/a"),
        ("...", "data/stories"),
    ],
)
def test_where_the_stories_go_by_themselves(source: str, folder: str, here: Path) -> None:
    (here / "mine").mkdir()
    (here / "data" / "theirs").mkdir(parents=True)
    assert default_folder(source) == Path(folder)


def test_the_folder_one_stands_in_gives_its_name(here: Path) -> None:
    assert default_folder(".") == Path("data", here.name)
