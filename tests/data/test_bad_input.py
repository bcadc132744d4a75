"""Wrong input: one line that names the place and the remedy, and nothing left behind."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.data.stories import jsonl, made_up

from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError

GOOD = [json.dumps({"text": text}).encode() for text in made_up(20)]


def lines(*extra: bytes) -> bytes:
    return b"\n".join([*GOOD, *extra]) + b"\n"


CONTENTS: dict[str, tuple[str, bytes, str]] = {
    "a missing key": (
        "s.jsonl",
        lines(b'{"txt": "a"}'),
        r's\.jsonl:21: no key "text", only "txt"; if "txt" .*: --text-key txt',
    ),
    "a number for text": ("s.jsonl", lines(b'{"text": 3}'), r's\.jsonl:21: "text" is a number, not a string'),
    "null for text": ("s.jsonl", lines(b'{"text": null}'), r's\.jsonl:21: "text" is null, not a string; remove it'),
    "no object": ("s.jsonl", lines(b'["a"]'), r"s\.jsonl:21: a list, not an object"),
    "no JSON": ("s.jsonl", lines(b"{'text': 'a'}"), r"s\.jsonl:21: not JSON"),
    "a cut line": ("s.jsonl", lines()[:-9], r"s\.jsonl:20: not JSON"),
    "invalid UTF-8 in JSON": ("s.jsonl", lines(b'{"text": "\xff"}'), r"s\.jsonl:21 is not UTF-8 \(byte 0xFF"),
    "half a surrogate": ("s.jsonl", lines(b'{"text": "a\\ud800"}'), r"s\.jsonl:21: half a surrogate"),
    "invalid UTF-8": ("s.txt", b"a story\n<|endoftext|>\nthe \xe9nd", r"s\.txt:3 is not UTF-8 \(byte 0xE9"),
    "binary bytes": ("s.txt", b"abc\x00\x01\x02", r"s\.txt:1 is not text: a zero byte"),
    "an unknown kind of file": ("s.bin", b"\x7fELF\x02\x01\0", r"s\.bin:1 is not text: a zero byte"),
    "empty stories only": ("s.jsonl", b'{"text": ""}\n{"text": "  "}\n', r"s\.jsonl holds no stories"),
    "an empty file": ("s.txt", b"", r"s\.txt holds no stories"),
    "too few stories": ("s.txt", b"one story", r"too few different stories \(1\)"),
    "one story over and over": ("s.jsonl", GOOD[0] + b"\n" + b"\n".join([GOOD[0]] * 5), r"too few different stories"),
    "no gzip": ("s.jsonl.gz", b"<html>not found</html>", r"s\.jsonl\.gz:1: not JSON"),
    "half a gzip": ("s.jsonl.gz", gzip.compress(lines())[:-20], r"s\.jsonl\.gz is not a whole gzip file"),
    "no parquet": ("s.parquet", lines(), r"s\.parquet is not a parquet file"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_wrong_contents(case: str, tmp_path: Path) -> None:
    name, data, message = CONTENTS[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        prepare(str(tmp_path / name), tmp_path / "out", tokenizer="bpe:300")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"story": ["a", "b"]}), r's\.parquet: no column "text", only "story"; .*--text-key story'),
        (pa.table({"text": [1, 2]}), r's\.parquet: column "text" holds int64, not strings'),
        (pa.table({"text": ["a", None]}), r's\.parquet: "text" of row 1 is null'),
    ],
)
def test_wrong_tables(table: pa.Table, message: str, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "s.parquet")
    with pytest.raises(InputError, match=message):
        prepare(str(tmp_path / "s.parquet"), tmp_path / "out", tokenizer="bpe:300")
    assert not (tmp_path / "out").exists()


def empty_folder(at: Path) -> str:
    (at / "folder").mkdir()
    return str(at / "folder")


def only_validation(at: Path) -> str:
    (at / "folder").mkdir()
    jsonl(at / "folder" / "valid.jsonl", made_up(5))
    return str(at / "folder")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (empty_folder, r"holds no stories: no file ends in \.txt"),
        (only_validation, r"holds no file to train on, only valid\.jsonl"),
        (lambda at: str(at / "absent.jsonl"), "does not exist"),
        (lambda at: "gramar", 'did you mean "grammar"'),
        (lambda at: "built-in", 'did you mean "builtin"'),
        (lambda at: "nobody/no-such-data-set", "cannot be fetched from .* hub: .*; or .*: fabula prepare builtin"),
    ],
)
def test_wrong_sources(source: Callable[[Path], str], message: str, tmp_path: Path) -> None:
    given = source(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        prepare(given, tmp_path / "out", tokenizer="bpe:300")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tokenizer": "gtp2"}, 'unknown tokenizer "gtp2"; did you mean "gpt2"'),
        ({"tokenizer": "bpe:256"}, "257"),
        ({"limit": 0}, "--limit 0: give 1 or more"),
        ({"limit": -5}, "--limit -5"),
        ({"validation": "0"}, "above 0 and is at most 0.5"),
        ({"validation": "0.9"}, "at most 0.5"),
        ({"validation": "absent.jsonl"}, "absent.jsonl does not exist"),
        ({"split_on": "blank"}, "--split-on is for plain text, and .* holds none; leave it out"),
        ({"text_key": "story"}, 'no key "story", only "text"; if "text" holds the story: --text-key text'),
    ],
)
def test_wrong_settings(fields: dict[str, str | int], message: str, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(50))
    with pytest.raises(InputError, match=message):
        prepare(str(source), tmp_path / "out", **{"tokenizer": "bpe:300", **fields})  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["stories.jsonl"]


def test_a_folder_that_is_something_else_is_not_written_to(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(50))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(InputError, match="exists and is not a prepared folder"):
        prepare(str(source), tmp_path / "out", tokenizer="bpe:300")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_everything_like_validation_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    folder = tmp_path / "stories"
    folder.mkdir()
    stories = made_up(30)
    jsonl(folder / "train.jsonl", stories)
    jsonl(folder / "validation.jsonl", [story.upper() for story in stories])
    with pytest.raises(InputError, match="nothing is left to train on"):
        prepare(str(folder), tmp_path / "out", tokenizer="bpe:260")
    assert not (tmp_path / "out").exists()


def test_a_wrong_line_late_in_a_large_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabula.data.stories.formats.opening.BLOCK_BYTES", 700)
    (tmp_path / "s.jsonl").write_bytes(b"\n".join([*GOOD, b"", *GOOD * 9, b"oops", *GOOD]))
    with pytest.raises(InputError, match=r"s\.jsonl:202: not JSON"):
        prepare(str(tmp_path / "s.jsonl"), tmp_path / "out", tokenizer="bpe:300")


def test_a_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    stories = made_up(10)
    text = "\n<|endoftext|>\n".join(stories)
    (tmp_path / "s.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "t.txt").write_bytes(text.encode())
    jsonl(tmp_path / "u.jsonl", stories)
    (tmp_path / "v.jsonl").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "u.jsonl").read_bytes())
    made = [
        prepare(str(tmp_path / name), tmp_path / name[0], tokenizer="bpe:260")
        for name in ("s.txt", "t.txt", "u.jsonl", "v.jsonl")
    ]
    assert all(one.manifest.splits == made[0].manifest.splits for one in made)


def test_text_key_is_for_records(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("\n\n".join(made_up(20)), encoding="utf-8")
    with pytest.raises(InputError, match=r"--text-key is for JSON, tables and parquet; .* is plain text; leave"):
        prepare(str(tmp_path / "s.txt"), tmp_path / "out", tokenizer="bpe:300", text_key="story")
    for fields in ({"split_on": "line"}, {"text_key": "story"}):
        with pytest.raises(InputError, match="builtin has none; leave them out"):
            prepare("builtin", tmp_path / "out", tokenizer="bpe:300", **fields)  # type: ignore[arg-type]


def test_one_text_that_is_too_short_says_how_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("Once there was a fox.\nIt slept.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"too few different stories \(1\).*no <\|endoftext\|> in it; .*--split-on"):
        prepare(str(tmp_path / "s.txt"), tmp_path / "out", tokenizer="bpe:300")
