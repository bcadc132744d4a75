"""`name: value`, `name=value` and `name value` in a line, whatever stands around them."""

import re
from functools import lru_cache
from typing import Any

from fabula.record.content.parsing import json_value
from fabula.record.foreign.names import SYNONYMS, UNSURE, normalized

_NUMBER = r"(?>[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan\b|inf(?:inity)?\b))"
_WORD = r"[A-Za-z_\u00c0-\u024f\u0370-\uffdc][^\s:=|,;()\[\]{}<>\"'\u2501]*"
_PAIR = re.compile(
    rf"(?<![\w.])(?P<name>{_WORD}(?:[ \t]{_WORD}){{0,4}}?)[\"']?\s*[:=]?\s*(?:\w*\()?[\[\"']*"
    rf"(?P<value>{_NUMBER})(?P<short>[KMBGT](?!\w))?(?![\w%]|\.\d|:\d|-\d)(?:\s*/\s*(?P<total>\d[\d,]*)(?!\w))?",
    re.IGNORECASE,
)
_BAR = re.compile(
    r"\d+%\|[^|]*\|\s*(?P<done>\d[\d,.]*[kKM]?)/(?P<total>\d[\d,.]*[kKM]?)\s*(?=\[|$)"
    r"|(?P<kdone>^\d+)/(?P<ktotal>\d+)(?=\s)"
)
_FIRST = re.compile(
    r"^[\[(#\s]*(?P<done>\d+)(?:\s*/\s*(?P<total>\d+))?[\])]?\s*[|:,\-]?\s+(?=[A-Za-z])|^[\[(](?P<bdone>\d+)\s*/\s*(?P<btotal>\d+)[\])]"
)
_FRACTION = re.compile(r"(?<![\w/.])(?P<done>\d+)\s*/\s*(?P<total>\d+)(?![\w/.])")
_HELD_OUT = re.compile(
    r"(?<![\w/.-])(?:val|valid|validation|validating|eval|evaluation|evaluating|dev|test)(?![\w/-])", re.IGNORECASE
)  # a word by itself: not in lib/dev/run.py or test-3
_TRAINS = re.compile(r"(?<![\w])(?:train|training)(?![\w])", re.IGNORECASE)
_ASIDE = set("info debug warning error root main and with in at ms s sec it/s tok/s the".split())
"""Words before a name that are not of it: levels of loggers, and units of the number before."""
_FILLERS = {"is", "was", "of", "now", "->", "="}
"""Words between a name and its number."""
_SPLITS = set("train training validation valid validate val eval evaluation test dev results result".split())
_OF_OTHER_STEPS = set(
    "total max maximum num number of warmup per every eval evaluation save saving logging log accumulation remaining "
    "planned skipped decay gradient accum skip rampup for first last each best".split()
)
LONGEST = 4000
"""Characters of a line that are looked at: none that is longer was printed for people."""
COUNTERS = {name: place for place, name in enumerate(SYNONYMS["step"])}
"""Names of steps -> their order: that of optimizer updates comes first."""
EPOCHS = set(SYNONYMS["epoch"]) - {"epochs", "num_epoch"}
_QUANTITIES = "loss train_loss val_loss perplexity val_perplexity grad_norm learning_rate tokens".split()
MEASURED = {each: canonical for canonical in _QUANTITIES for each in SYNONYMS[canonical]}
BY_CONTEXT = {
    **dict.fromkeys(("loss", "avg_loss", "average_loss", "mean_loss", "nll_loss"), "val_loss"),
    **dict.fromkeys(("ppl", "perplexity"), "val_perplexity"),
}
"""What a name means on a line of an evaluation."""


def pairs_of(line: str, wanted: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Name -> number as it is written, of everything in `line` that looks so; `planned_steps` from `step 5/500`.

    Names are written as `normalized` does. On a line of an evaluation, `loss` is `val_loss`.
    """
    if '{"' in line and (found := _of_json(line)):
        return found
    line = line[:LONGEST]
    fields: dict[str, Any] = {}
    bar = _BAR.search(line) if "%|" in line or line[0].isdigit() else None
    if bar is not None:
        before = line[: bar.start()]
        if _HELD_OUT.search(before) or re.match(r"\s*(?:sanity|predict)", before, re.IGNORECASE):
            return {}
        fields["step"] = _plain(bar["done"] or bar["kdone"])
        fields["planned_steps"] = _plain(bar["total"] or bar["ktotal"])
        line = f"{before} | {line[bar.end() :]}"
    named: dict[str, Any] = {}
    planned = None
    outside, end = [], 0
    for match in _PAIR.finditer(line):
        outside.append(line[end : match.start()])
        end = match.end()
        name = _known(match["name"], wanted)
        value = match["value"] + (match["short"] or "")
        if (match["short"] and MEASURED.get(name) != "tokens") or (
            name in UNSURE & MEASURED.keys() and match["value"].isdecimal()
        ):
            continue  # `train 1792 in 4 s` is no loss
        if name in BY_CONTEXT and _is_evaluation(" ".join([*outside, match["name"]])):
            name = BY_CONTEXT[name]
        if name in COUNTERS and match["total"]:
            planned = _plain(match["total"]) if planned is None else planned
        named.setdefault(name, _plain(value) if name in COUNTERS or name in EPOCHS else value)
    fields |= named
    if planned is not None:
        fields["planned_steps"] = planned
    if not fields.keys() & (COUNTERS.keys() | wanted):
        if first := _FIRST.match(line):
            fields["step"] = first["done"] or first["bdone"]
            if total := first["total"] or first["btotal"]:
                fields["planned_steps"] = total
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
        if rest in MEASURED and before <= _ASIDE | _SPLITS:
            return rest
    return whole


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
        inner = each.items() if isinstance(each, dict) else [(None, each)]
        for below, number in inner:
            if isinstance(number, (int, float, str)) and not isinstance(number, bool):
                fields[normalized(key if below is None else f"{key}/{below}")] = number
    before = line[: line.index('{"')]
    if _is_evaluation(before):
        fields = {BY_CONTEXT.get(name, name): each for name, each in fields.items()}
    return fields


def _plain(number: str) -> str:
    return number.replace(",", "")
