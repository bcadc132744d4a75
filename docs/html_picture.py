"""Takes export.md's picture: a file of `fabula export --to html` on a phone, a story told and a word of it asked.

python docs/html_picture.py RUN
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from fabula.cli.html_file import write_html

PICTURE = Path(__file__).parent / "images" / "html-export.png"
CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT, SHARPNESS = 390, 844, 2
PROMPT, SEED, TOKENS = "Once upon a time, a little dragon", 3, 120
WORD = 0
"""Of the story, that is asked what else could have come."""

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file, _ = write_html([(Path(sys.argv[1]), None)], Path(folder) / "page.html")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(
            offline=True,
            viewport={"width": WIDTH, "height": HEIGHT},
            device_scale_factor=SHARPNESS,
            color_scheme="light",
            has_touch=True,
        ).new_page()
        page.goto(file.as_uri())
        page.wait_for_selector("body.live")
        page.fill("#prompt", PROMPT)
        page.fill("#set-seed", str(SEED))
        page.fill("#set-maxTokens", str(TOKENS))
        page.click("button[type=submit]")
        page.get_by_role("button", name="Another seed", exact=True).wait_for()
        page.locator("article.column").evaluate("(story) => story.scrollIntoView()")
        page.locator("article.column .token").nth(WORD).click()
        page.screenshot(path=PICTURE)
        browser.close()
