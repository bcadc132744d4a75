"""Figures and tables of a page as files for a paper; names from logs and recipes are text there."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.report.synthetic import write_ladder

from fabula import cli
from fabula.errors import InputError
from fabula.recipe.ladder import load_ladder
from fabula.report import write_parts
from fabula.report.paper.tables import as_csv, as_latex, latex
from fabula.report.render.blocks import Column, Row, Table, code, quiet, rich, strong

NASTY = (
    r"\input{/etc/passwd}",
    "50 % of a_b & c # d $x^2$ {e} ~ f",
    "[2cm] first",
    "*star",
    "<b> | \"quoted\" `tick` -- 'x'",
    "日本語 \u202e ž ñ é ß Ð",
    "line\nbreak\tand tab \x1b[31m",
    "→ − ± · × – — … ✓ “x” ‘y’",
)
BOOKTABS = (
    r"\IfFileExists{booktabs.sty}{\usepackage{booktabs}}{\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}"
)
"""A small LaTeX has not even that package."""
TABLE = Table(
    (Column("Name_%"), Column("Value & more", numeric=True), Column("Said", wide=True)),
    tuple(
        Row((rich(strong(name)), rich("−0.034", quiet("−0.05 to −0.02", own_line=True)), rich(code(name), ", so")))
        for name in NASTY
    ),
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("paper")
    classic = load_ladder("classic")
    short = classic.model_copy(update={"phases": classic.phases[:2]})
    write_ladder(place / "ladder", seeds=2, scale=0.004, ladder=short)
    write_parts([place / "ladder"], place / "parts")
    return place / "parts"


def test_every_figure_and_table_is_a_file_by_the_name_of_what_it_holds(parts: Path) -> None:
    names = {file.name for file in parts.iterdir()}
    for kind, endings in (("figure-basic-val", "svg pdf"), ("figure-basic-effects", "svg pdf"),
                          ("table-timeline-basic", "tex csv"), ("table-effects-basic", "tex csv")):  # fmt: skip
        assert {f"{kind}.{ending}" for ending in endings.split()} <= names
    index = (parts / "index.md").read_text(encoding="utf-8")
    assert all(f"({name})" in index for name in names - {"index.md"})


def test_a_picture_stands_by_itself(parts: Path) -> None:
    """In colours rather than the page's variables, with legend and unit; the PDF is one."""
    drawn = (parts / "figure-basic-val.svg").read_text(encoding="utf-8")
    assert "var(--" not in drawn
    assert all(f">{word}<" in drawn for word in ("baseline", "init", "nats per token"))
    assert (parts / "figure-basic-val.pdf").read_bytes().startswith(b"%PDF-")


def test_a_csv_has_the_cells_of_the_table() -> None:
    head, *rows = csv.reader(io.StringIO(as_csv(TABLE)))
    assert head == ["Name_%", "Value & more", "Said"]
    assert len(rows) == len(NASTY)
    assert {row[1] for row in rows} == {"-0.034; -0.05 to -0.02"}
    assert rows[1][0] == NASTY[1]
    assert rows[4][0] == NASTY[4]


@pytest.mark.parametrize(
    ("said", "cell"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-x", "'-x"),
     ("−0.05", "-0.05"), ("+0.003", "+0.003"), ("-12.5 %", "-12.5 %"), ("-1+cmd|'x'!A0", "'-1+cmd|'x'!A0"),
     ("-0.059 to -0.024", "-0.059 to -0.024")],
)  # fmt: skip
def test_a_cell_is_no_formula(said: str, cell: str) -> None:
    table = Table((Column("x"),), (Row((rich(said),)),))
    assert list(csv.reader(io.StringIO(as_csv(table))))[1] == [cell]


def test_no_name_is_a_command_in_latex() -> None:
    for name in NASTY:
        told = latex(name)
        assert "\\input" not in told
        assert "\n" not in told
    assert latex(NASTY[1]) == (r"50 \% of a\_b \& c \# d \$x\textasciicircum{}2\$ \{e\} \textasciitilde{} f")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not here")
def test_the_tables_compile(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "nasty.tex").write_text(as_latex(TABLE, "50 % of \\them\nand more"), encoding="utf-8")
    tables = [tmp_path / "nasty.tex", *sorted(parts.glob("*.tex"))]
    body = "\n\n".join(f"\\input{{{table}}}" for table in tables)
    (tmp_path / "paper.tex").write_text(
        f"\\documentclass{{article}}\n{BOOKTABS}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    )
    made = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout[-2000:]


def test_a_folder_that_holds_something_else_is_left_alone(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        write_parts([parts.parent / "ladder"], tmp_path)
    with pytest.raises(InputError, match="there is a file by that name"):
        write_parts([parts.parent / "ladder"], tmp_path / "mine.txt")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_what_an_earlier_call_wrote_goes(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fabula.report.render.page.chart_program", lambda: "the chart library")
    shutil.copytree(parts, tmp_path / "parts")
    (tmp_path / "parts" / "table-effects-of-a-phase-that-went.csv").write_text("old")
    run = parts.parent / "ladder" / "runs" / "basic" / "init" / "seed-0"
    code = cli.run(["report", str(run), "--out", str(tmp_path / "r.html"), "--to", str(tmp_path / "parts")])
    assert code == 0
    assert "files of figures and tables" in capsys.readouterr().out
    names = {file.name for file in (tmp_path / "parts").iterdir()}
    assert "table-effects-of-a-phase-that-went.csv" not in names
    assert not any(name.startswith("table-timeline") for name in names), "one run has no timeline"
    assert any(name.endswith(".pdf") for name in names)
