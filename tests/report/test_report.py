"""What a report says, against the records that it was made from."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.findings.families import record
from tests.report.synthetic import PROMPTS, write_ladder, write_run

from fabula.errors import InputError
from fabula.recipe.ladder import load_ladder
from fabula.record.finding import Finding
from fabula.report import main_figure, write_report
from fabula.report.document import make_document
from fabula.report.figures.curves import extremes, smoothed
from fabula.report.render.blocks import Document, Table, plain_text
from fabula.report.render.markdown import render_markdown
from fabula.report.sections.tables import final_comparison, final_metrics, mechanism, timeline
from fabula.study.health import FoundGroup
from fabula.study.inference.statistics import t_quantile
from fabula.study.ladder import read_ladder
from fabula.study.summary import summary
from fabula.study.views import LadderView


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four phases, three seeds; one run with a spike, one that was interrupted."""
    return write_ladder(
        tmp_path_factory.mktemp("report") / "ladder",
        baseline_1={"bump": (150, 190, 2.0)},
        cosine_2={"status": "interrupted", "stop_at": 150},
    )


@pytest.fixture(scope="module")
def view(ladder: Path) -> LadderView:
    return read_ladder([ladder])


@pytest.fixture(scope="module")
def document(view: LadderView) -> Document:
    return make_document(view)


@pytest.fixture(scope="module")
def twin(document: Document) -> str:
    return render_markdown(document)


def lines_of(run: Path, kind: str) -> list[dict]:
    """The record's lines, read without fabula."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def row_of(table: Table, first: str) -> list[str]:
    """The cells of a row by its first cell; in the cells, what stands on lines of its own is apart by a bar."""
    row = next(row for row in table.rows if plain_text(row.cells[0]) == first)
    return ["".join(("|" if span.own_line else "") + span.text for span in cell) for cell in row.cells]


@pytest.mark.parametrize("phase", ["baseline", "init", "packed"])
def test_the_timelines_numbers_are_the_records(ladder: Path, view: LadderView, phase: str) -> None:
    """Start, best and final of every seed, recomputed from metrics.jsonl by hand."""
    tier = view.tiers[0]
    _, _, course, final, _ = row_of(timeline(tier, []), phase)
    starts, bests, finals = [], [], []
    for seed in range(3):
        evals = lines_of(ladder / "runs" / "basic" / phase / f"seed-{seed}", "eval")
        starts.append(evals[0]["val_loss_subset"])
        bests.append(min(line["val_loss_subset"] for line in evals))
        finals.append(evals[-1]["val_loss"])
    start, best = np.mean(starts), np.mean(bests)
    assert course == f"{start:.2f} → {best:.3f}|" + " · ".join(f"{each:.3f}" for each in bests)
    assert final == f"{np.mean(finals):.3f}|" + " · ".join(f"{each:.3f}" for each in finals)


def test_the_effects_are_the_records(ladder: Path, view: LadderView) -> None:
    """Paired differences, mean and t interval of packed against cosine, seeds 0 and 1, by hand."""
    effect = next(each for each in view.effects if each.after == "packed")
    differences = []
    for seed in (0, 1):
        before, after = (
            lines_of(ladder / "runs" / "basic" / phase / f"seed-{seed}", "eval")[-1]["val_loss"]
            for phase in ("cosine", "packed")
        )
        differences.append(after - before)
    told = effect.comparisons["stream"]
    assert effect.seeds == (0, 1), "seed 2 of cosine did not finish"
    assert told.differences == pytest.approx(differences)
    half = t_quantile(0.975, 1) * np.std(differences, ddof=1) / np.sqrt(2)
    assert told.paired.high == pytest.approx(np.mean(differences) + half)


def test_final_metrics_are_means_over_seeds_not_the_luckiest_run(ladder: Path, view: LadderView) -> None:
    table = final_metrics(view.tiers[0])
    bests = [
        min(line["val_loss_subset"] for line in lines_of(ladder / "runs" / "basic" / "packed" / f"seed-{seed}", "eval"))
        for seed in range(3)
    ]
    assert row_of(table, "Lowest loss on the curve")[1] == f"{np.mean(bests):.3f} packed, mean of 3 seeds"
    health = row_of(table, "Health")[1].split("|")
    assert health[0].endswith("of 12 runs healthy")
    assert "baseline, seed 1: initial loss off, spike" in health[1]


def test_an_instability_is_a_row_of_its_own(twin: str) -> None:
    (row,) = [line for line in twin.splitlines() if "Instability" in line]
    assert "in `baseline`, seed 1" in row
    assert "↑ to" in row
    assert "cause not measured" in row


def test_an_instability_tells_what_left_its_level(view: LadderView) -> None:
    """A gradient that exploded under a loss that stayed where it was is no loss that is not finite."""
    tier = view.tiers[0]
    phase = tier.path[0]

    def found(kind: str, **evidence: float) -> FoundGroup:
        finding = Finding(
            kind=kind, scope="run", severity="failure", sentence="said", steps=(3, 7), evidence=evidence,
            alternatives=("a cause",), try_="an experiment",
        )  # fmt: skip
        return FoundGroup(tier.name, phase.name, kind, ((phase.runs[0], finding),))

    explosion, lost = found("gradient_explosion", peak=45.25), found("non_finite")
    spike = found("spike", peak=6.5)
    for groups, words in (
        ([explosion], "gradient norm \u2191 to 45.25"),
        ([explosion, spike], "\u2191 to 6.500"),
        ([explosion, lost], "not finite"),
        ([lost, spike], "\u2191 to 6.500"),
    ):
        assert row_of(timeline(tier, groups), "Instability")[2] == words


def test_padding_truncation_and_distinct_tokens(ladder: Path, view: LadderView) -> None:
    table = mechanism(view.tiers[0])
    assert table is not None
    info = json.loads((ladder / "runs" / "basic" / "init" / "seed-0" / "run.json").read_text())["layout"]
    cells = row_of(table, "init")
    assert cells[1] == f"{100 * info['padding_share']:.1f} %"
    assert cells[2] == f"{100 * info['truncated_share']:.1f} %"
    assert cells[3] == f"{info['distinct_story_tokens']:,}"


def test_every_completion_of_the_last_step_is_there(twin: str) -> None:
    for prompt in PROMPTS:
        assert twin.count(f"**{prompt} …**") >= 1
    assert "&lt;b&gt;the&lt;/b&gt;" in twin, "what a model writes is text, never markup"


def test_unfinished_runs_are_named_and_in_no_comparison(ladder: Path, twin: str) -> None:
    assert "`basic/cosine` seed 2: interrupted at step" in twin
    assert "11 of 12 runs finished" in twin


def test_missing_and_damaged_runs_stop_nothing(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", leave_out=(("basic", "init", 0),))
    (folder / "runs" / "basic" / "packed" / "seed-1" / "run.json").write_text("{")
    twin = render_markdown(make_document(read_ladder([folder])))
    assert "`basic/init` seed 0: not run yet" in twin
    assert "`basic/packed` seed 1:" in twin
    assert "is not valid JSON" in twin


def test_one_seed_gives_no_verdict(tmp_path: Path) -> None:
    view = read_ladder([write_ladder(tmp_path / "ladder", seeds=1)])
    twin = render_markdown(make_document(view))
    assert "**More than luck? Nobody can tell**: the recipes share one seed only." in twin
    assert "improved" not in twin.split("How to read the numbers")[0]
    assert all(each["evidence"]["verdict"] == "no verdict" for each in summary(view)["effects"])


def test_a_pair_that_comes_out_otherwise_is_named_with_its_numbers(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", cosine={"end": 4.5})
    view = read_ladder([folder])
    (line,) = summary(view)["out_of_order"]
    finals = {
        phase: np.mean(
            [lines_of(folder / "runs" / "basic" / phase / f"seed-{seed}", "eval")[-1]["val_loss"] for seed in range(3)]
        )
        for phase in ("init", "cosine")
    }
    assert "cosine was expected to have a lower loss than init" in line
    assert f"{finals['cosine']:.3f} against {finals['init']:.3f}" in line
    assert f"ended higher by {finals['cosine'] - finals['init']:.3f}" in line
    assert "cosine` is **worse** than `init`" in render_markdown(make_document(view))


def test_protocols_that_disagree_are_told(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", packed={"story_end": 4.9})
    assert "**depends on the protocol**" in render_markdown(make_document(read_ladder([folder])))


def test_tiers_are_ranked_at_context_128_and_only_on_one_ruler(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", tiers=("basic", "quality"), seeds=2)
    table = final_comparison(read_ladder([folder]))
    assert table is not None
    assert (row_of(table, "basic")[6], row_of(table, "quality")[6]) == ("2", "1")
    assert row_of(table, "basic")[1:3] == ["7.29M", "0.79M"]
    info = folder / "runs" / "quality" / "packed" / "seed-0" / "run.json"
    content = json.loads(info.read_text())
    content["rulers"]["stream_at_128"] = "another"
    info.write_text(json.dumps(content))
    table = final_comparison(read_ladder([folder]))
    assert table is not None
    assert {row_of(table, "basic")[6], row_of(table, "quality")[6]} == {"–"}
    assert "different rulers" in plain_text(table.notes[0])


def test_effects_across_rulers_have_no_verdict(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", packed={"rulers": "z"})
    effects = {each["evidence"]["after"]: each for each in summary(read_ladder([folder]))["effects"]}
    assert effects["packed"]["evidence"]["verdict"] == "no verdict"
    assert "rulers" in effects["packed"]["sentence"]
    assert effects["cosine"]["evidence"]["verdict"] == "improved"


def test_runs_without_a_ladder(tmp_path: Path) -> None:
    """Two folders of one recipe and seed that came out otherwise are told apart; one run alone makes a page too."""
    recipe = load_ladder("classic").recipe("basic", "packed", 0.02)
    for name, end in (("first", 3.0), ("second", 2.8)):
        write_run(tmp_path / name, recipe, end=end)
    ladder = read_ladder([tmp_path / "first", tmp_path / "second"])
    assert [phase.name for phase in ladder.tiers[0].phases] == ["packed", "packed (second)"]
    alone = make_document(read_ladder([tmp_path / "first"]))
    assert alone.title == "Run basic/packed"
    assert "> Validation loss **3.0" in render_markdown(alone)


def test_nothing_recorded_yet(tmp_path: Path) -> None:
    """A run that has not made its first step."""
    recipe = load_ladder("classic").recipe("basic", "packed", 0.02)
    write_run(tmp_path / "run", recipe, status="running")
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    (tmp_path / "run" / "samples.jsonl").write_text("")
    write_report([tmp_path / "run"], tmp_path / "report.html")
    assert "Nothing was measured yet" in (tmp_path / "report.md").read_text()


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "run.json").write_text('{"status": ')
    for path, words in (("absent", "does not exist"), ("empty", "has no log in it"), ("half", "not valid JSON")):
        with pytest.raises(InputError, match=words):
            write_report([tmp_path / path], tmp_path / "report.html")
    with pytest.raises(InputError, match=r"\.html"):
        write_report([tmp_path / "empty"], tmp_path / "report.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "half"]


def test_page_and_twin_hold_the_same_tables_and_sentences(ladder: Path, document: Document, tmp_path: Path) -> None:
    """Every cell and every paragraph of the document is in both."""
    import html

    out = tmp_path / "report.html"
    write_report([ladder], out)
    markup = out.read_text().split("<script")[0]
    page = html.unescape(re.sub(r"<[^>]+>", "", markup))
    twin = html.unescape(re.sub(r"<[^>]+>|[*`\\]|\[|\]\(#[^)]*\)", "", out.with_suffix(".md").read_text()))
    for text in texts_of(document):
        assert text in page, text
        assert text.replace("`", "") in twin, text


def texts_of(document: Document) -> list[str]:
    spans = [
        span
        for block in document.blocks
        for cells in (
            [cell for row in block.rows for cell in row.cells]
            if isinstance(block, Table)
            else [getattr(block, "text", ())]
        )
        for span in cells
    ]
    return [span.text.strip() for span in spans if span.text.strip() and "[" not in span.text and "*" not in span.text]


def test_anchors_lead_somewhere(twin: str) -> None:
    anchors = set(re.findall(r'<a id="([^"]+)">', twin))
    links = set(re.findall(r"\]\(#([^)]+)\)", twin))
    assert links
    assert links <= anchors


def test_extremes_keep_every_spike() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(15_000)
    values[7_321] = 50.0
    curve = record(values)
    from fabula.findings.facts import facts_of_run

    facts = facts_of_run(curve)
    assert facts.train_loss is not None
    small = extremes(facts.train_loss)
    assert len(small) <= 500
    assert small.values.max() == 50.0
    assert small.values.min() == values.min()
    assert (small.steps[0], small.steps[-1]) == (1, 15_000)


def test_smoothing_is_a_trailing_mean() -> None:
    from fabula.findings.facts import Curve

    values = np.arange(2_000.0)
    thick = smoothed(Curve("loss", np.arange(1.0, 2_001), values))
    assert thick.values[0] == 0.0, "the first value averages over itself"
    assert thick.values[-1] == pytest.approx(np.mean(values[-20:])), "1 % of 2,000 steps"


@pytest.mark.long
def test_the_main_figure_is_a_png(ladder: Path) -> None:
    assert main_figure([ladder])[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(InputError, match="tier"):
        main_figure([ladder], "absent")
