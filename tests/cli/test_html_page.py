"""The file of `fabula export --to html` in a real browser without network, opened from the disk."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_html_file import page as export
from tests.cli.test_html_file import run_at
from tests.model.shapes import MODERN
from tests.report.test_page import CHROMIUM, PATIENCE, browser  # noqa: F401 - the browser is a fixture

from fabula.exchange.html.quantization import int8_decoder
from fabula.model.decode.generate import complete
from fabula.model.load import load_model
from fabula.recipe.presets.by_name import load_recipe

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent (Debian: apt install chromium)")
PROMPT = "Once upon a time"


class Opened:
    """The file as somebody has it: no network, and nothing said but what the test asks."""

    def __init__(self, browser: Any, file: Path) -> None:  # noqa: F811
        self.context = browser.new_context(offline=True, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())

    def told(self, prompt: str, **settings: float) -> list[str]:
        """The stories of all models, each with its prompt."""
        self.page.wait_for_selector("body.live")
        self.page.fill("#prompt", prompt)
        for name, value in settings.items():
            self.page.fill(f"#set-{name}", str(value))
        self.page.click("button[type=submit]")
        columns = self.page.locator("article.column")
        for place in range(columns.count()):
            columns.nth(place).get_by_role("button", name="Another seed").wait_for()
        return [columns.nth(place).locator("p.text").text_content() for place in range(columns.count())]


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:  # noqa: F811
    visits: list[Opened] = []

    def open_file(file: Path) -> Opened:
        visits.append(Opened(browser, file))
        return visits[-1]

    yield open_file
    for each in visits:
        each.context.close()


def expected(run: Path, **rules: Any) -> str:
    """The story of the int8 model, by the same rules here."""
    model, _, tokenizer = load_model(run)
    ids = [tokenizer.eot, *tokenizer.encode(PROMPT).tolist()]
    return PROMPT + tokenizer.decode(complete(int8_decoder(model), [ids], eot=tokenizer.eot, **rules)[0])


@pytest.mark.parametrize(
    "preset",
    [
        "modern",
        "gemma3-nano",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("modern-portable", "llama-nano", "basic")),
    ],
)
def test_the_greedy_story_is_that_of_the_int8_model(preset: str, opened: Any, tmp_path: Path) -> None:
    shape = load_recipe(preset).model.model_copy(update={"vocabulary": 257})
    run = run_at(tmp_path / preset, shape)
    export(str(run), "--out", str(tmp_path / "page.html"))
    visit = opened(tmp_path / "page.html")
    told = visit.told(PROMPT, temperature=0, maxTokens=64)
    assert told == [expected(run, num_tokens=64, temperature=0, seed=0)]
    assert "training story" not in visit.page.inner_text("body"), "the file does not have them"
    assert visit.complaints == []
    assert visit.requests[0] == (tmp_path / "page.html").as_uri()
    assert all(each.startswith("blob:") for each in visit.requests[1:])


def test_models_side_by_side_draw_as_the_terminal_does_and_names_are_only_names(opened: Any, tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>&amp; <!--"
    first = run_at(tmp_path / "first", MODERN)
    second = run_at(tmp_path / "<img src=x onerror=alert(2)>", name=hostile)
    data = {"source": hostile.replace("/", "\u2215"), "tokenizer": hostile}
    (second / "run.json").write_text(json.dumps({"status": "finished", "seed": 3, "data": data}))
    export(str(first), str(second), "--out", str(tmp_path / "page.html"))
    visit = opened(tmp_path / "page.html")
    rules = {"temperature": 0.8, "top_p": 0.95, "seed": 5, "num_tokens": 100}
    told = visit.told(PROMPT, temperature=0.8, topP=0.95, seed=5, maxTokens=100)
    assert told == [expected(run, **rules) for run in (first, second)]
    assert visit.page.locator("h2").all_text_contents() == ["first", "<img src=x onerror=alert(2)>"]
    assert hostile in visit.page.locator("article.column").nth(1).text_content()
    assert visit.page.locator("img").count() == 0 and visit.complaints == []
    said = " ".join(visit.page.locator("article.column").all_text_contents())
    assert "seed 5" in said and "training story" not in said, "what is copied the file cannot know"


@pytest.mark.parametrize("how", ["cut", "changed"])
def test_a_file_that_is_not_whole_says_so(how: str, opened: Any, tmp_path: Path) -> None:
    export(str(run_at(tmp_path / "run")), "--out", str(tmp_path / "page.html"))
    content = (tmp_path / "page.html").read_bytes()
    place = content.index("packed-model-0".encode("utf-16-le")) + 20_001
    rest = b"" if how == "cut" else bytes([content[place] ^ 1]) + content[place + 1 :]
    (tmp_path / "page.html").write_bytes(content[:place] + rest)
    visit = opened(tmp_path / "page.html")
    visit.page.get_by_text("this file is damaged or was cut short; get it once more").wait_for()
