"""Names in logs and stories of runs are text wherever they are shown: on the terminal, on the page, in its twin."""

import json
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fabula.cli import run
from fabula.report import write_report

markdown_it = pytest.importorskip("markdown_it")
NASTY = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:alert(3)) `|` *b* \x1b[31m\x1b]0;t\x07 \u202e"
)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("href", "src") or name.startswith("on")]


def tags_of(page: str) -> _Tags:
    parser = _Tags()
    parser.feed(page)
    return parser


def log(folder: Path, name: str) -> Path:
    """Two runs told apart by their names, with a column that names what is trained on."""
    rows = [
        {"run": f"{name} {seed}", "step": step, "loss": 5.0 / (1 + step), f"data {name}": f"{name}{step // 20}"}
        for seed in range(2)
        for step in range(60)
    ]
    path = folder / "log.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def own_run(folder: Path, name: str) -> Path:
    folder.mkdir()
    info = {"status": "interrupted", "recipe": name, "seed": 0, "device": name, "choices": {name: {"value": name}},
            "versions": {name: name}, "error": name, "data": {"path": name, "tokenizer": name}}  # fmt: skip
    lines = [{"kind": "train", "step": step, "loss": 5.0 / step} for step in range(1, 60)]
    samples = [
        {"step": step, "prompt": name, "completion": f"{name}\n{name} " * 9, "names": [name]} for step in (0, 30, 59)
    ]
    (folder / "run.json").write_text(json.dumps(info))
    for file, each in (("metrics", lines), ("samples", samples)):
        (folder / f"{file}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in each))
    return folder


@pytest.mark.parametrize("make", [log, own_run])
def test_names_are_text_everywhere(tmp_path: Path, make: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(make)
    made = {}
    for which, name in (("plain", "fox"), ("nasty", NASTY)):
        (tmp_path / which).mkdir()
        given = make(tmp_path / which / "given", name) if make is own_run else make(tmp_path / which, name)
        assert run(["diagnose", str(given)]) == 0
        assert run(["report", str(given), "--out", str(tmp_path / which / "page.html")]) == 0
        shown = "".join(capsys.readouterr())
        assert not [each for each in shown if unicodedata.category(each) == "Cc" and each not in "\n\t"]
        page = tags_of((tmp_path / which / "page.html").read_text(encoding="utf-8"))
        twin = (tmp_path / which / "page.md").read_text(encoding="utf-8")
        assert not [each for each in twin if unicodedata.category(each) == "Cc" and each != "\n"]
        rendered = tags_of(markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(twin))
        made[which] = page.tags.count("script"), page.tags.count("img"), set(rendered.tags)
        assert all(each.startswith("#") for each in rendered.links)
        assert all(each.startswith(("#", "data:")) for each in page.links)
    assert made["plain"][:2] == made["nasty"][:2]
    assert not made["nasty"][2] & {"script", "img", "iframe", "style"}
    assert "alert(1)" in (tmp_path / "nasty" / "page.md").read_text(encoding="utf-8")


def test_a_page_can_be_written_of_names_of_any_length(tmp_path: Path) -> None:
    write_report([log(tmp_path, "x" * 3000)], tmp_path / "page.html")
