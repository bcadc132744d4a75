"""Files of all kinds: the same stories from each, and one line for what cannot be read."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabula.data.stories.finding import Asked, find_source
from fabula.data.stories.formats import opening
from fabula.data.stories.formats.kinds import KINDS
from fabula.data.stories.reading import READERS, parse
from fabula.errors import InputError

STORIES = ['A "fox", said Zoë.\nIt ran; it slept.', "Two\tcats | one dog.", "“Naïve” 🐉, she said.", "The end."]
RECORDS = [{"id": number, "text": story, "tags": ["a", "b"]} for number, story in enumerate(STORIES)]


def stories(path: Path, text_key: str | None = None, split_on: str | None = None) -> list[str]:
    found = find_source(str(path), path.parent, Asked(split_on, text_key))
    return [text for chunk in found.train.chunks() for text in parse(chunk).texts]


def table(delimiter: str, columns: list[str], end: str = "\n") -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, delimiter=delimiter, extrasaction="ignore", lineterminator=end)
    writer.writeheader()
    writer.writerows(RECORDS)
    return file.getvalue().encode()


def text(separator: str) -> bytes:
    return separator.join(STORIES).encode()


def lines(records: list[object]) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


FILES: dict[str, bytes] = {
    "s.txt": text("\n<|endoftext|>\n"),
    "mac.txt": text("\n<|endoftext|>\n").replace(b"\n", b"\r"),
    "windows.txt": text("\n<|endoftext|>\n").replace(b"\n", b"\r\n"),
    "packed.txt.gz": gzip.compress(text("\n<|endoftext|>\n")),
    "packed-though-not-called-so.txt": gzip.compress(text("\n<|endoftext|>\n")),
    "utf16le.txt": b"\xff\xfe" + text("\n<|endoftext|>\n").decode().encode("utf-16-le"),
    "utf16be.txt": b"\xfe\xff" + text("\n<|endoftext|>\n").decode().encode("utf-16-be"),
    "utf32.txt": text("\n<|endoftext|>\n").decode().encode("utf-32"),
    "s.jsonl": lines(list(RECORDS)),
    "s.ndjson": lines(list(RECORDS)),
    "with-numbers-that-are-none.jsonl": lines([{**record, "score": float("nan")} for record in RECORDS]),
    "with-half-signs-elsewhere.jsonl": lines([{**record, "tags": "\ud800"} for record in RECORDS]),
    "with-blank-lines.jsonl": lines(list(RECORDS)).replace(b"\n", b"\n \n" + "\u3000\n".encode()),
    "windows.jsonl": lines([{"text": story.replace("\n", "\r\n")} for story in STORIES]).replace(b"\n", b"\r\n"),
    "utf16.jsonl": lines(list(RECORDS)).decode().encode("utf-16"),
    "strings.jsonl": lines(list(STORIES)),
    "lines.json": lines(list(RECORDS)),
    "records.json": json.dumps(RECORDS).encode(),
    "pretty.json": json.dumps(RECORDS, indent=2, ensure_ascii=False).encode(),
    "strings.json": json.dumps(STORIES).encode(),
    "list-called.jsonl": json.dumps(RECORDS, indent=1).encode(),
    "one-after-another.json": "\n".join(json.dumps(record, indent=2) for record in RECORDS).encode(),
    "within.json": json.dumps({"version": 1, "data": RECORDS}).encode(),
    "within-pretty.json": json.dumps({"version": {"a": [1]}, "data": RECORDS, "rest": 2}, indent=2).encode(),
    "packed.json.gz": gzip.compress(json.dumps(RECORDS).encode()),
    "s.csv": table(",", ["id", "text"]),
    "windows.csv": b"\xef\xbb\xbf" + table(",", ["text", "id"], "\r\n"),
    "one-column.csv": table(",", ["text"]),
    "excel.csv": table(";", ["id", "text"]),
    "s.tsv": table("\t", ["id", "text"]),
    "packed.csv.gz": gzip.compress(table(",", ["id", "text"])),
    "unknown": lines(list(RECORDS)),
    "unknown.dat": table(",", ["id", "text"]),
    "unknown.list": json.dumps(STORIES, indent=1).encode(),
}


@pytest.mark.parametrize("block", [7, 2**20])
@pytest.mark.parametrize("name", FILES)
def test_the_same_stories_from_every_kind(
    name: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    if block == 7 and ("json" in name or "unknown" in name):
        block = 200  # the first block tells a list within an object from a record
    monkeypatch.setattr(opening, "BLOCK_BYTES", block)
    assert stories(tmp_path / name) == STORIES


@pytest.mark.parametrize("suffix", sorted(KINDS.keys() - {".parquet"}))
def test_every_kind_has_its_reader_its_example_and_its_row(suffix: str, repo: Path) -> None:
    assert KINDS[suffix] in READERS
    assert any(name.endswith(suffix) for name in FILES)
    assert f"`*{suffix}`" in (repo / "docs/data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_columns_of_strings_in_parquet(kind: pa.DataType, tmp_path: Path) -> None:
    column = pa.array([story.replace("\n", "\r\n") for story in STORIES], pa.string()).cast(kind)
    pq.write_table(pa.table({"story": column}), tmp_path / "s.parquet")
    assert stories(tmp_path / "s.parquet", "story") == STORIES
    (tmp_path / "s.parquet").rename(tmp_path / "unknown")
    assert stories(tmp_path / "unknown", "story") == STORIES


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30), max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_gives_back_what_was_written(texts: list[str], tmp_path: Path) -> None:
    with open(tmp_path / "s.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *([number, each] for number, each in enumerate(texts))])
    kept = [each.replace("\r\n", "\n").replace("\r", "\n") for each in texts if each and not each.isspace()]
    assert stories(tmp_path / "s.csv") == [each for each in kept if not each.isspace()]


@given(given_text=st.text(st.sampled_from("a\r\n"), max_size=30), block=st.integers(1, 5))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_line_ends_are_the_same_wherever_blocks_end(
    given_text: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BLOCK_BYTES", block)
    (tmp_path / "s").write_bytes(given_text.encode())
    read = b"".join(part for part, _ in opening.text_blocks(tmp_path / "s", "s"))
    assert read.decode() == given_text.replace("\r\n", "\n").replace("\r", "\n")


def named(**fields: object) -> bytes:
    return lines([{**fields, "n": 1}] * 3)


WRONG: dict[str, tuple[str, bytes, str]] = {
    "another key": (
        "s.jsonl",
        named(id="7 a", story="One day."),
        r's\.jsonl:1: no key "text", only "id", "story", "n"; if "story" holds the story: --text-key story',
    ),
    "one string": ("s.json", json.dumps([{"txt": "a", "n": 1}]).encode(), r"item 1 of the list: .*--text-key txt"),
    "several strings": ("s.jsonl", named(a="x", b="y"), r"say which one holds the story: --text-key NAME"),
    "a column": (
        "s.csv",
        b"id,story\n1,One day\n",
        r's\.csv: no column "text", only "id", "story"; .*--text-key story',
    ),
    "no header": ("s.csv", b"1,Once upon a time\n2,And so on\n", r"the first line of a table names its columns"),
    "too many columns": ("s.csv", b"id,text\n1,Once, there\n", r"s\.csv:2: 3 columns where the first line names 2"),
    "an open quote": ("s.csv", b'id,text\n1,a\n2,"open\n3,b\n', r"s\.csv:3: not a row of the table .*written twice"),
    "a stray quote": ("s.csv", b'id,text\n1,"He said "no" twice"\n', r"s\.csv:2: not a row of the table"),
    "Latin-1": (
        "s.txt",
        b"one\ntwo\ncaf\xe9\n",
        r"s\.txt:3 is not UTF-8 \(byte 0xE9, which is é in Windows-1252\); save",
    ),
    "Latin-1 in a table": ("s.csv", b"text\none\ncaf\xe9 x\n", r"s\.csv:3 is not UTF-8"),
    "Latin-1 in a list": ("s.json", b'["one",\n"caf\xe9 x"]', r"s\.json:2 is not UTF-8"),
    "UTF-16 without a mark": ("s.txt", "one".encode("utf-16-le"), r"zero byte; if it is UTF-16 without its mark"),
    "half UTF-16": ("s.txt", b"\xff\xfea", r"s\.txt says that it is UTF-16 and is damaged"),
    "an archive": ("s.txt", b"PK\x03\x04....", r"s\.txt is a zip archive or an office document; unpack it"),
    "a PDF": ("s.dat", b"%PDF-1.7", r"s\.dat is a PDF; save its text"),
    "zstd": ("s.jsonl", b"\x28\xb5\x2f\xfd0000", r"s\.jsonl is packed with zstd; unpack it first"),
    "a list that does not end": ("s.json", b'["a", "b"', r"s\.json:1: not JSON .*whole"),
    "half a string": ("s.json", b'["a", "b', r"s\.json:1: not JSON .*whole"),
    "two lists": ("s.json", b'["a"]\n["b"]', r"s\.json:2: more follows"),
    "two lists within": ("s.json", b'{"train": ["a"], "test": ["b"]}', r'more than one list \("train", "test"\)'),
    "a table by columns": ("s.json", b'{"text": {"0": "a", "1": "b"}}', r"is an object, not a string|by rows"),
    "numbers in a list": ("s.json", b"[1, 2]", r"item 1 of the list: a number, not an object"),
    "records with lists in them": ("s.json", b'{"story": "a",\n"tags": ["b", "c"]}\n{"story": "d"}', r'no key "text"'),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_line_says_what_is_wrong_and_what_to_do(case: str, tmp_path: Path) -> None:
    name, data, message = WRONG[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        stories(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_text_key_chooses_the_column(tmp_path: Path) -> None:
    for name, data in {
        "s.jsonl": lines([{"story": story, "text": "no"} for story in STORIES]),
        "s.csv": table(",", ["id", "text"]).replace(b"id,text", b"id,story"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert stories(tmp_path / name, "story") == STORIES


def test_json_beside_other_files_only_describes_them(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dataset_info.json").write_text('{"license": "mit"}', encoding="utf-8")
    (folder / "train.jsonl").write_bytes(lines(list(RECORDS)))
    assert stories(folder) == STORIES


WRITERS: dict[str, Callable[[str], bytes]] = {
    "list.json": lambda story: json.dumps([{"text": story}] * 40).encode(),
    "within.json": lambda story: json.dumps({"data": [{"text": story}] * 40}).encode(),
    "s.csv": lambda story: ("id,text\n" + "".join(f'{number},"{story}"\n' for number in range(40))).encode(),
}


@pytest.mark.parametrize("name", WRITERS)
def test_chunks_stay_small(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BLOCK_BYTES", 1000)
    path = tmp_path / name
    path.write_bytes(WRITERS[name]("x" * 200))
    found = find_source(str(path), tmp_path, Asked())
    sizes = [len(chunk.texts) for chunk in found.train.chunks()]
    assert sum(sizes) == 40 and max(sizes) == 5
    assert sum(chunk.weight for chunk in found.train.chunks()) == path.stat().st_size
