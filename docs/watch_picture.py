"""Takes the picture of docs/watch.md: a kept run on real stories, told once more line by line and watched meanwhile.

python docs/watch_picture.py
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from fabula.record.lock import only_writer

DOCS = Path(__file__).parent
RUN = DOCS / "runs" / "modern-large-3500"
PICTURE = DOCS / "images" / "watch.png"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1180, 1500
SEEN, SHOWN = 0.55, 0.62
"""Shares of the run: where the page is opened, and where the picture is taken."""


def lines(name: str) -> list[str]:
    plain = RUN / name
    return (plain.read_text() if plain.exists() else gzip.open(f"{plain}.gz", "rt").read()).split("\n")[:-1]


def tell(folder: Path, step: float) -> None:
    """The record of the run as it was after `step`."""
    for name in ("metrics.jsonl", "samples.jsonl"):
        (folder / name).write_text("".join(f"{each}\n" for each in lines(name) if json.loads(each)["step"] <= step))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary) / RUN.name
        folder.mkdir()
        info = json.loads((RUN / "run.json").read_text())
        shutil.copy(RUN / "recipe.toml", folder)
        (folder / "run.json").write_text(json.dumps({**info, "status": "running"}))
        tell(folder, SEEN * info["steps"])
        with only_writer(folder):
            command = [sys.executable, "-m", "fabula", "watch", str(folder)]
            watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert watching.stdout is not None
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(watching.stdout.readline().strip())
            page.wait_for_selector("body.live", timeout=120_000)
            tell(folder, SHOWN * info["steps"])
            page.wait_for_function("document.querySelector('#part-head').innerText.includes('of')")
            time.sleep(30)  # until all of it was read again
            page.screenshot(path=PICTURE)
            browser.close()
            watching.terminate()
            watching.wait()
