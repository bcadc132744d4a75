"""A table of a page as LaTeX (booktabs) and as CSV. Names in it hold anything, and none of it is a command there."""

import csv
import io
import re
import unicodedata

from fabula.record.wording import inert
from fabula.report.render.blocks import Rich, Span, Table
from fabula.study.inference.effect_words import MINUS

COMMANDS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\textasciigrave{}",
    "-": "-{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
"""Two hyphens in a row would become a dash; the straight quotation mark is in no font that every LaTeX has."""
SIGNS = {
    MINUS: r"\ensuremath{-}",
    "\N{PLUS-MINUS SIGN}": r"\ensuremath{\pm}",
    "\N{MIDDLE DOT}": r"\ensuremath{\cdot}",
    "\N{MULTIPLICATION SIGN}": r"\ensuremath{\times}",
    "\N{RIGHTWARDS ARROW}": r"\ensuremath{\rightarrow}",
    "\N{UPWARDS ARROW}": r"\ensuremath{\uparrow}",
    "\N{DOWNWARDS ARROW}": r"\ensuremath{\downarrow}",
    "\N{CHECK MARK}": r"\ensuremath{\surd}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}
NOT_IN_EVERY_FONT = "ÐðÞþ"
NUMBERS = re.compile(r"[-+]?\d[\d,.]*(e[-+]?\d+)?( %)?((; | to | / | · )|$)")
"""How a cell begins that holds a number or several."""
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet computes a cell that begins so (CSV injection, OWASP)."""


def latex(text: str) -> str:
    r"""`text` in LaTeX as it is. What its standard fonts have not is told by its number.

    >>> latex("50 % of a_b")
    '50 \\% of a\\_b'
    >>> latex("木")
    '[U+6728]'
    """
    return "".join(map(_letter, unicodedata.normalize("NFC", inert(text).replace("\n", " ").replace("\t", " "))))


def _letter(letter: str) -> str:
    if letter in COMMANDS:
        return COMMANDS[letter]
    if letter in SIGNS:
        return SIGNS[letter]
    latin = "\u00c0" <= letter <= "\u00ff" and letter.isalpha() and letter not in NOT_IN_EVERY_FONT
    return letter if letter.isascii() or latin else f"[U+{ord(letter):04X}]"


def as_latex(table: Table, title: str) -> str:
    """A tabular to \\input; numbers on the right, prose in columns that break."""
    num_wide = sum(column.wide for column in table.columns)
    wide = f"p{{{min(0.4, 0.7 / num_wide):.2f}\\linewidth}}" if num_wide else ""
    align = "".join("r" if column.numeric else wide if column.wide else "l" for column in table.columns)
    head = " & ".join(latex(column.name) for column in table.columns)
    rows = [
        " & ".join(_latex_cell(cell, column.wide) for cell, column in zip(row.cells, table.columns, strict=True))
        for row in table.rows
    ]
    lines = [
        f"% {inert(title)}".replace("\n", " "),
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"\toprule",
        rf"{head} \\",
        r"\midrule",
        *(rf"{row} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Rich, wide: bool) -> str:
    lines: list[list[str]] = []
    for span in cell:
        if span.own_line or not lines:
            lines.append([])
        lines[-1].append(_latex_span(span))
    told = ["".join(line).strip() for line in lines]
    # A cell that begins with [ would be read as the length behind the row before it.
    told = [f"{{}}{line}" if line.startswith(("[", "*")) else line for line in told if line] or [""]
    if len(told) == 1:
        return told[0]
    below_each_other = r" \\ ".join(told)
    return r" \newline ".join(told) if wide else rf"\shortstack[r]{{{below_each_other}}}"


def _latex_span(span: Span) -> str:
    text = latex(span.text)
    if not text.strip():
        return text
    if span.code:
        text = rf"\texttt{{{text}}}"
    return rf"\textbf{{{text}}}" if span.strong else text


def as_csv(table: Table) -> str:
    """Comma-separated, a line a row (RFC 4180); what stands on lines of its own in a cell is apart by a semicolon."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_csv_cell(column.name) for column in table.columns])
    for row in table.rows:
        writer.writerow([_csv_cell(_in_one_line(cell)) for cell in row.cells])
    return file.getvalue()


def _in_one_line(cell: Rich) -> str:
    text = "".join(f"; {span.text}" if span.own_line and span.text else span.text for span in cell)
    return text.removeprefix("; ").strip(" ")


def _csv_cell(text: str) -> str:
    """The minus of a keyboard, which programs read; no formula."""
    text = inert(text).replace(MINUS, "-").replace("\n", " ")
    return f"'{text}" if text.startswith(STARTS_A_FORMULA) and not NUMBERS.match(text) else text
