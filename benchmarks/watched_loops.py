"""A training that is watched by `fabula watch` from before its start to its end, and killed under it."""

from __future__ import annotations

import html
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fabula

PATIENCE_SECONDS = 400.0
STEP = re.compile(r"<strong>step ([\d,]+)")
ALARM = re.compile(r'<li><span class="toned"><span class="dot (?:warning|failure)"')
STATE = re.compile(r'class="state">([^<]*)<')


class Page:
    """What a page that is open was sent so far."""

    def __init__(self) -> None:
        self._parts: dict[str, str] = {}
        self._looks: list[tuple[int, str]] = []

    def follow(self, stream: Any) -> None:
        with suppress(OSError, ValueError):  # the stream ends with the process that watches
            for line in stream:
                if line.startswith(b"data: "):
                    self._parts |= json.loads(line[6:])["html"]
                    self._looks.append((self.step, self.state))

    @property
    def step(self) -> int:
        found = STEP.search(self._parts.get("part-now", ""))
        return int(found[1].replace(",", "")) if found else 0

    @property
    def state(self) -> str:
        found = STATE.search(self._parts.get("part-now", ""))
        return html.unescape(found[1]) if found else ""

    @property
    def num_looks(self) -> int:
        return len(self._looks)

    def steps_since(self, look: int) -> list[int]:
        """The steps that it showed, one after the other."""
        shown = [step for step, _ in self._looks[look:] if step]
        return [step for place, step in enumerate(shown) if not place or step != shown[place - 1]]

    def tells(self, run: Path) -> bool:
        """Whether its findings are those of `fabula diagnose`: each sentence, and no further alarm."""
        findings = fabula.diagnose(run).findings
        told = " ".join(html.unescape(re.sub(r"<[^>]*>", "", " ".join(self._parts.values()))).split())
        alarms = [each for each in findings if each.severity in ("warning", "failure")]
        is_all = all(" ".join(each.sentence.split()) in told for each in findings)
        return is_all and len(ALARM.findall(self._parts.get("part-start", ""))) == len(alarms)


def wait(until: Callable[[], bool]) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < PATIENCE_SECONDS, "the page never showed it"
        time.sleep(0.1)
    return time.monotonic() - began


@contextmanager
def watching(run: Path) -> Iterator[tuple[Page, subprocess.Popen[str]]]:
    process = subprocess.Popen([sys.executable, "-m", "fabula", "watch", str(run)], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    try:
        assert process.stdout is not None
        address, page = process.stdout.readline().strip(), Page()
        stream = urllib.request.urlopen(f"{address}events")
        threading.Thread(target=page.follow, args=(stream,), daemon=True).start()
        wait(lambda: page.num_looks > 0)
        yield page, process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def watched(run: Path, train: Callable[[bool], int]) -> dict[str, Any]:
    """What was seen of `train(is_killed)`, which is called twice and returns how its process ended."""
    run.mkdir(parents=True)
    with watching(run) as (page, process):
        assert train(True) == -signal.SIGKILL
        killed_at = int(fabula.read(run).train["step"][-1])
        told_after = wait(lambda: "interrupted" in page.state)
        state, shown = page.state, page.steps_since(0)
        look = page.num_looks
        assert train(False) == 0
        status = fabula.read(run).status
        wait(lambda: f"is {status}" in page.state and page.tells(run))
        resumed = page.steps_since(look)
        lived = process.poll() is None
        return {
            "killed_at": killed_at,
            "resumed_from": next(each["step"] for each in fabula.read(run).events if each["event"] == "resumed"),
            "steps_shown": shown,
            "state_when_killed": state,
            "told_after_seconds": round(told_after, 1),
            "steps_shown_after": resumed,
            "state_at_the_end": page.state,
            "is_found_as_by_diagnose": page.tells(run),
            "watch_lived": lived,
        }
