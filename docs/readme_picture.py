"""Takes README.md's picture: the beginning of the kept ladder's page, in Chromium.

python docs/readme_picture.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from fabula.report import write_report

DOCS = Path(__file__).parent
LADDER = DOCS / "ladders" / "factorial-basic-2-percent"
PICTURE = DOCS / "images" / "report.png"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1180, 1500

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder) / "report.html"
        write_report([LADDER], page_file)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(page_file.as_uri())
        page.wait_for_function("document.body.classList.contains('live')")
        page.screenshot(path=PICTURE)
        browser.close()
