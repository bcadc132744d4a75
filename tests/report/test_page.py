"""The page in a real browser: it draws, its switches and links work, it is whole without scripts, it loads nothing."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.synthetic import write_ladder

from fabula.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent (Debian: apt install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
]
PATIENCE = 120_000
"""Milliseconds: the machine may be busy with a training."""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_ladder(folder / "ladder", baseline_1={"bump": (150, 190, 2.0), "floor": 1.9})
    write_report([folder / "ladder"], folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Visit:
    """A page that is open, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, file: Path, width: int = 1280, **context: Any) -> None:
        viewport = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=viewport, reduced_motion="reduce", **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        if context.get("java_script_enabled", True):
            self.page.wait_for_selector("body.live")


@pytest.fixture(scope="module")
def desktop(browser: Any, page_file: Path) -> Iterator[Visit]:
    visit = Visit(browser, page_file)
    yield visit
    visit.context.close()


def lines(visit: Visit, figure: str) -> int:
    """Visible lines of runs in a figure."""
    return int(visit.page.locator(f"#{figure} .mark-line path").count())


def test_it_draws_without_complaint_and_loads_nothing(desktop: Visit, page_file: Path) -> None:
    assert desktop.complaints == []
    assert desktop.requests == [page_file.as_uri()]
    for figure in ("val", "train", "norm", "rate", "effects"):
        assert desktop.page.locator(f"#figure-basic-{figure} .plot svg").count() == 1
    assert lines(desktop, "figure-basic-rate") == 12, "a line a run"


def test_phases_and_seeds_can_be_switched(desktop: Visit) -> None:
    page = desktop.page
    baseline = page.get_by_role("button", name="baseline")
    baseline.click()
    page.wait_for_function("document.querySelectorAll('#figure-basic-rate .mark-line path').length === 9")
    assert baseline.get_attribute("aria-pressed") == "false"
    page.get_by_role("button", name="seed 1").click()
    page.wait_for_function("document.querySelectorAll('#figure-basic-rate .mark-line path').length === 6")
    page.get_by_role("button", name="seed 1").click()
    baseline.click()
    page.wait_for_function("document.querySelectorAll('#figure-basic-rate .mark-line path').length === 12")


def test_linear_and_logarithmic(desktop: Visit) -> None:
    page = desktop.page
    before = page.locator("#figure-basic-val .role-axis-label text").all_text_contents()
    page.locator("#figure-basic-val [data-scale=linear]").click()
    page.wait_for_function(
        "old => [...document.querySelectorAll('#figure-basic-val .role-axis-label text')]"
        ".map(each => each.textContent).join() !== old",
        arg=",".join(before),
    )
    assert page.locator("#figure-basic-val [data-scale=linear]").get_attribute("aria-pressed") == "true"
    page.locator("#figure-basic-val [data-scale=log]").click()


@pytest.mark.parametrize("train_loss", [None, 5.2])
def test_a_curve_that_falls_little_has_numbers_at_its_axis(
    browser: Any, tmp_path: Path, train_loss: float | None
) -> None:
    """From 6.6 to 5.5 no usual line of a logarithmic axis lies. A dashed line is told of where there is one."""
    beside = {} if train_loss is None else {"train_loss": train_loss}
    log = [{"step": step, "val_loss": 5.5 + 22 / step, **beside} for step in range(20, 400, 20)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, log)))
    write_report([tmp_path / "log.jsonl"], tmp_path / "report.html")
    visit = Visit(browser, tmp_path / "report.html")
    figure = visit.page.locator("#figure-log-jsonl-val")
    labels = [each for each in figure.locator(".role-axis-label text").all_text_contents() if each and float(each) < 10]
    assert len(labels) >= 2, labels
    assert ("Dashed" in figure.inner_text()) == (train_loss is not None)
    visit.context.close()


def test_the_second_half_alone(desktop: Visit) -> None:
    page = desktop.page
    shows_100 = (
        "() => [...document.querySelectorAll('#figure-basic-rate .role-axis-label text')]"
        ".some(each => each.textContent === '100')"
    )
    page.get_by_role("button", name="second half").click()
    page.wait_for_function(shows_100.replace("() => ", "() => !"))
    page.get_by_role("button", name="whole run").click()
    page.wait_for_function(shows_100)


def test_links_lead_to_findings_and_back(desktop: Visit) -> None:
    page = desktop.page
    for target in page.eval_on_selector_all("a[href^='#']", "links => links.map(each => each.getAttribute('href'))"):
        assert page.locator(target).count() == 1, target
    page.get_by_role("link", name="spike").first.click()
    assert page.url.endswith("#finding-basic-baseline-spike")
    page.locator("#finding-basic-baseline-spike").get_by_role("link", name="Show on the curve").click()
    assert page.url.endswith("#figure-basic-val")


@pytest.mark.parametrize("kind", ["initial-loss-off", "spike"])
@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_a_mark_leads_to_its_finding_from_edge_to_edge(desktop: Visit, kind: str, edge: float) -> None:
    """The mark of a finding at one step is four pixels wide: where it is drawn is where it is met."""
    page = desktop.page
    page.evaluate("location.hash = '#figure-basic-val'")
    marks = [each.bounding_box() for each in page.locator("#figure-basic-val .mark-rect path").all()]
    mark = (min if kind == "initial-loss-off" else max)(marks, key=lambda each: each["x"])
    page.mouse.click(mark["x"] + 1 + edge * (mark["width"] - 2), mark["y"] + mark["height"] / 2)
    page.wait_for_url(f"**#finding-basic-baseline-{kind}")


def test_the_bound_is_drawn_once(desktop: Visit, page_file: Path) -> None:
    """By the script, and in the file once a figure of a loss: it was there for every point of the curves."""
    assert desktop.page.locator("#figure-basic-val .plot").inner_text().count("bound 1.900") == 1
    assert page_file.read_text().count("bound 1.900") == 2


def test_a_phone_sees_all_of_it(browser: Any, page_file: Path) -> None:
    visit = Visit(browser, page_file, width=390)
    assert visit.complaints == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    for plot in visit.page.locator(".plot svg").all():
        assert plot.bounding_box()["width"] <= 390
    visit.context.close()


def test_dark_and_light_differ(browser: Any, page_file: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        visit = Visit(browser, page_file, color_scheme=scheme, java_script_enabled=False)
        seen[scheme] = visit.page.evaluate(
            "[getComputedStyle(document.body).backgroundColor,"
            " getComputedStyle(document.querySelector('#figure-basic-val .mark-line path')).stroke]"
        )
        visit.context.close()
    assert seen["light"][0] != seen["dark"][0]
    assert seen["light"][1] != seen["dark"][1], "the pictures take their colours from the page"


def test_it_is_whole_without_scripts(browser: Any, page_file: Path) -> None:
    """Pictures, tables and text in the order in which one reads them; nothing offers what cannot work."""
    visit = Visit(browser, page_file, java_script_enabled=False)
    page = visit.page
    assert page.locator(".plot svg .mark-line path").count() > 12
    assert not page.locator(".scale").first.is_visible()
    headings = page.locator("h2, h3").all_inner_texts()
    order = [
        "Timeline of improvements",
        "Final metrics",
        "What each change did",
        "Curves",
        "The stories",
        "What improved, and why",
        "Findings",
    ]
    places = [headings.index(each) for each in [*order, "Recipe differences", "Provenance"]]
    assert places == sorted(places)
    assert page.locator(".answer p").first.inner_text().startswith("packed has the lowest validation loss")
    visit.context.close()
