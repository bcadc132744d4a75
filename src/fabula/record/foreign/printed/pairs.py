"""`name: value`, `name=value` and `name value` in a line, whatever stands around them."""

import re
from functools import lru_cache
from typing import Any

from fabula.record.content.parsing import json_value
from fabula.record.foreign.abroad import HELD_OUT
from fabula.record.foreign.lines.numbers import is_number
from fabula.record.foreign.names import SYNONYMS, UNSURE, normalized

_NUMBER = (
    r"(?>[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+,\d+(?:[eE][-+]?\d+)?(?![\w.]|,\d)"  # 1,000 or 2,5
    r"|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan\b|inf(?:inity)?\b))"
)
_WORD = r"[A-Za-z_\u00c0-\u024f\u0370-\u1fff\u2c00-\uffdc][^\s:=|,;()\[\]{}<>\"'\u2500-\u259f]{0,59}"
"""Longer words are no names: of thousands of letters without a blank between, each would be tried as a beginning."""
_REMARK = r"(?P<remark>\([A-Za-z](?![^()]*(?:bit|\de-?\d))[^()\[\]{}:=|,;]{0,30}\))"
"""Behind a name: `LR (group 0)`, `Epoch(train)`. Bits are no nats, and a factor is not known here."""
_PAIR = re.compile(
    rf"(?<![\w./])(?P<name>{_WORD}(?: {_WORD}){{0,4}}?)[\"']?(?:\s*{_REMARK}(?=\s*[:=\[]))?"
    rf"\s*[:=]?\s*(?:#(?=\d))?(?P<call>\w*\()?[\[\"']*\s*"
    rf"(?<!\d)(?P<value>{_NUMBER})(?(call)(?!\)\s*[:=]))"  # `lr(1e-3): 0.5`; `step_10`
    rf"(?P<short>[KMBGT](?!\w))?(?![\w%]|\.\d|:\d|-\d)(?:\s*/\s*(?P<total>\d[\d,]*)(?!\w))?",
    re.IGNORECASE,
)
_BAR = re.compile(
    r"\d+%\|[^|]*\|\s*(?P<done>\d[\d,.]*[kKM]?)/(?P<total>\d[\d,.]*[kKM]?)\s*(?=\[|$)"
    r"|(?P<kdone>^\d+)/(?P<ktotal>\d+)(?=\s)"
    # of a length that is not known; as a log has it
    r"|(?<![\w.])(?P<idone>\d[\d.]*[kMG]?)it(?:/(?P<itotal>\d[\d.]*[kMG]?)it)?(?=\s*\[|\s+rate:)"
)
_LOST = re.compile(r"\b(?:nan|inf|infinity)\b", re.IGNORECASE)
_BARS = ("%|", "it [", "it/")
_FIRST = re.compile(
    r"^[\[(#\s]*(?P<done>\d+)(?:\s*/\s*(?P<total>\d+))?[\])]?\s*[|:,\-]?\s+(?=[A-Za-z])"
    r"|^[\[(](?P<bdone>\d+)\s*(?:/\s*(?P<btotal>\d+)|\|[^\[\]()]*)[\])]"  # [5/9], and [5 | 12.3] with a time
)
_FRACTION = re.compile(r"(?<![\w/.])(?P<done>\d+)\s*/\s*(?P<total>\d+)(?![\w/.])")
_HELD_OUT = re.compile(
    r"(?<![\w/.-])(?:val|valid|validate|validation|validating|eval|evaluation|evaluating|dev|test"
    rf"|{HELD_OUT})(?![\w/-])",
    re.IGNORECASE,
)  # a word by itself: not in lib/dev/run.py or test-3
_TRAINS = re.compile(r"(?<![\w])(?:train|training)(?!\w|/[\w/]*\.\w)", re.IGNORECASE)
_LEVELS = {"info", "debug", "warning", "error"}
_ASIDE = _LEVELS | set("root main and with in at ms s sec it/s tok/s tks/s samples/s the".split())
"""Words before a name that are not of it: levels of loggers, and units of the number before."""
_FILLERS = {"is", "was", "of", "now", "->", "="}
"""Words between a name and its number."""
_MEANS = set("average avg mean current minibatch mini-batch".split())
_SPLITS = set("train training validation valid validate val eval evaluation test dev results result".split())
_OF_OTHER_STEPS = set(
    "total max maximum num number of warmup per every eval evaluation save saving logging log accumulation remaining "
    "planned skipped decay gradient accum skip rampup for first last each best".split()
)
_PARTS = set("data sample samples example examples batches progress".split())
"""What is counted where no steps are: `data=28/140`."""
_PART_OF_ONE = re.compile(r"0?\.\d+|\d+\.(?:\d{1,2}|\d{4,})(?<!0)")
_TIMES = ("t", "s", "ms", "us", "sec", "seconds", "min")
_COUNTING = ("step", "iter", "iteration", "epoch")
LONGEST = 4000
"""Characters of a line that are looked at: none that is longer was printed for people."""
COUNTERS = {name: place for place, name in enumerate(SYNONYMS["step"])}
"""Names of steps -> their order: that of optimizer updates comes first."""
EPOCHS = set(SYNONYMS["epoch"]) - {"epochs", "num_epoch"}
_QUANTITIES = "loss train_loss val_loss perplexity val_perplexity grad_norm learning_rate tokens".split()
MEASURED = {each: canonical for canonical in _QUANTITIES for each in SYNONYMS[canonical]}
BY_CONTEXT = {
    **dict.fromkeys(("loss", "avg_loss", "average_loss", "mean_loss", "nll_loss", "nll", "ce"), "val_loss"),
    **dict.fromkeys(("ppl", "perplexity"), "val_perplexity"),
}
"""What a name means on a line of an evaluation."""


def pairs_of(line: str, wanted: frozenset[str] = frozenset(), counting: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Name -> number as it is written, of everything in `line` that looks so; `planned_steps` from `step 5/500`.
    `wanted`: names that were said to mean something, `counting` those of them that were said to count.

    Names are written as `normalized` does. On a line of an evaluation, `loss` is `val_loss`.
    """
    if '{"' in line and (found := _of_json(line)):
        return found
    line = line[:LONGEST]
    fields: dict[str, Any] = {}
    bar = _BAR.search(line) if line[0].isdigit() or any(sign in line for sign in _BARS) else None
    if bar is not None:
        before = line[: bar.start()]
        if _HELD_OUT.search(before) or re.match(r"\s*(?:sanity|predict)", before, re.IGNORECASE):
            ends = bar["done"] is not None and bar["done"] == bar["total"]
            return _named_so(pairs_of(f"| {line[bar.end() :]}", wanted), "val_loss") if ends else {}
        fields["step"] = _plain(bar["done"] or bar["kdone"] or bar["idone"])
        if total := bar["total"] or bar["ktotal"] or bar["itotal"]:
            fields["planned_steps"] = _plain(total)
        line = f"{before} | {line[bar.end() :]}"
    named: dict[str, Any] = {}
    planned = seen = None
    outside, end = [], 0
    for match in _PAIR.finditer(line):
        outside.append(line[end : match.start()])
        end = match.end()
        name = _known(match["name"], wanted)
        value = match["value"] + (match["short"] or "")
        counts = name in COUNTERS and match["short"] in tuple("kKM")
        if (match["short"] and MEASURED.get(name) != "tokens" and not counts) or (
            name in UNSURE & MEASURED.keys() and match["value"].isdecimal()
        ):
            outside.append(match[0])
            continue  # `train 1792 in 4 s` is no loss, nor is `train (1/30)`
        if name in _LEVELS:
            outside.append(match[0])  # `INFO: [10/400]`
            continue
        if name in COUNTERS and (_PART_OF_ONE.fullmatch(value) or (match["remark"] or "")[1:-1] in _TIMES):
            continue  # how long an `iter` or a `Batch (t)` took
        if name in BY_CONTEXT and _is_evaluation(said := " ".join([*outside, match["name"], match["remark"] or ""])):
            name = BY_CONTEXT[name]
            if all(word.lower() == "test" for word in _HELD_OUT.findall(said)):
                name = name.replace("val_", "test_")  # no validation loss where there is one
        if name.endswith(_COUNTING):
            # `valid step 5 loss 3.2`, `Iter(val) [20/20] loss: 3.2`
            outside.append(" ".join([*match["name"].split()[:-1], match["remark"] or ""]))
        if name in COUNTERS and match["total"]:
            planned = _plain(match["total"]) if planned is None else planned
        if match["total"] and name.rpartition("_")[2] in _PARTS:
            seen = {"step": _plain(match["value"]), "planned_steps": _plain(match["total"])}
        named.setdefault(name, _plain(value) if name in COUNTERS or name in EPOCHS else value)
    fields |= named
    if planned is not None:
        fields["planned_steps"] = planned
    if not fields.keys() & (COUNTERS.keys() | counting):
        if first := _FIRST.match(line):
            fields["step"] = first["done"] or first["bdone"]
            if total := first["total"] or first["btotal"]:
                fields["planned_steps"] = total
        elif seen is not None and not _is_evaluation(line):
            fields |= seen
        elif seen is not None and seen["step"].lstrip("0") != seen["planned_steps"].lstrip("0"):
            return {}  # a part of an evaluation
        elif fraction := next(filter(None, map(_FRACTION.search, [*outside, line[end:]])), None):
            fields |= {"step": fraction["done"], "planned_steps": fraction["total"]}
    return fields


@lru_cache(maxsize=4096)
def _known(phrase: str, wanted: frozenset[str]) -> str:
    """The name in `phrase`, without the words before it that are not of it; of steps and epochs its last words."""
    words = re.split(r"[.!?]\s+", phrase)[-1].lower().split()
    while len(words) > 1 and words[-1] in _FILLERS:
        words.pop()
    whole = normalized(" ".join(words))
    if whole in wanted or whole in MEASURED or whole in COUNTERS or whole in EPOCHS:
        return whole
    for start in range(1, len(words)):
        rest = normalized(" ".join(words[start:]))
        before = set(words[:start])
        if rest in wanted:
            return rest
        if (rest in COUNTERS or rest in EPOCHS) and not before & _OF_OTHER_STEPS:
            return rest
        if rest in MEASURED and before <= _ASIDE | _SPLITS | _MEANS:
            return rest
    return whole


def _named_so(fields: dict[str, Any], canonical: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if MEASURED.get(name) == canonical}


def has_numbers(line: str) -> bool:
    """Whether there is a number in `line`, or what was one: `loss: nan`."""
    return any(map(str.isdigit, line)) or _LOST.search(line) is not None


def is_heading(line: str, fields: dict[str, Any]) -> bool:
    """Whether an evaluation begins below `line`, which measures nothing itself: `Running validation ...`."""
    return len(line) < 100 and MEASURED.keys().isdisjoint(fields) and _is_evaluation(line)


def of_evaluation(fields: dict[str, Any]) -> dict[str, Any]:
    """What was measured on a line below such a heading."""
    return {BY_CONTEXT.get(name, name): value for name, value in fields.items()}


def _is_evaluation(before: str) -> bool:
    return bool(_HELD_OUT.search(before)) and not _TRAINS.search(before)


def _of_json(line: str) -> dict[str, Any]:
    """The numbers of a JSON object that stands in a line behind other text."""
    try:
        value = json_value(line[line.index('{"') : line.rindex("}") + 1])
    except ValueError:
        return {}
    fields: dict[str, Any] = {}
    for key, each in value.items() if isinstance(value, dict) else ():
        if normalized(key) == "step" and not is_number(each):  # NVIDIA's DLLogger: `[3, 120]`, or `"PARAMETER"`
            fields |= {"epoch": each[0], "step": each[1]} if isinstance(each, list) and len(each) == 2 else {}
            continue
        inner = each.items() if isinstance(each, dict) else [(None, each)]
        for below, number in inner:
            if isinstance(number, (int, float, str)) and not isinstance(number, bool):
                fields[normalized(key if below is None else f"{key}/{below}")] = number
    before = line[: line.index('{"')]
    if _is_evaluation(before):
        fields = of_evaluation(fields)
    return fields


def _plain(number: str) -> str:
    return number.replace(",", "")
