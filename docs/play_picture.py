"""Takes the picture of docs/play.md: two checkpoints of a run tell the same story, in Chromium.

python docs/play_picture.py RUN@STEP RUN
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parent / "images" / "play.png"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1180, 900
PROMPT, SEED, TOKENS = "One day, a girl named Lily found a", 0, 150
PATIENCE = 300_000
"""Milliseconds: the machine may be busy with a training."""
LOOKED_AT = 1
"""The token that is pointed at."""

if __name__ == "__main__":
    command = [sys.executable, "-m", "fabula", "play", *sys.argv[1:]]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = next(line.split()[2] for line in server.stdout if line.startswith("Next: open"))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            page.fill("#prompt", PROMPT)
            page.fill("#set-seed", str(SEED))
            page.fill("#set-maxTokens", str(TOKENS))
            page.get_by_role("button", name="Tell them all").click()
            page.wait_for_selector(".models:not(:has([aria-busy])):has(.token)")
            page.locator(".column").last.locator(".token").nth(LOOKED_AT).hover()
            page.wait_for_selector(".looking:not([hidden])")
            page.screenshot(path=PICTURE)
            browser.close()
    finally:
        server.terminate()
        server.wait()
