"""A page is made anew from its records: a digit changed by hand is found wherever it stands."""

import base64
import builtins
import gzip
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.coherence.judge.simulated import good
from tests.report.evaluated import evaluate
from tests.report.synthetic import write_ladder, write_run

from fabula import cli
from fabula.errors import InputError
from fabula.recipe import load_recipe
from fabula.recipe.ladder import load_ladder
from fabula.recipe.scaling import with_steps
from fabula.record.files import write_json
from fabula.record.live.stamp import OF_A_RUN
from fabula.report import write_report
from fabula.report.checking.origin import checksums
from fabula.report.checking.verify import compare_pages, compare_twins, verify_report
from fabula.report.document import make_document
from fabula.study import read_ladder


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two phases of a ladder with its page inside, one run with a spike."""
    classic = load_ladder("classic")
    short = classic.model_copy(update={"phases": classic.phases[:2]})
    place = tmp_path_factory.mktemp("verify") / "ladder"
    odd = " a\rb \x0c 日本 <b>&amp; | `x`\r\nand\u2028 more"  # what an untrained model writes
    write_ladder(place, seeds=2, scale=0.01, ladder=short, init_1={"bump": (80, 100, 2.0)}, init={"tail": odd})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fabula.report.render.page.chart_program", lambda: "the chart library, a megabyte otherwise")
        write_report([place], place / "report.html")
        yield place


@pytest.fixture(scope="module")
def page(ladder: Path) -> str:
    return (ladder / "report.html").read_text(encoding="utf-8")


def changed(text: str, after: str, start: str = "") -> str:
    """`text` with the first digit behind the pattern `after` (behind `start`) made another."""
    begin = text.index(start) if start else 0
    found = re.compile(after + r"[^<>]*?(\d)", re.DOTALL).search(text, begin)
    assert found, f"nothing like {after} on the page"
    at = found.start(1)
    return f"{text[:at]}{(int(text[at]) + 5) % 10}{text[at + 1 :]}"


def with_data_changed(text: str, change: Callable[[dict], None]) -> str:
    """The page with its packed figure data unpacked, changed and packed again."""
    packed = re.search(r'id="packed">([^<]*)<', text)
    assert packed
    data = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    change(data)
    again = base64.b64encode(gzip.compress(json.dumps(data).encode(), mtime=0)).decode()
    return text[: packed.start(1)] + again + text[packed.end(1) :]


def bent_curve(data: dict) -> None:
    data["curves"]["basic"][0]["curves"]["val"]["y"][3] += 0.01


def bent_interval(data: dict) -> None:
    rows = next(entry["rows"] for entry in data["specs"].values() if "rows" in entry)
    next(row for row in rows if row["part"] == "mean")["low"] -= 0.001


PLACES: dict[str, tuple[Callable[[str], str], str]] = {
    "the title": (lambda text: text.replace("Ladder classic", "Ladder classic 2", 1), "the top of the page"),
    "the subtitle": (lambda text: changed(text, 'class="subtitle">'), '"Ladder classic"'),
    "a sentence of the first screen": (lambda text: changed(text, "<p[^>]*>", '<div class="answer">'), "a sentence"),
    "a heading": (lambda text: changed(text, '<h2 id="tier-basic">'), "MODEL"),
    "a cell": (
        lambda text: changed(text, '<td class="number"[^>]*><div><strong>', "Timeline of improvements"),
        'row "baseline", column "Validation loss at the end"',
    ),
    "a seed's value in a cell": (lambda text: changed(text, '<span class="quiet">', "Timeline"), 'row "baseline'),
    "a caption": (lambda text: changed(text, '<p class="note">', '<figure id="figure-basic-train'), "figure"),
    "a label of a drawing": (lambda text: changed(text, "<text[^>]*>", "<svg"), "its drawing"),
    "the lines of a drawing": (lambda text: changed(text, ' d="M', "<svg"), "its drawing"),
    "a point of a curve": (lambda text: with_data_changed(text, bent_curve), 'basic, baseline, seed 0, curve "val"'),
    "an interval that is drawn": (lambda text: with_data_changed(text, bent_interval), 'figure "Effects", its data'),
    "the evidence of a finding": (lambda text: changed(text, '<p class="quiet">Evidence'), "a sentence"),
    "the explanation of a word": (lambda text: changed(text, 'aria-description="[^"]*', "<main"), '"'),
    "a hash": (lambda text: changed(text, "<code>", "text hash of"), 'column "Value"'),
    "the last line": (lambda text: changed(text, "<footer>"), "the last line"),
}


@pytest.mark.parametrize("what", PLACES)
def test_a_digit_that_was_changed_is_found_and_its_place_named(what: str, page: str) -> None:
    change, where = PLACES[what]
    found = compare_pages(change(page), page).differences
    assert len(found) == 1
    assert where in found[0].where
    assert found[0].page != found[0].records


def test_a_page_that_was_not_touched_says_what_its_records_say(ladder: Path) -> None:
    for name in ("report.html", "report.md"):
        told = verify_report(ladder / name)
        assert told.holds
        assert not told.notes
        assert told.compared.num_numbers > 200


def test_a_digit_of_the_twin_is_found_by_row_and_column(ladder: Path) -> None:
    twin = (ladder / "report.md").read_text(encoding="utf-8")
    row = next(line for line in twin.splitlines() if line.startswith("| **init**"))
    found = compare_twins(twin.replace(row, row.replace("3.", "2.", 1), 1), twin).differences
    assert len(found) == 1
    assert 'row "init", column "' in found[0].where
    assert found[0].page[0] == "2"
    assert found[0].records[0] == "3"


def test_what_was_added_or_cut_out_is_found_and_the_rest_is_not_accused(page: str) -> None:
    (item, *_) = re.findall(r"<p class=\"quiet\">Evidence[^<]*</p>", page)
    less = compare_pages(page.replace(item, "", 1), page).differences
    more = compare_pages(page.replace(item, f"{item}<p>and 7 more</p>", 1), page).differences
    assert [each.page for each in less] == [""]
    assert [(each.page, each.records) for each in more] == [("and 7 more", "")]


def test_figure_data_that_cannot_be_unpacked_are_one_difference(page: str) -> None:
    (found,) = compare_pages(page.replace('id="packed">H4', 'id="packed">H5', 1), page).differences
    assert "packed data of the figures" in found.where


def test_page_and_records_move_together_and_a_record_that_changed_is_named(
    ladder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "else where" / "l"
    shutil.copytree(ladder, moved)
    monkeypatch.chdir(moved)
    assert cli.run(["verify", "report.md"]) == 0
    run = moved / "runs" / "basic" / "init" / "seed-0"
    samples = (run / "samples.jsonl").read_text().replace("cat", "9 cats")
    (run / "samples.jsonl").write_text(samples)
    capsys.readouterr()
    assert cli.run(["verify", "report.md", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["path"] for each in told["records"] if each["state"] == "changed"] == ["runs/basic/init/seed-0"]
    assert told["differences"]
    shutil.rmtree(run)
    assert cli.run(["verify", "report.md"]) == 1
    assert "record not there: runs/basic/init/seed-0" in capsys.readouterr().out


def test_every_file_that_a_page_is_made_from_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a check of it tells a record that has changed, and a live page that it is another one."""
    run = tmp_path / "run"
    write_run(run, with_steps(load_recipe("basic/packed"), 60), every=20)
    evaluate(run, 60, 0.5, good())
    (run / "internals.jsonl").write_text('{"step": 20}\n')
    asked: set[str] = set()
    truly = open

    def opened(path: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(path, (str, Path)) and Path(path).parent == run:
            asked.add(Path(path).name)
        return truly(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", opened)
        patched.setattr(io, "open", opened)  # by which a path opens itself
        ladder = read_ladder([run])
        make_document(ladder)
    assert {name.removesuffix(".gz") for name in asked} == set(OF_A_RUN)
    sums = {json.dumps(checksums(ladder, [run], tmp_path / "page.html"))}
    for name in OF_A_RUN:
        (run / name).write_text("changed")
        sums.add(json.dumps(checksums(ladder, [run], tmp_path / "page.html")))
    assert len(sums) == 1 + len(OF_A_RUN)


def test_records_that_moved_away_are_asked_for(ladder: Path, tmp_path: Path) -> None:
    shutil.copytree(ladder, tmp_path / "l")
    page = tmp_path / "l" / "report.md"
    text = page.read_text().replace('"path":"."', '"path":"l"')
    page.write_text(text.replace('"runs/', '"l/runs/').replace('"ladder.', '"l/ladder.'))
    page = page.rename(tmp_path / "report.md")
    (tmp_path / "l").rename(tmp_path / "m")
    with pytest.raises(InputError, match=r"are not at .*/l; say where they are now with --records"):
        verify_report(page)
    assert verify_report(page, [tmp_path / "m"]).holds


def test_a_page_of_another_version_says_so(ladder: Path, tmp_path: Path) -> None:
    shutil.copytree(ladder, tmp_path / "l")
    page = tmp_path / "l" / "report.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(re.sub('"version":"[^"]*"', '"version":"0.0.7"', text), encoding="utf-8")
    told = verify_report(page)
    assert told.holds
    assert "another version of fabula wrote it (0.0.7" in told.notes[0]


def test_logs_by_one_name_are_called_as_they_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is called by its path, as it was typed: in the page and in its anchors."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        lines = "".join(f"step {step}: loss {5 - 0.02 * step:.3f}\n" for step in range(100))
        (tmp_path / folder / "log.txt").write_text(lines)
    monkeypatch.chdir(tmp_path)
    write_report([Path("a/log.txt"), Path("b/log.txt")], Path("out/report.html"))
    assert "b/log.txt" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path / "a")
    assert verify_report(Path("../out/report.html")).holds


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("# Another page\n")
    write_json(tmp_path / "x.json", {})
    for path, problem in (
        (other, "does not say what it was made from"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.html", "does not exist"),
    ):
        with pytest.raises(InputError, match=problem):
            verify_report(path)
