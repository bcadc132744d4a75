"""Pictures of a run in TensorBoard and in trackio, as their own pages show it: docs/images/{tensorboard,trackio}.png.

python docs/tracker_pictures.py docs/runs/large-2000

The run is copied, so that nothing is written into it. Needs the extras `tensorboard` and `trackio`, and chromium.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 800}


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


@contextlib.contextmanager
def server(command: list[str], port: int, environment: dict[str, str]) -> Iterator[str]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def picture(address: str, wait_for: str, name: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport=SIZE)
        page.goto(address)
        page.get_by_text(wait_for).first.wait_for(timeout=60_000)
        page.wait_for_timeout(4000)  # curves are drawn after their names
        page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def main(run: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "runs" / run.name
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "trackers", "*tfevents*"))
        environment = {**os.environ, "TRACKIO_DIR": f"{place}/trackio"}
        for tracker in ("tensorboard", "trackio"):
            command = [sys.executable, "-m", "fabula", "export", str(copy), "--to", tracker]
            subprocess.run(command, env=environment, check=True)
        port = free_port()
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", f"{place}/runs", "--port", str(port)]
        with server(command, port, environment) as address:
            picture(f"{address}/#timeseries", "grad_norm", "tensorboard")
        port = free_port()
        show = f"import trackio; trackio.show(project='fabula', open_browser=False, server_port={port})"
        with server([sys.executable, "-c", show], port, environment) as address:
            picture(f"{address}/?project=fabula", "grad_norm", "trackio")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
