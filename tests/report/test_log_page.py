"""The page of somebody else's run: curves and findings of a log, in words and in a real browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.curves import Baseline
from tests.report.synthetic import write_run
from tests.report.test_page import CHROMIUM, Visit, browser  # noqa: F401 - the browser is a fixture
from typer.testing import CliRunner

from fabula.cli import app
from fabula.errors import InputError
from fabula.findings import Flags
from fabula.recipe import load_recipe
from fabula.report import write_report
from fabula.report.document import make_document
from fabula.report.render.markdown import render_markdown
from fabula.study.ladder import read_ladder
from fabula.study.summary import summary

GPT2 = Flags(vocabulary=50_257, from_scratch=True)


def csv_log(path: Path, start: float = 10.8, rise: float = 0.0) -> Path:
    """50 evaluations; `rise` lifts the loss from the 40th on."""
    values = [3.0 + (start - 3.0) * 0.8**place + (rise if place >= 40 else 0.0) for place in range(50)]
    lines = [f"{100 * place},{value - 0.01:.4f},{value:.4f}" for place, value in enumerate(values)]
    path.write_text("\n".join(["step,train_loss,val_loss", *lines]) + "\n")
    return path


def trainer_folder(folder: Path) -> Path:
    """The output of a Trainer whose learning rate rises; the loss is multiplied by the accumulation of 4."""
    history: list[dict[str, Any]] = []
    for step in range(10, 1_001, 10):
        loss = 3.0 + 7.0 * 0.98 ** (step / 10)
        history.append({"step": step, "loss": 4 * loss, "grad_norm": 0.5, "learning_rate": 2e-4 + 3e-7 * step})
        if step % 100 == 0:
            history.append({"step": step, "eval_loss": loss})
    checkpoint = folder / "checkpoint-1000"
    checkpoint.mkdir(parents=True)
    state = {"global_step": 1_000, "max_steps": 1_000, "logging_steps": 10, "epoch": 2.0, "log_history": history}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    (checkpoint / "config.json").write_text('{"vocab_size": 50257}')
    return folder


def twin_of(*paths: Path, flags: Flags | None = None) -> str:
    return render_markdown(make_document(read_ladder(paths, flags)))


def test_a_log_says_how_it_went_and_ranks_nothing(tmp_path: Path) -> None:
    twin = twin_of(csv_log(tmp_path / "theirs.csv", start=376.0, rise=2.0), flags=GPT2)
    assert twin.startswith("# Log theirs.csv\n\n1 log of another program\n\n> `theirs.csv`: **failed**.")
    assert "did not come back" in twin and "starts at a loss of 376" in twin
    assert "Not ranked" in twin and "lowest validation loss" not in twin and "seed 0" not in twin
    for topic in ("Loss", "Generalisation", "Stability", "Stopping point", "Gradient norm", "Learning-rate schedule"):
        assert f"\n### {topic}\n" in twin
    assert re.search(r"Not checked: gradient spike at start,.* \(needs the gradient norm of 20 steps or more\)\.", twin)
    assert "The end of this run is not its best" in twin


def test_every_sentence_of_the_course_has_its_evidence(tmp_path: Path) -> None:
    """A link to a figure or to a card that is on the page, or numbers in brackets."""
    write_run(tmp_path / "run", load_recipe("gemma3-nano-rising").with_values(steps=400), bump=(200, 300, 2.0))
    twin = twin_of(tmp_path / "run", csv_log(tmp_path / "a.csv", rise=2.0), trainer_folder(tmp_path / "theirs"))
    anchors = set(re.findall(r'<a id="([^"]+)"></a>', twin))
    links = re.findall(r"\]\(#([^)]+)\)", twin)
    assert links and set(links) <= anchors
    courses = re.findall(r'<a id="course-[^"]+"></a>\n\n### [^\n]+\n\n((?:- [^\n]*\n)+)', twin)
    items = [line for block in courses for line in block.splitlines() if "hecked" not in line]
    assert len(items) > 12
    for item in items:
        assert re.search(r"\(#(figure|finding|completions)|\([a-z ]+ [\d.,e-]+", item), item


def test_both_divergences_of_a_baseline_with_their_ranges(baseline: Baseline) -> None:
    twin = twin_of(baseline.path, flags=GPT2)
    course = twin.split("### Stability")[1].split("###")[0]
    for first, last in baseline.divergences:
        assert f"Steps {first:,} to {last:,}" in course
    assert f"By step {baseline.recovery[0]:,} most of the rise was gone" in course
    assert f"The untrained model starts at a loss of {baseline.first_loss:.5g}" in twin


def test_a_trainer_folder_with_its_traps(tmp_path: Path) -> None:
    folder = trainer_folder(tmp_path / "output")
    twin = twin_of(folder, flags=Flags(accumulation=4))
    assert "the mean of the steps since the line before (10 steps)" in twin
    assert "The training loss is the validation loss multiplied by 4, the gradient accumulation" in twin
    (run,) = summary(read_ladder([folder]))["runs"]
    assert run["verdict"] == "warning" and "lr_rising" in [finding["kind"] for finding in run["findings"]]
    assert "loss_scaled_by_accumulation" not in [finding["kind"] for finding in run["findings"]], "no flag, no claim"


def test_logs_of_a_folder_are_drawn_together_and_own_runs_stand_beside(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("a.csv", "b.csv"):
        csv_log(tmp_path / "logs" / name)
    write_run(tmp_path / "run", load_recipe("basic").with_values(steps=300))
    ladder = read_ladder([tmp_path / "logs", tmp_path / "run"])
    assert [(tier.name, [phase.name for phase in tier.phases]) for tier in ladder.logs] == [
        ("logs", ["a.csv", "b.csv"])
    ]
    twin = twin_of(tmp_path / "logs", tmp_path / "run")
    assert "1 training run: 1 recipe, with 1 random seed, 2 logs of other programs" in twin
    assert "`basic/packed` reached a validation loss of **3.0" in twin


def test_what_could_not_be_read_is_named(tmp_path: Path) -> None:
    csv_log(tmp_path / "a.csv")
    (tmp_path / "stories.jsonl").write_text('{"text": "Once"}\n')
    twin = twin_of(tmp_path)
    assert "### Not read" in twin and "stories.jsonl" in twin.split("### Not read")[1].split("##")[0]


def test_the_command(tmp_path: Path) -> None:
    log = csv_log(tmp_path / "theirs.csv", start=376.0)
    out = tmp_path / "page.html"
    arguments = ["report", str(log), "--out", str(out), "--vocab", "50257", "--from-scratch", "--json"]
    said = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert "initial_loss_off" in [finding["kind"] for finding in said["runs"][0]["findings"]]
    assert out.is_file() and out.with_suffix(".md").is_file()
    stdin = CliRunner().invoke(app, ["report", "-", "--out", str(out)], input=log.read_text())
    assert stdin.exit_code == 0 and "Log standard input" in out.with_suffix(".md").read_text()
    with pytest.raises(InputError, match="does not exist"):
        write_report([tmp_path / "nowhere.csv"], tmp_path / "no.html")
    assert not (tmp_path / "no.html").exists()


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Visit]:  # noqa: F811
    folder = tmp_path_factory.mktemp("logs")
    paths = [csv_log(folder / "theirs.csv", rise=2.0), trainer_folder(folder / "output")]
    write_report(paths, folder / "report.html", GPT2)
    visit = Visit(browser, folder / "report.html")
    yield visit
    visit.context.close()


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent (Debian: apt install chromium)")


@needs_browser
def test_the_page_draws_the_curves_of_a_log(visit: Visit) -> None:
    page = visit.page
    assert visit.complaints == []
    assert len(visit.requests) == 1
    for figure in ("theirs-csv-val", "output-val", "output-train", "output-norm", "output-rate"):
        assert page.locator(f"#figure-{figure} .plot svg").count() == 1
    assert page.locator(".answer p").first.inner_text().startswith("2 logs:")
    for target in page.eval_on_selector_all("a[href^='#']", "links => links.map(each => each.getAttribute('href'))"):
        assert page.locator(target).count() == 1, target


@needs_browser
@pytest.mark.parametrize(("figure", "finding"), [("theirs-csv-val", "theirs-csv-theirs-csv-divergence"),
                                                 ("output-rate", "output-output-lr-rising")])  # fmt: skip
def test_marks_lead_to_findings_and_back(visit: Visit, figure: str, finding: str) -> None:
    page = visit.page
    mark = page.locator(f"#figure-{figure} .mark-rect path").first
    mark.scroll_into_view_if_needed()
    box = mark.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(f"**#finding-{finding}")
    page.locator(f"#finding-{finding}").get_by_role("link", name="Show on the curve").click()
    assert page.url.endswith(f"#figure-{figure}")


@needs_browser
def test_a_phone_sees_a_log(visit: Visit, browser: Any) -> None:  # noqa: F811
    from urllib.parse import urlparse

    phone = Visit(browser, Path(urlparse(visit.requests[0]).path), width=390)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.context.close()
