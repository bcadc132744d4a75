"""The page without a browser: what it is sent, and when its process ends."""

import asyncio
import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from tests.watch.growing import GrowingRun, watcher

from fabula.watch import pages
from fabula.watch.pages import Live, message

PATIENCE_SECONDS = 100.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn, this process is let go first by nobody, and nobody waits."""
    monkeypatch.setattr(pages, "chart_program", lambda: "")
    monkeypatch.setattr(pages, "step_aside", lambda: None)
    monkeypatch.setattr(pages, "PULSE_SECONDS", 0.02)
    monkeypatch.setattr(pages, "IDLE_SECONDS", 0.02)


@pytest.mark.parametrize("ending", ["finished", "killed", "damaged", "removed"])
def test_it_ends_by_itself_when_the_run_has_ended_unseen(ending: str, tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run")
    run.reach(120)
    live = Live(watcher(run.folder), linger_seconds=0.0)

    async def look_and_leave() -> None:
        async with live.life(Starlette()):
            with run.alive():
                stream = live.changes()
                assert "step 120 of 400" in await anext(stream)
                await stream.aclose()
                assert not await asyncio.to_thread(live.ended.wait, 0.2), "it is being made"
                if ending == "finished":
                    run.finish()
                elif ending == "damaged":
                    (run.folder / "metrics.jsonl").write_text("rubbish\n\n")
                elif ending == "removed":
                    for each in run.folder.iterdir():
                        each.unlink()
                    run.folder.rmdir()
            assert await asyncio.to_thread(live.ended.wait, PATIENCE_SECONDS)

    asyncio.run(look_and_leave())


def test_what_is_sent_is_one_line_of_json_and_only_what_changed(tmp_path: Path) -> None:
    run = GrowingRun(tmp_path / "run", tail=' "quoted"\r\n\u2028 <b>')
    run.reach(120)
    watching = watcher(run.folder)
    sent: dict[str, dict[str, str]] = {"html": {}, "curves": {}, "specs": {}}
    with run.alive():
        watching.look()
        assert watching.parts is not None
        first = message(watching.parts, sent)
        assert "\n" not in first and "\r" not in first
        whole = json.loads(first)
        assert list(whole["html"]) == whole["order"] and whole["curves"] and whole["specs"]
        assert json.loads(message(watching.parts, sent))["html"] == {}
        run.reach(130)
        watching.look()
        less = json.loads(message(watching.parts, sent))
        assert less["specs"] == {} and "part-now" in less["html"]
        assert "part-section-completions" not in less["html"]
