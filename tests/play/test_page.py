"""The page in a real browser: stories side by side, what is done with them, and nothing that anybody says is run."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.play.models import page_of, write_runs

from fabula.play.page.rendering import SCRIPTS, render, script_of
from fabula.play.shelf import Shelf

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="chromium is absent (Debian: apt install chromium), or playwright",
)
PATIENCE = 120_000
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202e{{ POLICY }}'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Four models, one of which has a name that would like to be more than a name."""
    asked = write_runs(tmp_path_factory.mktemp("four"), ("first", "second", HOSTILE, "fourth"))
    with page_of(Shelf(asked)) as url:
        yield url


class Visit:
    """A page that is open, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector("body.live")

    def tell(self, prompt: str, tokens: int = 30) -> None:
        self.page.fill("#prompt", prompt)
        self.page.fill("#set-maxTokens", str(tokens))
        self.page.press("#prompt", "Control+Enter")
        self.told()

    def told(self) -> None:
        self.page.wait_for_selector(".models:not(:has([aria-busy])):has(.token)")

    def texts(self) -> list[str]:
        return self.page.locator(".text").all_inner_texts()

    def column(self, place: int) -> Any:
        return self.page.locator(".column").nth(place)


@needs_browser
def test_four_models_tell_side_by_side_in_two_browsers_and_nothing_runs(browser: Any, four: str) -> None:
    visits = [Visit(browser, four), Visit(browser, four)]
    for visit in visits:  # both at once
        visit.page.fill("#prompt", f"Once {HOSTILE[:12]}")
        visit.page.fill("#set-maxTokens", "60")
        visit.page.press("#prompt", "Control+Enter")
    for visit in visits:
        visit.told()
        assert all(text.startswith(f"Once {HOSTILE[:12]}") for text in visit.texts())
        assert len(set(visit.texts())) == 2, "two shapes, each with the same weights twice"
        assert visit.complaints == []
        assert {each.removeprefix(four) for each in visit.asked} <= {"", "models", "stories", "favicon.ico"}
        assert visit.page.title() == "Tell me a story · fabula"
        assert visit.column(2).locator("h2").inner_text() == HOSTILE
        assert visit.page.locator("main img, main script").count() == 0
        assert f"run on {four.split('/')[2]}; nothing leaves this machine." in visit.page.locator("footer").inner_text()
    assert visits[0].texts() == visits[1].texts(), "the same seed"
    for visit in visits:
        visit.context.close()


@needs_browser
@pytest.mark.slow
def test_what_one_does_with_a_story(browser: Any, four: str) -> None:
    visit = Visit(browser, four)
    visit.tell("Once")
    page, column = visit.page, visit.column(0)
    first = visit.texts()[0]

    column.get_by_role("button", name="Continue").click()
    visit.told()
    longer = visit.texts()[0]
    assert longer.startswith(first.rstrip("\ufffd")) and len(longer) > len(first)

    token = column.locator(".token").nth(6)
    token.hover()
    assert page.locator(".looking li").count() == 8
    assert re.search(r"had \d|had under", page.locator(".looking p").first.inner_text())
    token.click()
    other = page.locator(".looking.pinned li button").last
    word = other.locator(".word").inner_text()
    other.click()
    visit.told()
    assert column.locator(".versions").inner_text().replace("\n", "").startswith("‹")
    before = column.locator(".token").all_inner_texts()
    assert word in before[6] or word.startswith("a part")
    assert "".join(before[:6]) in longer

    column.get_by_role("button", name="The story before").click()
    assert visit.texts()[0] == longer
    for place in (8, 3):  # another seed from there on; then another word before it
        column.locator(".token").nth(place).click()
        buttons = page.locator(".looking.pinned button")
        (buttons.last if place == 8 else buttons.first).click()
        visit.told()
        assert column.locator(".failure").inner_text() == ""
    while visit.texts()[0] != longer:
        column.get_by_role("button", name="The story before").click()
    column.get_by_role("button", name="Another seed").click()
    visit.told()
    assert visit.texts()[0] != longer and visit.texts()[0].startswith("Once")
    assert visit.complaints == []
    visit.context.close()


@needs_browser
@pytest.mark.slow
def test_from_the_first_step_to_the_last(browser: Any, four: str) -> None:
    visit = Visit(browser, four)
    visit.tell("Once", tokens=12)
    column = visit.column(1)
    column.get_by_role("button", name="From the first to the last").click()
    column.locator(".frames li").nth(2).wait_for(state="attached")
    visit.told()
    steps = column.locator(".frames button").all_text_contents()
    stories = column.locator(".frames p").all_text_contents()
    assert steps == ["step 0", "step 10", "step 20"] and len(set(stories)) == 3
    slider = column.get_by_role("slider")
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "step 0"
    assert "step 0 of 20" in column.locator(".facts").inner_text()
    assert column.locator(".text").text_content() == stories[0], "what was told is at once there"
    assert visit.complaints == []
    visit.context.close()


@needs_browser
@pytest.mark.slow
def test_by_keyboard_and_for_those_who_do_not_see(browser: Any, four: str) -> None:
    visit = Visit(browser, four)
    visit.tell("Once")
    page, text = visit.page, visit.column(0).locator(".text")
    text.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator(".token.selected").count() == 1
    assert re.search(r": .*%; else .*%", page.locator("#spoken").inner_text())
    page.keyboard.press("Enter")
    assert page.locator(".looking.pinned").is_visible()
    page.keyboard.press("Escape")
    assert page.locator(".looking").is_hidden()
    assert page.locator(".text:focus").count() == 1, "back where one was"
    names = [each.get_attribute("aria-label") for each in page.locator(".text").all()]
    assert names[0] == "Story by first"
    for each in page.locator("input, textarea").all():
        labelled = page.locator(f"label[for='{each.get_attribute('id')}']").count() or each.get_attribute("aria-label")
        assert labelled or each.locator("xpath=ancestor::label").count(), "every field has its name"
    assert visit.complaints == []
    visit.context.close()


@needs_browser
@pytest.mark.slow
def test_stories_are_kept_as_text_and_as_picture(browser: Any, four: str, tmp_path: Path) -> None:
    visit = Visit(browser, four)
    visit.tell("Once", tokens=200)
    column = visit.column(2)  # the hostile name becomes a harmless file's
    with visit.page.expect_download() as kept:
        column.get_by_role("button", name="Keep as text").click()
    kept.value.save_as(tmp_path / "story.txt")
    assert re.fullmatch(r"[\w.-]+\.txt", kept.value.suggested_filename)
    text = (tmp_path / "story.txt").read_text(encoding="utf-8")
    assert text.startswith("Once") and "seed 0" in text and HOSTILE in text
    column.get_by_role("button", name="Keep as picture").click()
    with visit.page.expect_download() as kept:
        visit.page.get_by_role("button", name="Save").click()
    kept.value.save_as(tmp_path / "story.png")
    assert (tmp_path / "story.png").read_bytes().startswith(b"\x89PNG")
    visit.page.get_by_role("button", name="Close").click()
    assert visit.page.locator("dialog").count() == 0 and visit.complaints == []
    visit.context.close()


@needs_browser
@pytest.mark.slow
def test_a_phone_has_no_sideways_scrolling_and_mistakes_are_told(browser: Any, four: str) -> None:
    visit = Visit(browser, four, viewport={"width": 360, "height": 740}, color_scheme="dark")
    visit.page.fill("#prompt", "word " * 60)
    visit.page.get_by_role("button", name="Tell them all").click()
    visit.page.wait_for_selector(".failure:not(:empty)")
    assert "shorten it" in visit.column(0).locator(".failure").inner_text()
    visit.tell("Once")
    assert visit.page.locator(".failure:not(:empty)").count() == 0
    width = visit.page.locator("html").bounding_box()["width"]
    boxes = [each.bounding_box() for each in visit.page.locator("main *:visible").all()[:400]]
    inside = [box for box in boxes if box and box["x"] + box["width"] > width + 1]
    assert width == 360 and len(inside) <= 6, "but the beginnings to try, which are a row that is moved"
    visit.context.close()


@needs_browser
@pytest.mark.slow
def test_a_page_with_a_token_in_its_address(browser: Any, tmp_path: Path) -> None:
    with page_of(Shelf(write_runs(tmp_path, ("far",))), token="secret") as url:
        visit = Visit(browser, f"{url}?token=secret")
        visit.tell("Once")
        assert visit.texts()[0].startswith("Once") and "secret" not in visit.page.url
        assert visit.complaints == []
        visit.context.close()


def test_no_script_of_the_page_makes_elements_of_texts() -> None:
    """What a model says is put in as text; the policy would not let it run, but it should not even be tried."""
    for name in (*SCRIPTS, "server_engine.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script_of(name)), name


def test_an_engine_of_another_kind_fits_in() -> None:
    page = render("async function createEngine() {}", title="a <b>", data={"weights": "AAAA"}, wasm=True)
    assert "<title>a &lt;b&gt; · fabula</title>" in page
    policy = re.search(r'Policy" content="([^"]*)"', page)
    assert policy and "connect-src 'none'" in policy[1] and "'wasm-unsafe-eval'" in policy[1]
    assert "unsafe-inline" not in page and "'unsafe-eval'" not in policy[1]
    assert '<script type="text/plain" id="weights">AAAA</script>' in page
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", page), "it loads nothing"
    with pytest.raises(AssertionError):
        render("", title="", data={"weights": "</script>"})
    assert "connect-src 'self'" in render(script_of("server_engine.js"), title="", connect=True)
