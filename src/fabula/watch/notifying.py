"""Posts warnings and failures to a chat's incoming hook, once each, from a thread of its own: nothing waits for it."""

import http.client
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fabula.errors import InputError
from fabula.record.finding import Finding
from fabula.record.wording import kind_words, steps_text
from fabula.watch.hooks import post, quieted
from fabula.watch.novelty import Told, new_among, was_told
from fabula.watch.remembered import Remembered
from fabula.watch.watcher import Found

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds until a post that failed is tried again; each failure doubles them."""
MOST_CHARACTERS = 1800
"""Discord takes 2,000."""
WORTH_POSTING = ("warning", "failure")


def message(found: Found, finding: Finding) -> dict[str, Any]:
    """`text` for Slack, Mattermost and others, `content` for Discord, fields for programs."""
    steps = f" at {steps_text(finding.steps)}" if finding.steps else ""
    text = f"{found.name}: {finding.severity}, {kind_words(finding.kind)}{steps}. {finding.sentence}"
    text = quieted(f"{text} Try: {finding.try_}." if finding.try_ else text)[:MOST_CHARACTERS]
    told = finding.as_json()
    fields = {name: told[name] for name in ("kind", "severity", "steps", "sentence", "alternatives", "try")}
    return {
        "text": text,
        "content": text,
        "allowed_mentions": {"parse": []},
        "run": found.name,
        "path": str(found.view.path),
        **fields,
    }


@dataclass(frozen=True)
class _Waiting:
    found: Found
    new: tuple[Finding, ...]
    memory: Remembered


def _place(found: Found) -> tuple[Path, str]:
    return found.view.path, found.key


def _worth_posting(found: Found) -> list[Finding]:
    return [finding for finding in found.findings if finding.severity in WORTH_POSTING]


class Notifier:
    """`after` is given what each reading found. What could not be posted is new again, after a pause."""

    def __init__(self, url: str, tell: Callable[[str], None]) -> None:
        self.url = url
        self._tell = tell
        self._last: Sequence[Found] = ()
        self._before: dict[tuple[Path, str], list[Told]] = {}
        """What was seen in the reading before the last: what is there twice is no matter of half an episode."""
        self._again = False
        self._queue: queue.Queue[_Waiting] = queue.Queue()
        self.pause = FIRST_PAUSE
        self._not_before = 0.0
        threading.Thread(target=self._post_all, daemon=True).start()

    def after(self, found: Sequence[Found]) -> None:
        if time.monotonic() < self._not_before or (found is self._last and not self._again):
            return
        if found is not self._last:
            self._before = {
                _place(each): [Told.of(each.key, finding) for finding in _worth_posting(each)] for each in self._last
            }
            self._last = found
        self._again = False
        for each in found:
            memory = Remembered(each.view.path, self.url)
            new = new_among(_worth_posting(each), each.key, each.last_step, memory.told())
            before = self._before.get(_place(each), [])
            sure = [finding for finding in new if each.ended or was_told(finding, each.key, each.last_step, before)]
            if not sure:
                continue
            try:
                mine = memory.add(sure, each.key, each.last_step)
            except (InputError, OSError) as error:
                self._failed(f"cannot remember what was posted ({error}), so nothing is")
                return
            if mine:
                self._queue.put(_Waiting(each, tuple(mine), memory))

    def is_done(self) -> bool:
        """Wait until all is posted, or could not be: then False, for it is to be tried again."""
        self._queue.join()
        return time.monotonic() >= self._not_before

    def _post_all(self) -> None:
        while True:
            waiting = self._queue.get()
            for place, finding in enumerate(waiting.new):
                try:
                    post(self.url, message(waiting.found, finding))
                    self.pause = FIRST_PAUSE
                except (OSError, ValueError, http.client.HTTPException) as error:
                    lost = [Told.of(waiting.found.key, each) for each in waiting.new[place:]]
                    self._failed(f"could not post to {urlsplit(self.url).hostname} ({error})")
                    with suppress(InputError, OSError):  # then it stays remembered: better never than twice
                        waiting.memory.forget(lost)
                    break
            self._queue.task_done()

    def _failed(self, why: str) -> None:
        self._not_before, self._again = time.monotonic() + self.pause, True
        self._tell(f"--notify {why}; tried again in {self.pause:.0f} s")
        self.pause = min(LONGEST_PAUSE, 2 * self.pause)
