"""Text in Markdown: whatever it holds, a reader of the page sees that text and nothing else."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.record.text.markup import as_html, markdown, markdown_code, one_line

markdown_it = pytest.importorskip("markdown_it")
PIECES = [
    *"\\`*_[]#|$~<>&!()-+=:;\"' \n\r\t1.",
    "http://",
    "www.",
    "<script>",
    "](x)",
    "```",
    "\x1b[31m",
    "\u202e",
    "a",
    "\x00",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", list[str]()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(text: str) -> tuple[str, set[str]]:
    """What a browser shows of Markdown, and the tags that it is made of."""
    page = _Shown()
    page.feed(markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(text))
    return " ".join(page.text.split()), set(page.tags)


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_text_is_shown_as_it_is(text: str) -> None:
    seen, tags = shown(f"x {markdown(text)}")
    assert tags == {"p"} and seen == " ".join(f"x {one_line(text)}".split())


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_text_at_the_beginning_of_a_line_begins_nothing(text: str) -> None:
    _, tags = shown(markdown(text.strip()))
    assert tags <= {"p"}


@pytest.mark.long
@settings(deadline=None, max_examples=200)
@given(TEXTS, TEXTS)
def test_cells_of_a_table_stay_in_theirs(text: str, name: str) -> None:
    seen, tags = shown(
        f"| a | b |\n|---|---|\n| {markdown(text)} | {markdown_code(name, in_table=True)} |\n| x | y |\n"
    )
    assert tags <= {"table", "thead", "tbody", "tr", "th", "td", "code"} and seen.endswith("x y")


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_code_is_shown_as_it_is(text: str) -> None:
    seen, tags = shown(f"x {markdown_code(text)} y")
    assert tags <= {"p", "code"} and seen == " ".join(f"x {one_line(text)} y".split())


@settings(deadline=None, max_examples=100)
@given(TEXTS)
def test_nothing_in_html_is_a_tag(text: str) -> None:
    page = _Shown()
    page.feed(f"<details>{as_html(text)}</details>")
    page.close()
    assert page.tags == ["details"] and page.text == one_line(text)
