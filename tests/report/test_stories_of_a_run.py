"""What the page of one run says of its stories."""

import json
from pathlib import Path

from tests.report.synthetic import PROMPTS, write_run

from fabula.recipe.presets.by_name import load_recipe
from fabula.report.document import make_document
from fabula.report.render.markdown import render_markdown
from fabula.study.ladder import read_ladder

LONG = (
    ' She was very happy. "Can I play with you?" asked the cat. They ran to the big tree and played there all day long,'
    " until the sun went down and it was time to go home."
)


def page_of(folder: Path, completions: list[str]) -> str:
    write_run(folder, load_recipe("basic/packed"))
    lines = [
        json.dumps({"step": 100, "prompt": prompt, "completion": completion, "final": True}) + "\n"
        for prompt, completion in zip(PROMPTS, completions, strict=True)
    ]
    (folder / "samples.jsonl").write_text("".join(lines))
    return render_markdown(make_document(read_ladder([folder])))


def test_counts_say_which_stories_they_leave_out(tmp_path: Path) -> None:
    page = page_of(tmp_path / "short", [LONG, LONG, " She smiled."])
    assert "Both stories" in page and "1 story was not judged: fewer than 25 words." in page
    page = page_of(tmp_path / "long", [LONG, LONG, LONG])
    assert "All 3 stories" in page and "fewer than 25 words" not in page


def test_a_sample_without_its_story_tells_nothing(tmp_path: Path) -> None:
    """Nobody writes such a line, but a page is made of whatever a record holds."""
    folder = tmp_path / "run"
    write_run(folder, load_recipe("basic/packed"))
    told = [{"step": step, "prompt": PROMPTS[0], "completion": LONG} for step in (50, 100, 200)]
    lines = [{"step": 10, "prompt": PROMPTS[0]}, {"step": 20}, *told, {"step": 300, "prompt": PROMPTS[0]}]
    (folder / "samples.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = render_markdown(make_document(read_ladder([folder])))
    assert "How the stories" in page and "step 50" in page and "step 300" not in page
