"""A folder for a paper: figures as SVG and PDF, tables as LaTeX and CSV, and an index that says which is which."""

from collections.abc import Sequence
from pathlib import Path

import fabula
from fabula.errors import InputError
from fabula.record.files import make_folder, write_bytes, write_text
from fabula.record.text.markup import markdown, markdown_code
from fabula.report.figures.figures import point_rows, svg_for_paper
from fabula.report.figures.library import pdf_of
from fabula.report.paper.parts import Part, parts_of
from fabula.report.paper.tables import as_csv, as_latex
from fabula.report.render.blocks import Document, Figure, plain_text

INDEX = "index.md"
MADE = "Made by fabula "
ENDINGS = {"figure": ("pdf", "svg"), "table": ("tex", "csv")}


def write_paper(document: Document, folder: Path) -> list[Path]:
    """Write the parts of `document` into `folder`, and return what was written, the index first. What an earlier call
    wrote there goes.

    Raises InputError where the folder holds something else.
    """
    _clear(folder)
    make_folder(folder)
    parts = parts_of(document)
    files = [file for part in parts for file in _write(part, document, folder)]
    write_text(folder / INDEX, _index(document, parts))
    return [folder / INDEX, *files]


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"--to {folder}: there is a file by that name; name a folder")
    index = folder / INDEX
    ours = index.is_file() and MADE in index.read_text(encoding="utf-8", errors="replace")
    if not ours and any(folder.iterdir()):
        raise InputError(f"--to {folder}: the folder holds something else; name an empty one or a new one")
    for kind, endings in ENDINGS.items():
        for file in folder.glob(f"{kind}-*"):
            if file.suffix[1:] in endings:
                file.unlink()


def _write(part: Part, document: Document, folder: Path) -> list[Path]:
    def place(ending: str) -> Path:
        return folder / f"{part.name}.{ending}"

    if isinstance(part.shown, Figure):
        rows = list(part.shown.rows) or point_rows(document.curves[part.shown.group], part.shown.parts)
        drawn = svg_for_paper(part.shown.spec, rows)
        write_text(place("svg"), drawn)
        write_bytes(place("pdf"), pdf_of(drawn))
        return [place("svg"), place("pdf")]
    write_text(place("tex"), as_latex(part.shown, part.title))
    write_text(place("csv"), as_csv(part.shown))
    return [place("tex"), place("csv")]


def _index(document: Document, parts: Sequence[Part]) -> str:
    lines = [
        f"# {markdown(document.title)}: figures and tables",
        "",
        f"{MADE}{fabula.__version__} from the records alone: {markdown(document.subtitle)}.",
        "In LaTeX: `\\usepackage{booktabs,graphicx}`, then `\\input{NAME.tex}` or `\\includegraphics{NAME.pdf}`.",
        "",
        "| files | what they hold |",
        "| --- | --- |",
    ]
    for part in parts:
        endings = ENDINGS["figure" if isinstance(part.shown, Figure) else "table"]
        files = ", ".join(f"[{ending}]({part.name}.{ending})" for ending in endings)
        said = part.title
        if isinstance(part.shown, Figure):
            said = f"{part.shown.summary} {plain_text(part.shown.caption)}"
        lines.append(f"| {markdown_code(part.name, in_table=True)} {files} | {markdown(said)} |")
    return "\n".join(lines) + "\n"
