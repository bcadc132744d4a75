"""Runs and logs that grow under the eyes of who watches them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.report.synthetic import write_run

from fabula.recipe import load_recipe
from fabula.recipe.scaling import with_steps
from fabula.record.lock import only_writer
from fabula.watch.watcher import Watcher

STEPS = 400


class GrowingRun:
    """A run whose record is told step by step. What it will say is in `whole`, a finished run."""

    def __init__(self, folder: Path, **arguments: Any) -> None:
        self.folder = folder
        self.whole = folder.with_name(f"{folder.name}-whole")
        recipe = with_steps(load_recipe("basic/packed"), STEPS)
        write_run(self.whole, recipe, every=50, **arguments)
        folder.mkdir()
        for name in ("recipe.toml", "tokenizer.json"):
            shutil.copy(self.whole / name, folder / name)
        self.say("running")

    def say(self, status: str, **fields: Any) -> None:
        info = json.loads((self.whole / "run.json").read_text())
        (self.folder / "run.json").write_text(json.dumps({**info, "status": status, **fields}))

    def reach(self, step: int) -> None:
        """The record as it is after `step`: longer than it was, or cut back."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            lines = (self.whole / name).read_text().split("\n")[:-1]  # a story may hold other ends of lines
            kept = "".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= step)
            there = (self.folder / name).read_text() if (self.folder / name).exists() else ""
            if kept.startswith(there):
                with open(self.folder / name, "a") as file:
                    file.write(kept[len(there) :])
            else:
                (self.folder / name).write_text(kept)

    def finish(self) -> None:
        self.reach(STEPS)
        shutil.copy(self.whole / "evaluations.jsonl", self.folder / "evaluations.jsonl")
        self.say("finished")

    @contextmanager
    def alive(self) -> Iterator[None]:
        """As long as the process that makes it lives."""
        with only_writer(self.folder):
            yield


def watcher(*paths: Path, **arguments: Any) -> Watcher:
    """One that reads whenever something has changed."""
    return Watcher(list(paths), pause=lambda cost: 0.0, **arguments)


def text_of(watching: Watcher) -> str:
    assert watching.parts is not None
    return "\n".join(watching.parts.html.values())
