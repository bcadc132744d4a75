"""Warnings and failures are posted once each, whatever becomes of the run, of who watches it, and of the hook."""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.watch.growing import GrowingRun, watcher
from tests.watch.hook import Hook, hook

from fabula.errors import InputError
from fabula.record.finding import Finding
from fabula.watch.hooks import checked, quieted
from fabula.watch.notifying import Notifier
from fabula.watch.novelty import Told, new_among
from fabula.watch.remembered import Remembered
from fabula.watch.watcher import Watcher


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with hook() as told:
        yield told


class Watching:
    """Somebody who watches and posts: another one each time, as after a restart."""

    def __init__(self, url: str, *paths: Path) -> None:
        self.watcher: Watcher = watcher(*paths, page=False)
        self.said: list[str] = []
        self.notifier = Notifier(url, self.said.append)

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.watcher.look()
            self.notifier.after(self.watcher.found)
        self.notifier.is_done()


def kinds(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["kind"] for body in bodies]


def test_an_episode_is_posted_once_whoever_watches(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", bump=(150, 190, 2.0))
    with run.alive():
        first = Watching(chat.url, run.folder)
        for step in (60, 140):
            run.reach(step)
            first.look()
        assert chat.bodies == []
        for step in (180, 220, 260):
            run.reach(step)
            first.look()
    posted = list(chat.bodies)
    assert set(kinds(posted)) & {"spike", "divergence"}
    first.look()  # killed
    assert kinds(chat.bodies)[len(posted) :] == ["interrupted"]
    with run.alive():
        run.reach(100)  # resumed from a checkpoint before it all, and watched by another one
        for step in (160, 200, 260, 320):
            run.reach(step)
            Watching(chat.url, run.folder).look()
        run.finish()
    Watching(chat.url, run.folder).look()
    assert len({(body["kind"], body["severity"]) for body in chat.bodies}) == len(chat.bodies), "each once"
    assert (run.folder / "notified.json").is_file()


def test_what_is_posted(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("failed", error="the loss <!channel> @everyone")
    watching = Watching(chat.url, run.folder)
    watching.look()
    body = next(body for body in chat.bodies if body["kind"] == "non_finite")
    assert body["text"] == body["content"]
    assert body["text"].startswith("basic/packed seed 0: failure, non finite at step")
    assert "Try: " in body["text"]
    assert body["path"] == str(run.folder) and body["severity"] == "failure" and len(body["steps"]) == 2
    failed = next(body for body in chat.bodies if body["kind"] == "interrupted")
    assert "<!channel>" not in failed["text"] and "@everyone" not in failed["text"]
    assert failed["allowed_mentions"] == {"parse": []}
    assert chat.url not in (run.folder / "notified.json").read_text(), "whoever knows it may write there"


def test_another_address_is_told_for_itself(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    Watching(chat.url, run.folder).look()
    once = len(chat.bodies)
    Watching(chat.url, run.folder).look()
    assert once and len(chat.bodies) == once
    Watching(f"{chat.url}/other", run.folder).look()
    assert len(chat.bodies) == 2 * once


def test_half_an_episode_is_waited_for(tmp_path: Path, chat: Hook) -> None:
    """What is there in one reading only, of a run that goes on, is not posted."""
    run = GrowingRun(tmp_path / "run", nan_at=200)
    with run.alive():
        run.reach(300)
        watching = Watching(chat.url, run.folder)
        watching.look(3)
        assert chat.bodies == [], "looked at three times, read once"
        run.reach(150)
        watching.look(2)
        assert chat.bodies == []
        for step in (300, 310):
            run.reach(step)
            watching.look(1)
        assert "non_finite" in kinds(chat.bodies)


def test_beside_a_log_of_another_program_nothing_is_written(tmp_path: Path, chat: Hook) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    log = folder / "log.csv"
    log.write_text("step,loss\n" + "".join(f"{s},{'nan' if s > 100 else 5 / s**0.5}\n" for s in range(1, 200)))
    for _ in range(2):
        watching = Watching(chat.url, log)
        watching.look()
        os.utime(log, (time.time() - 60,) * 2)  # nobody writes it any more
        watching.look()
    assert kinds(chat.bodies).count("non_finite") == 1
    assert [each.name for each in folder.iterdir()] == ["log.csv"]
    assert list((tmp_path / "state" / "fabula").glob("notified-*.json"))


def test_a_hook_that_fails_is_tried_again_and_nothing_is_posted_twice(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    chat.answers = [200, 503]
    watching = Watching(chat.url, run.folder)
    watching.look()
    assert len(chat.bodies) == 1 and len(chat.refused) == 1
    assert "could not post" in watching.said[0] and "secret-path" not in watching.said[0]
    watching.look()
    assert len(chat.bodies) == 1, "not before the pause is over"
    watching.notifier._not_before = 0.0
    watching.look()  # of a record that has not changed since
    assert len(chat.bodies) == len(set(kinds(chat.bodies))) >= 2


def test_a_hook_that_is_not_there_holds_nobody_up(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    watching = Watching("http://127.0.0.1:9/hook", run.folder)
    watching.look()
    assert "could not post to 127.0.0.1" in watching.said[0]
    chat.slow.clear()
    slow = Watching(chat.url, run.folder)
    began = time.monotonic()
    slow.watcher.look()
    slow.notifier.after(slow.watcher.found)
    slow.watcher.look()
    assert time.monotonic() - began < 5.0 and chat.bodies == []
    chat.slow.set()
    slow.notifier.is_done()
    assert chat.bodies


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_message_that_is_led_elsewhere_has_not_arrived(status: int, tmp_path: Path, chat: Hook) -> None:
    """A page to sign in at answers whoever asks for it, and knows nothing of what was posted."""
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    chat.answers = [status]
    watching = Watching(chat.url, run.folder)
    watching.look()
    assert "could not post" in watching.said[0] and chat.bodies == []
    watching.notifier._not_before = 0.0
    watching.look()
    assert "non_finite" in kinds(chat.bodies)


def test_a_hook_that_takes_a_text_and_no_more(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    chat.answers = [400, 200]
    Watching(chat.url, run.folder).look()
    assert list(chat.bodies[0]) == ["text"]
    assert "kind" in chat.refused[0]


def test_what_was_posted_is_known_again_beside_others(tmp_path: Path, chat: Hook) -> None:
    """Beside a neighbour a run is called otherwise, and so is a log in its folder."""
    runs = [GrowingRun(tmp_path / name, nan_at=200) for name in ("one", "two")]
    logs = [tmp_path / name / "log.csv" for name in ("left", "right")]
    for run in runs:
        run.reach(300)
        run.say("interrupted")
    for log in logs:
        log.parent.mkdir()
        log.write_text("step,loss\n" + "".join(f"{s},{'nan' if s > 100 else 5 / s**0.5}\n" for s in range(1, 200)))
        os.utime(log, (time.time() - 60,) * 2)
    for path in (runs[1].folder, logs[1], logs[1].parent):
        Watching(chat.url, path).look()
    alone = len(chat.bodies)
    names = {body["run"] for body in chat.bodies}
    together = Watching(chat.url, runs[0].folder, logs[0], runs[1].folder, logs[1])
    for log in logs:  # there are two readings, as of a log that is written
        together.look()
        os.utime(log, (time.time() - 50,) * 2)
    together.look()
    assert {each.name for each in together.watcher.found if each.view.path in (runs[1].folder, logs[1])} != names
    posted = [(body["path"], body["kind"]) for body in chat.bodies]
    assert len(posted) == len(set(posted)), "nothing twice"
    assert len(posted) > alone and {str(runs[0].folder), str(logs[0])} <= {path for path, _ in posted[alone:]}


def test_two_who_watch_one_run_post_it_once(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    both = [Watching(chat.url, run.folder) for _ in range(2)]
    before = Remembered(run.folder, chat.url).told()
    for each in both:
        each.watcher.look()
    with pytest.MonkeyPatch.context() as patched:  # both have seen what was told before either says what it posts
        truly = Remembered.add
        patched.setattr(Remembered, "told", lambda self: before)
        patched.setattr(Remembered, "add", lambda self, *given: waiting.append((self, given)) or [])
        waiting: list[Any] = []
        for each in both:
            each.notifier.after(each.watcher.found)
    first, second = [truly(memory, *given) for memory, given in waiting]
    assert first and second == []


def test_what_is_lost_and_what_is_new_at_the_same_time(tmp_path: Path) -> None:
    """One thread posts and forgets what was lost, another one remembers what is new."""
    (tmp_path / "run.json").write_text("{}")
    memory = Remembered(tmp_path, "http://there/")
    steps = range(0, 4000, 100)
    news = [finding("spike", "warning", (step, step)) for step in steps]
    lost = [Told.of("", each) for each in news[::2]]

    def forget() -> None:
        for each in lost:
            while each not in memory.told():
                time.sleep(0.001)
            memory.forget([each])

    thread = threading.Thread(target=forget, daemon=True)
    thread.start()
    for each in news:
        assert memory.add([each], "", 100) == [each]
    thread.join(60)
    assert memory.told() == [Told.of("", each) for each in news[1::2]]


def test_a_run_folder_that_may_not_be_written(tmp_path: Path, chat: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    for _ in range(2):
        Watching(chat.url, run.folder).look()
    assert kinds(chat.bodies).count("non_finite") == 1
    assert not (run.folder / "notified.json").exists()


def test_a_memory_that_is_damaged_remembers_nothing(tmp_path: Path, chat: Hook) -> None:
    run = GrowingRun(tmp_path / "run", nan_at=200)
    run.reach(300)
    run.say("interrupted")
    for content in ("{", "[]", '{"x": 1}', json.dumps({"a": [{"run": 1}]}), "\0"):
        (run.folder / "notified.json").write_text(content)
        before = len(chat.bodies)
        Watching(chat.url, run.folder).look()
        assert len(chat.bodies) > before


@pytest.mark.parametrize(
    "url", ["", "chat", "ftp://a.b/c", "file:///etc/passwd", "http://", "https:///x", "http://a b/", "http://a:99999/",
            "javascript:alert(1)", "http://ä.example/"],
)  # fmt: skip
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(InputError, match="--notify takes"):
        checked(url)


def test_names_call_nobody() -> None:
    assert "@" not in quieted("a @here b").replace("@\N{ZERO WIDTH SPACE}", "")
    assert quieted("<!channel>\x1b[31m") == "‹!channel›\N{REPLACEMENT CHARACTER}[31m"


def finding(kind: str, severity: str, steps: tuple[int, int] | None) -> Finding:
    return Finding(kind=kind, scope="run", severity=severity, sentence="s", steps=steps, alternatives=("a",), try_="t")


@pytest.mark.parametrize(
    ("before", "now", "is_new"),
    [
        (("spike", "warning", (100, 110)), ("spike", "warning", (100, 130)), False),
        (("spike", "warning", (100, 110)), ("spike", "warning", (96, 130)), False),
        (("spike", "warning", (100, 110)), ("spike", "warning", (300, 310)), True),
        (("spike", "warning", (100, 110)), ("divergence", "failure", (100, 110)), True),
        (("plateau", "warning", (100, 400)), ("plateau", "warning", (500, 900)), False),
        (("plateau", "warning", None), ("plateau", "failure", None), True),
        (("interrupted", "warning", (100, 100)), ("interrupted", "warning", (101, 101)), False),
        (("interrupted", "warning", (100, 100)), ("interrupted", "warning", (500, 500)), True),
    ],
)
def test_what_is_the_same_again(before: Any, now: Any, is_new: bool) -> None:
    told = [Told.of("run", finding(*before))]
    assert bool(new_among([finding(*now)], "run", 1000, told)) == is_new
    assert new_among([finding(*now)], "another run", 1000, told)
