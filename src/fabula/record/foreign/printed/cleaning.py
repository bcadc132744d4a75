"""Lines as a program printed them, without what terminals, launchers and loggers put around them."""

import re
from collections.abc import Iterator

from fabula.record.foreign.lines.table import is_split

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f]")
_RANK = re.compile(
    r"^[\[(<]?(?:[\w.-]+:)?(?:local_|global_)?(?:rank|default|gpu|worker|proc|process)"
    r"[\s=:_-]*(?P<rank>\d{1,9})\s*[\])>]?:?\s*"
    r"|^\[\d+,(?:mpirank:)?(?P<mpi>\d{1,9})(?:,[\w.-]+)?\]\s*<std(?:out|err)>:\s*"  # mpirun --tag-output
    r"|^\[pod/\S*?-(?P<pod>\d{1,4})/[^\]\s]*\]\s*"  # kubectl logs --prefix
    r"|^\(RayTrainWorker pid=(?P<ray>\d{1,9})[^()]*\)\s*"
    r"|^(?P<label>\d{1,4}):\s+(?=.*\b(?:step|iter|iteration|epoch)\b|\d+\s*/\s*\d+\s)",  # srun --label
    re.IGNORECASE,
)


_TIME = r"\[?(?:\d{4}[-/]\d\d[-/]\d\d|\d\d/\d\d(?:/\d+)?)?[T ]?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?"
_BEFORE = re.compile(
    rf"^(?:[IWEF]\d{{4}} [\d:.]+ +\d+ \S+:\d+\]|{_TIME}|\[?(?:INFO|DEBUG|WARNING|WARN|NOTICE)(?::[\w.]+:)?\]?"
    r"|[\w.<>]+:[\w.<>]+:\d+|[\w.]+ - (?=(?:INFO|DEBUG|WARNING)\b)"
    r"|\d+ - (?=[\w.]+ - .*\b(?:INFO|DEBUG|WARNING)\b)|[>|] |\[\d+\] (?=\d+/\d+\s))"
    r"\s*(?:[-|:]\s*)?(?=\S)",
)
"""What loggers put before a message, a piece at a time: a time, a level, a place in the code."""


_WIDE = str.maketrans("：＝，（）［］", ":=,()[]")
"""Signs as wide as a Chinese character."""
_NUMBERED = ((re.compile(r"第\s*(\d+)\s*步"), r" step \1 "), (re.compile(r"第\s*(\d+)\s*轮"), r" epoch \1 "))
_ELEMENT = re.compile(r"<(\w+)>\s*([^<>\s]+)\s*</\1>")
"""Of XML."""
_SINGLE = re.compile(r"(?<=\d)(\.\d+)f(-?\d+)(?!\w)")
"""Julia's numbers of single precision: `3.25f0`, `6.0f-4`."""
_LOST = re.compile(r"(?<![\w.])([-+]?)(?:(?:NaN|Inf)(?:32|16)|1\.#(?:QNAN|SNAN|IND|INF)\w*)\b")
"""Julia's, and those of older C libraries of Windows."""
_OBJECT = re.compile(r"^\{\s*['\"][^{}\r]*\n[^{}\r]*\}", re.MULTILINE)
"""A dictionary over several lines, as pprint and `json.dumps(..., indent=1)` print it: its step may stand last."""


_BOX = re.compile(r"^-{8,}\n(?:\|[^|\n]+\|[^|\n]*\|\n)+-{8,}$", re.MULTILINE)
"""A name and a number a line between rules, as the loggers of OpenAI print them."""


_ITEM = re.compile(r"^([ ]*)- [\w/.\"'-]+: [^\n]*(?:\n\1  [\w/.\"'-]+: [^\n]*)+", re.MULTILINE)
"""An item of a list in YAML, whose names stand in the order of the alphabet: the step below the loss."""


def _of_box(match: re.Match[str]) -> str:
    """A box as one line."""
    rows = (line.strip("| ").split("|") for line in match[0].split("\n")[1:-1])
    return " | ".join("=".join(cell.strip() for cell in row) for row in rows if len(row) == 2)


_LABEL = re.compile(r"\[(?P<inside>[A-Za-z][\w.-]*)\]\s|(?P<before>[A-Za-z][\w.-]*)\s+\|\s")
"""Of which service or run a line is: `[run_a] step 5`, and `trainer-1  | step 5` of docker compose."""
BEGINNING = 20_000
"""Characters in which each label of a log would stand."""


def lines_of(text: str) -> Iterator[tuple[int | None, str]]:
    """Rank of the process (None: the line does not say it) and text of each line; a progress bar drawn anew is one."""
    text = _OBJECT.sub(lambda match: " ".join(match[0].split()), text)
    text = _ITEM.sub(lambda match: " | ".join(map(str.strip, match[0].split("\n"))), text)
    if "\n| " in text and len(_BOX.findall(text)) > 1:
        text = _BOX.sub(_of_box, text)
    for line in re.split(r"[\r\n]+", text):
        cleaned = _ANSI.sub("", line).strip()
        if not cleaned.isascii():
            cleaned = cleaned.translate(_WIDE)
            for pattern, told in _NUMBERED:
                cleaned = pattern.sub(told, cleaned)
            cleaned = cleaned.strip()
        if "**" in cleaned or "`" in cleaned:
            cleaned = cleaned.replace("**", "").replace("`", "").strip()
        if "</" in cleaned:
            cleaned = _ELEMENT.sub(r" \1=\2 ", cleaned)
        if "f0" in cleaned or "f-" in cleaned:
            cleaned = _SINGLE.sub(r"\1e\2", cleaned)
        if "NaN" in cleaned or "Inf" in cleaned or "1.#" in cleaned:
            cleaned = _LOST.sub(r"\1nan", cleaned)
        if not cleaned:
            continue
        match = _RANK.match(cleaned)
        if match is not None:
            cleaned = cleaned[match.end() :]
        while before := _BEFORE.match(cleaned):
            cleaned = cleaned[before.end() :]
        yield None if match is None else int(match[match.lastgroup or 0]), cleaned


def labels_in(text: str) -> set[str]:
    """The labels before lines of `text`, where there are several."""
    found = {label_of(line) for _, line in lines_of(text[:BEGINNING])} - {""}
    found = {label for label in found if not is_split(label)}
    return found if len(found) > 1 else set()


def label_of(line: str) -> str:
    match = _LABEL.match(line)
    return "" if match is None else match["inside"] or match["before"]
