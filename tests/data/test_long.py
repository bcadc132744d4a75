"""A long preparation that is stopped or killed goes on where it was, and ends as one that was not; what is left in
between is refused where it does not fit, and never taken for stories."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.data.stories import jsonl, made_up

from fabula.cli import run
from fabula.data.dataset import open_dataset
from fabula.data.prepare import preparation
from fabula.data.prepare.duplicates import HeldOut, resembling, shingles, story_keys
from fabula.data.prepare.journal import Journal, unfinished
from fabula.data.prepare.passes import Silence
from fabula.data.prepare.preparation import prepare
from fabula.errors import InputError

NUM = 400
LONG = (
    "import sys; from fabula.data.prepare import preparation, journal; preparation.LONG_SECONDS = 0.0; "
    "journal.NOTE_SECONDS = 0.0; from fabula.cli import run; "
)


@pytest.fixture(autouse=True)
def _every_chunk_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "LONG_SECONDS", 0.0)
    monkeypatch.setattr("fabula.data.prepare.journal.NOTE_SECONDS", 0.0)
    monkeypatch.setattr("fabula.data.stories.formats.opening.BLOCK_BYTES", 4000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "stories.jsonl", made_up(NUM))


class KilledAfter(Silence):
    """Ends the preparation after so many results, of the pass that is named or of all."""

    def __init__(self, results: int, within: str = "") -> None:
        self.left, self.within = results, within
        self.passes: list[str] = []

    def begin(self, what: str, total: int) -> None:
        self.passes.append(what)

    def advance(self, amount: int) -> None:
        self.left -= self.within in self.passes[-1]
        if self.left < 0:
            raise KeyboardInterrupt


def same(first: Path, second: Path) -> bool:
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (first, second)]
    return names[0] == names[1] and all(
        (first / name).read_bytes() == (second / name).read_bytes() for name in names[0] if (first / name).is_file()
    )


def made(source: Path, out: Path, **asked: Any) -> Path:
    prepare(str(source), out, **{"tokenizer": "bpe:300", **asked})
    assert not unfinished(out).exists()
    return out


def test_the_tokens_in_use_are_kept_from_call_to_call(source: Path, tmp_path: Path, gpt2: Any) -> None:
    whole, out = made(source, tmp_path / "whole", tokenizer="gpt2-compact"), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        made(source, out, tokenizer="gpt2-compact", progress=KilledAfter(9, within="tokens in use"))
    assert same(whole, made(source, out, tokenizer="gpt2-compact"))


def test_stopped_again_and_again_it_ends_as_one_that_was_not(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        short.setattr(preparation, "LONG_SECONDS", 1e9)
        whole = made(source, tmp_path / "whole", test=0.1)
    out, stops, begun = tmp_path / "out", 0, []
    while not out.exists():
        killer = KilledAfter(9 + 8 * stops)  # what is passed over counts as well
        try:
            prepare(str(source), out, tokenizer="bpe:300", test=0.1, progress=killer)
        except KeyboardInterrupt:
            stops += 1
            assert unfinished(out).is_dir() and not out.exists()
        begun.append(killer.passes[0])
        assert stops < 50
    assert stops >= 3 and len(set(begun)) >= 3, begun
    assert same(whole, out) and not unfinished(out).exists()


def test_another_tokenization_goes_on_as_well(source: Path, tmp_path: Path) -> None:
    whole, out = (made(source, tmp_path / name) for name in ("whole", "out"))
    made(source, whole, tokenizer="bpe:280")
    with pytest.raises(KeyboardInterrupt):
        prepare(str(source), out, tokenizer="bpe:280", progress=KilledAfter(30))
    assert open_dataset(out, "bpe:300").manifest.splits["train"].num_stories > 0, "what was there serves meanwhile"
    assert same(whole, made(source, out, tokenizer="bpe:280"))


def test_a_limit_within_the_source_is_kept(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as short:
        short.setattr(preparation, "LONG_SECONDS", 1e9)
        whole = made(source, tmp_path / "whole", limit=333)
    for results in (2, 8, 12, 20):
        with pytest.raises(KeyboardInterrupt):
            prepare(str(source), tmp_path / "out", tokenizer="bpe:300", limit=333, progress=KilledAfter(results))
    assert same(whole, made(source, tmp_path / "out", limit=333))


def test_another_call_is_refused_and_says_what_is_other(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        made(source, out, progress=KilledAfter(5))
    for asked, named in (({"tokenizer": "bpe:280"}, "tokenizer"), ({"limit": 50, "test": 0.1}, "limit and test")):
        with pytest.raises(InputError, match=f"holds the first part of a preparation with another {named}; give the"):
            made(source, out, **asked)
    jsonl(source, made_up(NUM, seed=1))
    with pytest.raises(InputError, match="with another files; give the same to go on, or delete that folder"):
        made(source, out)
    shutil.rmtree(unfinished(out))
    made(source, out)


def test_damage_is_one_line_with_the_remedy(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(source, tmp_path / "out", progress=KilledAfter(8, within="tokenizing train"))
    kept = unfinished(tmp_path / "out")
    (tokens,) = kept.glob("folder/tokens/*/train.tokens.bin")
    notes = sorted(kept.glob("*.note.json"))
    assert len(notes) >= 5 and tokens.stat().st_size > 100
    whole = {path: path.read_bytes() for path in [tokens, kept / "call.json", kept / "sample.jsonl", *notes]}
    for path, content in whole.items():
        damages = [content[: len(content) // 2], b"[]", bytes([content[0] ^ 1]) + content[1:]]
        for damage in damages[:1] if path.name == "sample.jsonl" else damages:
            path.write_bytes(damage)
            with pytest.raises(InputError, match=r"is damaged .*; delete .*\.out\.unfinished to begin anew"):
                made(source, tmp_path / "out")
        path.write_bytes(content)
    made(source, tmp_path / "out")


def test_wrong_stories_leave_nothing(source: Path, tmp_path: Path) -> None:
    with open(source, "a") as file:
        file.write('{"text": 5}\n')
    with pytest.raises(InputError, match=r"stories\.jsonl:401: .text. is a number"):
        made(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stories.jsonl"]


def test_killed_between_the_rename_and_the_end_it_is_whole(source: Path, tmp_path: Path) -> None:
    out = made(source, tmp_path / "out")
    kept = unfinished(out)
    kept.mkdir()
    for name in ("complete", "call.json"):
        (kept / name).write_text("{}")
    made(source, out, tokenizer="bpe:280")


def test_what_comes_through_a_pipe_is_read_once(source: Path, tmp_path: Path) -> None:
    asked = f"sys.exit(run(['prepare', '-', '--tokenizer', 'bpe:300', '--out', {str(tmp_path / 'out')!r}]))"
    done = subprocess.run([sys.executable, "-c", LONG + asked], input=source.read_bytes(), check=False)
    assert done.returncode == 0 and (tmp_path / "out").is_dir() and not unfinished(tmp_path / "out").exists()


def test_who_stops_it_is_told_that_it_goes_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["prepare", str(source), "--tokenizer", "bpe:300", "--out", str(tmp_path / "out")]
    note = Journal.note

    def stopped(self: Journal, name: str, *more: Any, done: bool = False) -> None:
        note(self, name, *more, done=done)
        if name == "sample":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "note", stopped)
        assert run(command) == 130
    told = " ".join(capsys.readouterr().err.split())
    assert "stopped; the same call goes on where it was; until then" in told and ".out.unfinished holds it" in told
    assert run(command) == 0


@pytest.mark.slow
def test_a_killed_process_goes_on(source: Path, tmp_path: Path) -> None:
    jsonl(source, made_up(30_000))

    def begun(out: str) -> subprocess.Popen[bytes]:
        asked = f"sys.exit(run(['prepare', {str(source)!r}, '--tokenizer', 'bpe:300', '--out', {out!r}]))"
        return subprocess.Popen([sys.executable, "-c", LONG + asked], stderr=subprocess.DEVNULL)

    whole, out = tmp_path / "whole", tmp_path / "out"
    assert begun(str(whole)).wait() == 0
    notes = 0
    while notes < 4:
        process = begun(str(out))
        while process.poll() is None and len(list(unfinished(out).glob("*.note.json"))) <= notes:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        notes = len(list(unfinished(out).glob("*.note.json")))
        assert not out.exists()
    assert begun(str(out)).wait() == 0
    assert same(whole, out)


def test_indexes_of_different_rates_answer_together() -> None:
    stories, others = made_up(60, num_words=400), made_up(60, seed=1, num_words=400)
    letters, asked = (
        [text.replace(" ", "").encode() for text in texts] for texts in (stories, [*stories[:20], *others])
    )
    indexes = [HeldOut.build(story_keys(stories, letters), *shingles(letters, rate), rate) for rate in (8, 16)]
    nearly = [each[40:] for each in asked]
    keys = story_keys(nearly, nearly)
    for index, found in zip(indexes, resembling(indexes, keys, nearly), strict=True):
        (alone,) = resembling([index], keys, nearly)
        assert found.tolist() == alone.tolist() == [True] * 20 + [False] * 60
