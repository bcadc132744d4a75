"""`fabula prepare`: what comes out of each kind of source, and that it is whole."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.data.stories import all_texts_of, jsonl, made_up, texts_of

from fabula.data.dataset import SPLITS, Dataset, open_dataset, text_hash
from fabula.data.prepare import preparation
from fabula.data.prepare import splits as plan
from fabula.data.prepare.duplicates import hash64
from fabula.data.prepare.passes import Silence
from fabula.data.prepare.preparation import prepare
from fabula.data.stories.chunks import Chunk, StoryFile
from fabula.data.stories.formats import opening
from fabula.data.stories.reading import read_file
from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer
from fabula.errors import InputError

TOKENIZER = "bpe:300"


def opened(source: object, out: Path, **fields: object) -> Dataset:
    prepare(str(source), out, **{"tokenizer": TOKENIZER, **fields})  # type: ignore[arg-type]
    return open_dataset(out)


def test_every_story_is_in_one_split_and_comes_back_as_it_was(tmp_path: Path) -> None:
    stories = [*made_up(300), "Zoë – “naïve” 🐉\nnew line ", f"{made_up(1, 999)[0]} <|endoftext|> inside"]
    data = opened(jsonl(tmp_path / "stories.jsonl", stories), tmp_path / "out")
    found = {name: texts_of(data, name) for name in SPLITS}
    assert all_texts_of(data) == sorted(stories)
    assert all(found.values())
    # Stories keep the order of the source within each split.
    assert [text for text in stories if text in set(found["train"])] == found["train"]


def test_a_bpe_has_as_many_tokens_as_the_stories_hold_and_keeps_its_name(tmp_path: Path) -> None:
    """A recipe asks for bpe:8192 by name: a short text must not need another recipe."""
    said: list[str] = []

    class Listener(Silence):
        def notice(self, text: str) -> None:
            said.append(text)

    source = jsonl(tmp_path / "stories.jsonl", made_up(60))
    large = opened(source, tmp_path / "large", tokenizer="bpe:8192", progress=Listener())
    held = large.tokenizer.vocabulary
    assert 257 < held < 8192 and large.tokenizer.eot == held - 1
    assert (large.tokenization.name, large.tokenization.vocabulary) == ("bpe:8192", held)
    assert said == [f"These stories hold only {held:,} different tokens, so bpe:8192 has {held:,} of them, not 8,192."]
    just = opened(source, tmp_path / "just", tokenizer=f"bpe:{held}")
    assert just.tokenizer.hash == large.tokenizer.hash
    assert texts_of(large, "train") == texts_of(just, "train")


def test_per_story_arrays_and_manifest_agree_with_the_texts(tmp_path: Path) -> None:
    data = opened(jsonl(tmp_path / "stories.jsonl", made_up(200)), tmp_path / "out")
    for name in SPLITS:
        split, texts, facts = data.split(name), texts_of(data, name), data.manifest.splits[name]
        assert split.num_bytes.tolist() == [len(text.encode()) for text in texts]
        assert split.story_hashes.tolist() == [hash64(text.encode()) for text in texts]
        assert split.text_hash == facts.text_hash == text_hash(split.story_hashes)
        assert (facts.num_stories, facts.num_bytes) == (len(texts), int(split.num_bytes.sum()))
        assert split.num_tokens == data.tokenization.num_tokens[name] == len(split.tokens)
        assert split.tokens.dtype == np.uint16
        assert facts.nats is None
    assert data.entropy_floor() is None


def test_held_out_share_is_about_what_is_asked(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(2000))
    data = opened(source, tmp_path / "five")
    assert 70 <= data.split("validation").num_stories <= 130
    assert 70 <= data.split("tune").num_stories <= 130
    data = opened(source, tmp_path / "thirty", validation="0.3")
    assert 520 <= data.split("validation").num_stories <= 680
    assert data.split("tune").num_stories <= 130


def test_the_same_source_gives_the_same_folder(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(200))
    first, second = opened(source, tmp_path / "a"), opened(source, tmp_path / "b")
    assert first.hash == second.hash and first.tokenizer.hash == second.tokenizer.hash
    files = sorted(path.relative_to(first.folder) for path in first.folder.rglob("*") if path.is_file())
    num_gpt2_lengths = 2 if first.manifest.gpt2_lengths == "recorded" else 0
    assert len(files) == 1 + 2 + 3 * 4 + num_gpt2_lengths
    for file in files:
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes(), file


def test_processes_and_threads_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(300))
    monkeypatch.setattr("fabula.data.stories.formats.opening.BLOCK_BYTES", 20_000)
    threads = opened(source, tmp_path / "threads")
    monkeypatch.setattr("fabula.data.prepare.parallel.SECONDS_WORTH_PROCESSES", 0.0)
    monkeypatch.setattr("fabula.data.prepare.parallel.num_cores", lambda: 2)
    processes = opened(source, tmp_path / "processes")
    for path in sorted(threads.folder.rglob("*.bin")):
        other = processes.folder / path.relative_to(threads.folder)
        assert path.read_bytes() == other.read_bytes(), path.name


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "parquet", "txt"])
def test_every_format_gives_the_same_stories(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fabula.data.stories.formats.opening.BLOCK_BYTES", 1000
    )  # many chunks, so that their borders count
    stories = [*made_up(60), "Zoë – “naïve” 🐉"]
    path = tmp_path / f"stories.{kind}"
    if kind == "jsonl":
        jsonl(path, stories)
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(jsonl(tmp_path / "plain", stories).read_bytes()))
    elif kind == "parquet":
        pq.write_table(pa.table({"id": list(range(61)), "text": stories}), path, row_group_size=7)
    else:
        path.write_text("\n<|endoftext|>\n".join(stories) + "\n<|endoftext|>\n", encoding="utf-8")
    data = opened(path, tmp_path / "out")
    assert all_texts_of(data) == sorted(stories)


def test_a_folder_of_texts_without_separator_has_a_story_a_file(tmp_path: Path) -> None:
    stories = made_up(30)
    (tmp_path / "books" / "deep").mkdir(parents=True)
    for number, story in enumerate(stories):
        (tmp_path / "books" / ("deep" if number % 2 else "") / f"{number}.txt").write_text(
            f"{story}\n", encoding="utf-8"
        )
    (tmp_path / "books" / "README.txt").write_text("about these books", encoding="utf-8")
    (tmp_path / "books" / "cover.png").write_bytes(b"\x89PNG\x00")
    (tmp_path / "books" / ".hidden.txt").write_bytes(b"\xff\xff")
    data = opened(tmp_path / "books", tmp_path / "out")
    assert all_texts_of(data) == sorted(stories)


@pytest.mark.parametrize("name", ["validation.jsonl", "valid.jsonl", "Stories-valid.jsonl"])
def test_a_folders_own_validation_files_are_the_validation_split(name: str, tmp_path: Path) -> None:
    stories = made_up(120)
    folder = tmp_path / "stories"
    folder.mkdir()
    jsonl(folder / "train.jsonl", stories[:100])
    jsonl(folder / name, stories[100:110])
    jsonl(folder / "test.jsonl", stories[110:])
    data = opened(folder, tmp_path / "out")
    assert texts_of(data, "validation") == stories[100:110]
    assert sorted(texts_of(data, "tune") + texts_of(data, "train")) == sorted(stories[:100])
    assert 1 <= data.split("tune").num_stories <= 15
    other = opened(folder / "train.jsonl", tmp_path / "other", validation=str(folder / name))
    assert other.hash == data.hash


def test_a_data_set_in_the_hubs_layout(tmp_path: Path) -> None:
    stories = made_up(80)
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    for number in range(2):
        part = stories[number * 30 : number * 30 + 30]
        pq.write_table(pa.table({"text": part}), folder / "data" / f"train-0000{number}-of-00002.parquet")
    pq.write_table(pa.table({"text": stories[60:]}), folder / "data" / "validation-00000-of-00001.parquet")
    (folder / "Stories-train.txt").write_text("the same stories in another form", encoding="utf-8")
    data = opened(folder, tmp_path / "out")
    assert texts_of(data, "validation") == stories[60:]
    assert sorted(texts_of(data, "tune") + texts_of(data, "train")) == sorted(stories[:60])


def test_near_duplicates_leave_train_and_are_counted(tmp_path: Path) -> None:
    stories = made_up(200, num_words=120)
    copies = [stories[3].upper(), stories[5].replace(" ", "  "), stories[7] + " " + stories[50]]
    folder = tmp_path / "stories"
    folder.mkdir()
    jsonl(folder / "validation.jsonl", stories[:20])
    jsonl(folder / "train.jsonl", [*stories[20:], *copies])
    data = opened(folder, tmp_path / "out")
    removed = data.manifest.removed
    assert removed.train_like_validation + removed.tune_like_validation == 3
    assert not set(copies) & set(texts_of(data, "train") + texts_of(data, "tune"))
    assert data.split("validation").num_stories == 20
    assert sum(data.split(name).num_stories for name in SPLITS) + removed.train_like_tune == 200


def test_copies_of_a_story_never_part(tmp_path: Path) -> None:
    stories = made_up(100)
    data = opened(jsonl(tmp_path / "stories.jsonl", stories + [story.lower() for story in stories]), tmp_path / "out")
    where = {}
    for name in SPLITS:
        for text in texts_of(data, name):
            assert where.setdefault(text.lower(), name) == name


def test_empty_stories_are_left_out_and_counted(tmp_path: Path) -> None:
    stories = made_up(50)
    data = opened(jsonl(tmp_path / "stories.jsonl", [*stories[:25], "", " \n", *stories[25:]]), tmp_path / "out")
    assert data.manifest.removed.empty == 2
    assert sum(data.split(name).num_stories for name in SPLITS) == 50


def test_limit_takes_the_first_stories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabula.data.stories.formats.opening.BLOCK_BYTES", 3000)
    stories = made_up(100)
    data = opened(jsonl(tmp_path / "stories.jsonl", stories), tmp_path / "out", limit=37)
    assert all_texts_of(data) == sorted(stories[:37])


def test_three_stories_are_enough(tmp_path: Path) -> None:
    data = opened(jsonl(tmp_path / "stories.jsonl", made_up(3)), tmp_path / "out")
    assert [data.split(name).num_stories for name in SPLITS] == [1, 1, 1]


def test_held_out_splits_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "HELD_OUT_BYTES", 2000)
    stories = made_up(1500)
    data = opened(jsonl(tmp_path / "stories.jsonl", stories), tmp_path / "out")
    average = sum(map(len, stories)) / len(stories)
    for name in ("validation", "tune"):
        assert 1 <= data.manifest.splits[name].num_bytes <= 2000 + 12 * average  # by hash, so about


def test_another_tokenization_joins_the_folder(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(150))
    first = opened(source, tmp_path / "out")
    made = prepare(str(source), tmp_path / "out", tokenizer="bpe:280")
    assert made.added
    second = open_dataset(tmp_path / "out", "bpe:280")
    assert second.hash == first.hash and second.tokenizer.vocabulary == 280
    assert texts_of(second, "train") == texts_of(first, "train")
    assert open_dataset(tmp_path / "out").tokenization.name == TOKENIZER  # the first stays the default
    with pytest.raises(InputError, match="tokenized with bpe:280"):
        prepare(str(source), tmp_path / "out", tokenizer="bpe:280")
    other = jsonl(tmp_path / "other.jsonl", made_up(151))
    with pytest.raises(InputError, match="other stories"):
        prepare(str(other), tmp_path / "out", tokenizer="bpe:290")
    assert sorted(path.name for path in (tmp_path / "out" / "tokens").iterdir()) == ["bpe-280", "bpe-300"]


@pytest.mark.long
@pytest.mark.usefixtures("gpt2")
def test_gpt2_counts_serve_every_tokenization(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(100))
    before = opened(source, tmp_path / "out").split("train").gpt2_lengths
    prepare(str(source), tmp_path / "out", tokenizer="gpt2")
    small = open_dataset(tmp_path / "out")
    whole = open_dataset(tmp_path / "out", "gpt2")
    for name in ("tune", "validation"):
        assert small.split(name).gpt2_lengths is not None
        assert small.split(name).gpt2_lengths.tolist() == whole.split(name).lengths.tolist()
        assert whole.split(name).gpt2_lengths.tolist() == whole.split(name).lengths.tolist()
    assert before is None  # for train they are not counted, but known once GPT-2's tokens lie in the folder
    assert small.split("train").gpt2_lengths.tolist() == whole.split("train").lengths.tolist()


def test_without_gpt2_the_counts_are_missing_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise InputError("the GPT-2 vocabulary is not in tiktoken's cache")

    monkeypatch.setattr(preparation, "gpt2_tokenizer", absent)
    data = opened(jsonl(tmp_path / "stories.jsonl", made_up(50)), tmp_path / "out")
    assert data.split("validation").gpt2_lengths is None
    assert data.manifest.gpt2_lengths == "not recorded: the GPT-2 vocabulary is not in tiktoken's cache"


def test_a_tokenizer_file_can_be_used(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "stories.jsonl", made_up(60))
    first = opened(source, tmp_path / "first")
    path = tmp_path / "mine.json"
    path.write_text(first.tokenizer.to_json(), encoding="utf-8")
    second = opened(source, tmp_path / "second", tokenizer=str(path))
    assert second.tokenizer.hash == first.tokenizer.hash
    assert texts_of(second, "train") == texts_of(first, "train")


def test_the_grammar(tmp_path: Path) -> None:
    from fabula.grammar import log_probability

    data = opened("grammar", tmp_path / "out", limit=400)
    counts = [data.split(name).num_stories for name in SPLITS]
    assert sum(counts) == 400 and counts[1:] == [20, 20]
    texts = texts_of(data, "validation")
    assert not set(texts) & set(texts_of(data, "train"))
    nats = -sum(log_probability(text) for text in texts)
    assert data.manifest.splits["validation"].nats == pytest.approx(nats)
    assert data.entropy_floor() == pytest.approx(nats / (data.split("validation").num_tokens + 20))
    larger = opened("grammar", tmp_path / "larger", limit=800)
    assert texts_of(larger, "validation")[:20] == texts  # preparations of any size share their held-out stories


@pytest.mark.long
def test_a_folder_of_stories(tmp_path: Path, stories: Path, gpt2: ByteLevelTokenizer) -> None:
    prepare(str(stories), tmp_path / "out", tokenizer="gpt2", limit=3000)
    data = open_dataset(tmp_path / "out")
    lines = (stories / "validation.jsonl").read_text("utf-8").splitlines()
    assert texts_of(data, "validation") == [json.loads(line)["text"] for line in lines]
    assert data.tokenizer.name == "gpt2" and data.tokenizer.hash == gpt2.hash
    assert data.split("validation").num_tokens == int(data.split("validation").gpt2_lengths.sum())


def test_progress_is_told(tmp_path: Path) -> None:
    class Listener:
        def __init__(self) -> None:
            self.passes: list[str] = []
            self.done = 0

        def begin(self, what: str, total: int) -> None:
            self.passes.append(what)
            self.total, self.done = total, 0

        def advance(self, amount: int) -> None:
            self.done += amount

    listener = Listener()
    source = jsonl(tmp_path / "stories.jsonl", made_up(400))
    prepare(str(source), tmp_path / "out", tokenizer=TOKENIZER, progress=listener)
    assert listener.passes[0] == "reading" and listener.passes[-1] == "tokenizing validation"
    assert listener.done == listener.total


def test_a_folder_is_opened_with_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist; make it with: fabula prepare"):
        open_dataset(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not a prepared folder"):
        open_dataset(tmp_path / "empty")
    data = opened(jsonl(tmp_path / "stories.jsonl", made_up(50)), tmp_path / "out")
    with pytest.raises(InputError, match=r"not tokenized with bpe:8192.*bpe:300.*--tokenizer bpe:8192"):
        open_dataset(tmp_path / "out", "bpe:8192")
    tokens = data.folder / "tokens" / "bpe-300" / "train.tokens.bin"
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(InputError, match="prepare the data again"):
        open_dataset(tmp_path / "out").split("train")
    tokens.unlink()
    with pytest.raises(InputError, match="missing"):
        open_dataset(tmp_path / "out").split("train")
    tokenizer = tokens.with_name("tokenizer.json")
    document = json.loads(tokenizer.read_text("utf-8"))
    document["added_tokens"][0]["id"] = document["model"]["vocab"]["<|endoftext|>"] = 400
    tokenizer.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer\.json is damaged"):
        open_dataset(tmp_path / "out")
    manifest = data.folder / "manifest.json"
    manifest.write_text(json.dumps({"version": 99}), encoding="utf-8")
    with pytest.raises(InputError, match="version 99"):
        open_dataset(tmp_path / "out")
    manifest.write_text(manifest.read_text("utf-8")[:5], encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        open_dataset(tmp_path / "out")


def test_a_killed_addition_leaves_the_folder_usable(tmp_path: Path) -> None:
    data = opened(jsonl(tmp_path / "stories.jsonl", made_up(50)), tmp_path / "out")
    left = data.folder / "tokens" / ".bpe-400.123.partial"
    left.mkdir()
    (left / "tokenization.json").write_text("{", encoding="utf-8")
    assert open_dataset(tmp_path / "out").tokenization.name == TOKENIZER


@pytest.mark.parametrize("fields", [{}, {"limit": 70}, {"validation": "0.2"}])
def test_stories_are_read_once_and_as_they_would_be_again(
    fields: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = jsonl(tmp_path / "train.jsonl", [*made_up(60), " ", *made_up(60, seed=1)])
    reads: list[Path] = []

    def counted(file: StoryFile) -> Iterator[Chunk]:
        reads.append(file.path)
        return read_file(file)

    monkeypatch.setattr("fabula.data.stories.sources.read_file", counted)
    monkeypatch.setattr(opening, "BLOCK_BYTES", 4_000)  # several chunks
    folders, num_reads = [], []
    for kept_bytes in (1_000_000, 0):
        monkeypatch.setattr(plan, "KEPT_BYTES", kept_bytes)
        out = tmp_path / f"kept-{kept_bytes}"
        prepare(str(source), out, tokenizer=TOKENIZER, **fields)
        num_reads.append(reads.count(source))
        reads.clear()
        folders.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert folders[0] == folders[1]
    assert num_reads == [1, 3]  # again for the sample of the tokenizer, and to encode
