"""The live page in a real browser: it grows, holds still what is looked at, and runs nothing that a record says."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from tests.serve.visits import running
from tests.watch.growing import GrowingRun, watcher

from fabula.serve.address import Address
from fabula.serve.door import Door
from fabula.watch import pages
from fabula.watch.pages import POLICY, Live, application

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent (Debian: apt install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]
PATIENCE = 40_000
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)> </section>"


def served(run: GrowingRun, address: Address) -> Door:
    return Door(application(Live(watcher(run.folder))), address, POLICY)


@pytest.mark.long
def test_it_grows_and_holds_still_and_is_inert(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    run = GrowingRun(tmp_path / "run", bump=(150, 190, 2.0), tail=f" {NASTY} and " * 5)
    run.say("running", recipe=NASTY, device=NASTY, choices={NASTY: {"value": NASTY, "reason": NASTY}})
    run.reach(120)
    complaints: list[str] = []
    asked: list[str] = []
    with run.alive(), running(lambda address: served(run, address)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address.url)
        page.wait_for_selector("body.live figure[id$=-train] svg .mark-line path")
        assert "step 120 of 400" in page.inner_text("#part-now")

        page.locator("details", has_text="What “healthy” means").locator("summary").click()
        page.evaluate("() => { window.view = document.querySelector('figure[id$=-rate]').view; }")
        button = page.locator("figure[id$=-norm] [data-scale=log]")
        button.focus()
        page.evaluate("document.querySelector('figure[id$=-norm]').scrollIntoView({block: 'center'})")
        before = button.bounding_box()
        run.reach(300)
        page.wait_for_function("document.querySelector('#part-now').innerText.includes('step 300 of 400')")
        page.wait_for_function("document.querySelector('#part-news').innerText.length > 20")
        assert page.evaluate("document.activeElement.dataset.scale") == "log", "focus stays"
        assert page.locator("details[open]", has_text="What “healthy” means").count() == 1, "unfolded stays unfolded"
        after = button.bounding_box()
        assert before is not None and after is not None
        assert abs(before["y"] - after["y"]) < 3, "what is in sight stays where it is"
        drawn = "Math.max(...document.querySelector('figure[id$=-rate]').view.data('points').map(row => row.x))"
        page.wait_for_function(f"{drawn} === 300")
        assert page.evaluate("window.view === document.querySelector('figure[id$=-rate]').view"), "grown, not redrawn"
        targets = page.eval_on_selector_all("a[href^='#']", "links => links.map(each => each.getAttribute('href'))")
        assert all(page.locator(target).count() == 1 for target in targets)

        run.finish()
        run.say("finished", recipe=NASTY)
        page.wait_for_function("document.querySelector('#part-now').innerText.includes('This run is finished')")
        assert page.locator("script").count() == 4 and page.locator("#page img, #page svg[onload]").count() == 0
        assert NASTY.split("<img")[0] in page.inner_text("#page")
        assert all(url.startswith((address.url, "data:")) for url in asked)
        assert complaints == []
        browser.close()


@pytest.mark.long
def test_it_is_followed_again_after_an_answer_that_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser asks again by itself where there is no connection, and never after a refusal."""
    from playwright.sync_api import sync_playwright

    monkeypatch.setattr(pages, "MOST_STREAMS", 0)
    run = GrowingRun(tmp_path / "run")
    run.reach(120)
    with run.alive(), running(lambda address: served(run, address)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script("const later = setTimeout; window.setTimeout = (call, ms) => later(call, ms / 20);")
        page.goto(address.url)
        page.wait_for_function("document.getElementById('connection').textContent.startsWith('No connection')")
        monkeypatch.setattr(pages, "MOST_STREAMS", 1)
        page.wait_for_function("document.querySelector('#part-now')?.innerText.includes('step 120 of 400')")
        page.wait_for_function("document.getElementById('connection').textContent === ''")
        assert page.locator("figure[id$=-train] svg").count() == 1
        browser.close()
