"""Numbers of a printed line whose unit says what they are: `12,345 tok/s`, `dt: 338.25ms`, `mem 10.2GB`."""

import re

from fabula.record.foreign.lines.machine import is_of_the_machine

_NUMBER = r"(?P<value>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?(?:e[-+]?\d+)?)"
_RATE = re.compile(
    rf"(?<![\w.,]){_NUMBER}\s*(?P<thousand>[kKM])?\s*(?P<what>tok(?:en)?s?|samples?|seqs?|it|steps?|iters?)\s?/\s?"
    r"(?:s|sec|second)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    rf"(?<![\w.,]){_NUMBER}\s*(?P<unit>ms|s|sec)\s?/\s?(?:it|iter|iteration|step|batch)\b", re.IGNORECASE
)
_NAMED = re.compile(
    rf"(?<![\w.])(?P<name>[A-Za-z][\w./]*(?:[ _][A-Za-z]\w*)?)\s*[:=]?\s*{_NUMBER}\s*(?P<unit>ms|[KMG]i?B)\b(?!\s?/)",
    re.IGNORECASE,
)
_FACTORS = {"k": 1e3, "m": 1e6, "g": 1e9, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1024.0, "mib": 1024.0**2}
_FACTORS |= {"gib": 1024.0**3, "ms": 1e-3, "s": 1.0, "sec": 1.0}
_HINTS = re.compile(r"/ ?s|/ ?it|/ ?step|ms\b|[kmg]i?b\b", re.IGNORECASE)


def machine_pairs(line: str) -> dict[str, str]:
    """Name -> number, in tokens (or steps) a second, seconds and bytes.

    >>> machine_pairs("step 5 | loss 3.2 | dt: 338.25ms | 12.3k tok/s | mem 2GB")
    {'tok_s': '12300', 'step_time': '0.33825', 'memory': '2e+09'}
    """
    if not _HINTS.search(line):
        return {}
    found: dict[str, str] = {}
    for match in _RATE.finditer(line):
        what = "tok_s" if match["what"].lower().startswith("tok") else "it_s"
        found.setdefault(what, _number(match["value"], match["thousand"] or "s"))
    for match in _TIME.finditer(line):
        seconds = float(_number(match["value"], match["unit"]))
        if seconds > 0:  # a progress bar changes from `it/s` to `s/it` where a step takes longer than a second
            found.setdefault("it_s", f"{1.0 / seconds:.6g}")
    for match in _NAMED.finditer(line):
        words, unit = match["name"].split(), match["unit"].lower()
        names = [" ".join(words[start:]) for start in range(len(words))]
        if unit == "ms" and any(is_of_the_machine(each) == "seconds_per_step" or each == "time" for each in names):
            found.setdefault("step_time", _number(match["value"], unit))
        elif unit != "ms" and any(is_of_the_machine(each) == "memory" for each in names):
            found.setdefault("memory", _number(match["value"], unit))
    return found


def _number(value: str, unit: str) -> str:
    return f"{float(value.replace(',', '')) * _FACTORS[unit.lower()]:.6g}"
