"""The first screens, for somebody who is no statistician; the words that are explained where they stand."""

import json
import re
from pathlib import Path

import pytest
from tests.report.synthetic import write_ladder, write_run

from fabula.recipe.ladder import load_ladder
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.reached import all_reached
from fabula.recipe.scaling import with_steps
from fabula.record.wording import difference_text
from fabula.report import write_report
from fabula.report.document import make_document
from fabula.report.render.blocks import Document, Heading, Opening, Paragraph, Span, Story, plain_text, rich
from fabula.report.render.glossary import FORMS, NOT_IN_PROSE, WORDS
from fabula.report.render.markdown import render_markdown
from fabula.report.render.terms import with_terms
from fabula.study.ladder import read_ladder


def first_screen(twin: str) -> str:
    return twin.split('<a id="')[0]


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ladder(tmp_path_factory.mktemp("first") / "ladder", cosine={"end": 3.88})


def test_a_ladder_says_what_won_by_how_much_and_whether_it_is_luck(ladder: Path) -> None:
    said = first_screen(render_markdown(make_document(read_ladder([ladder]))))
    assert "12 training runs: 4 recipes, each with 3 random seeds" in said
    assert re.search(
        r"`packed` has the lowest validation loss: \*\*2\.9\d+\*\* nats per token \(lower is better\)", said
    )
    assert re.search(r"`baseline` reached 5\.7\d\d\.", said)
    assert re.search(r"🟢 `init` \*\*helps\*\*: lower by 1\.\d+ \(1\.\d+ to 1\.\d+\)", said)
    assert re.search(
        r"⚪ `cosine` \*\*may be luck\*\*: \w+ by 0\.\d+, too little to count; an effect below 0\.\d+ could have", said
    )
    assert re.search(r"Chance alone \(another random seed\) changes the loss by 0\.\d+ to 0\.\d+ nats", said)
    assert "**First sample, not cherry-picked**" in said and "The cat flew over the garden" in said
    for word in ("stream", "Holm", "protocol", "error rate", "\N{MINUS SIGN}"):
        assert word not in said


def test_a_single_run_begins_with_its_story_and_has_one_validation_loss(tmp_path: Path) -> None:
    write_run(tmp_path / "run", load_ladder("classic").recipe("basic", "packed", 0.02), end=3.0, bump=(250, 299, 0.5))
    twin = render_markdown(make_document(read_ladder([tmp_path / "run"])))
    said = first_screen(twin)
    assert said.index("First sample, not cherry-picked") < said.index("> Validation loss **3.")
    assert re.search(r"> Validation loss \*\*3\.0\d\d\*\*; untrained 10\.\d\.", said)
    assert re.search(r"chose among 2\d that are equally likely; the untrained model among 5\d,000", said)
    assert "Timeline" not in twin
    order = ["## The stories", "## Loss", "## Gradient norm and learning rate", "## What to do next", "## Provenance"]
    places = [twin.index(f"\n{each}\n") for each in order]
    assert places == sorted(places)
    assert "| **Validation loss** | **3.0" in twin and "| Lowest seen on the way | " in twin
    loss, rates = twin.split("\n## Loss\n")[1].split("\n## Gradient norm and learning rate\n")[:2]
    assert "### Stopping point" in loss and "### Stability" in loss
    assert "### Learning-rate schedule" in rates.split("## What to do next")[0]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((-1.22, -1.882, -0.558), "lower by 1.220 (0.558 to 1.882)"),
        ((0.5, 0.25, 0.75), "higher by 0.500 (0.250 to 0.750)"),
        ((-0.05, -0.1, 0.02), "lower by 0.050 (0.100 lower to 0.020 higher)"),
        ((0.01, None, None), "higher by 0.010"),
    ],
)
def test_signs_agree(numbers: tuple[float, float, float], said: str) -> None:
    assert difference_text(*numbers) == said


def test_a_word_is_explained_the_first_time_in_a_section() -> None:
    text = Paragraph(rich("Two seeds, one seed, and a nat. ", Span("stream", code=True), " is no stream of words."))
    (first, _, second), words = with_terms((text, Heading(2, rich("Seeds"), "seeds"), text))
    for block in (first, second):
        assert isinstance(block, Paragraph)
        assert [(span.text, span.term) for span in block.text if span.term] == [
            ("seeds", "seed"), ("nat", "nat"), ("stream", "stream"),
        ]  # fmt: skip
        assert plain_text(block.text) == plain_text(text.text)
    assert words == ["nat", "seed", "stream"]


def test_every_form_of_a_word_is_in_the_glossary() -> None:
    assert set(FORMS.values()) | set(NOT_IN_PROSE) <= set(WORDS)


def test_explanations_are_reached_by_touch_pointer_and_keyboard(ladder: Path, tmp_path: Path) -> None:
    """A focusable word with its explanation, which the style shows on hover and on focus; and a list for paper."""
    write_report([ladder], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    terms = re.findall(r'<span class="term" tabindex="0" aria-description="([^"]+)">([^<]+)</span>', page)
    assert {"nats", "token", "random seed", "stream", "story", "gradient norm"} <= {word.lower() for _, word in terms}
    assert all(explanation for explanation, _ in terms)
    assert ".term:hover::after, .term:focus::after" in page
    assert "**nat**: The unit of the loss." in (tmp_path / "report.md").read_text()


def test_what_is_good_here_is_said_where_it_can_be_compared(tmp_path: Path) -> None:
    """The same recipe, stories and tokenizer; other stories have another loss."""
    good = max(all_reached(), key=lambda row: row.steps)
    write_run(tmp_path / "run", with_steps(load_recipe(good.recipe), 60), end=4.0)
    info = tmp_path / "run" / "run.json"
    assert "good here" not in render_markdown(make_document(read_ladder([tmp_path / "run"])))
    content = json.loads(info.read_text())
    content["data"] |= {"text_hashes": {"validation": good.validation}, "tokenizer_hash": good.tokenizer}
    info.write_text(json.dumps(content))
    said = first_screen(render_markdown(make_document(read_ladder([tmp_path / "run"]))))
    assert re.search(r"; untrained 10\.\d; good here is \d\.\d\d\.", said)
    assert re.search(r"\*\*Next:\*\* .*", said) and "this recipe reaches" in said


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (" there was a fox.\nIt slept.", "> *One day* there was a fox.\n> It slept."),
        (", a fox came.", "> *One day*, a fox came."),
        (" \ufffd.\n\nNo.", "> *One day* \ufffd.\n>\n> No."),
        ("", "> *One day*"),
    ],
)
def test_of_a_story_the_given_words_alone_are_in_italics(text: str, written: str) -> None:
    document = Document("t", "s", Opening((), Story("First", "One day", text, rich("seed 0"))), (), {})
    assert f"**First**\n\n{written}\n\nseed 0" in render_markdown(document)
