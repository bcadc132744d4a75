"""Columns of a log that look inside the model: `grad_norm/layers.0.attn.weight`, `max_attention_logit`, `dead_neurons`.

They become looks as internals.jsonl has them: a list a quantity, a value a layer. What is logged a parameter is put
together a layer; what is logged of the whole model counts as one layer.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fabula.record.content.columns import Columns
from fabula.record.foreign.lines.numbers import is_missing, is_number
from fabula.record.foreign.names import WRAPPING, normalized
from fabula.record.foreign.notes import Note, note

_PART = r"(?:_(?:share|frac|fraction|ratio|rate|pct|percent|percentage|perc))?"
_ATTENTION = r"(?:attention|attn|qk|query_key)"
QUANTITIES = {
    "grad_norm": r"(?:l2_)?grad(?:ient)?s?_(?:(?:l2|2|2_0)_)?norms?|l2_norm_grad(?:ient)?s?|grad(?:ient)?norms?|gnorms?"
    # wandb.watch's `gradients/h.0.mlp.weight`, histograms read as norms; `grad/blocks.0.w.norm`
    r"|norm_(?:of_)?grad(?:ient)?s?|gradients?|grads?(?=_.+_norm$)",
    "update_ratio": r"(?:update|upd)s?_(?:(?:to|over|per)_)?(?:weight|param|parameter|data)s?(?:_norm)?(?:_ratio)?"
    r"|(?:update|upd)s?_ratios?|(?:log10_|log_)?ud(?:_ratio)?|(?:relative|rel)_updates?(?:_norm|_size)?"
    r"|(?:weight|param)_update_ratio",
    "update_norm": r"(?:l2_norm_)?updates?_norms?|l2_norm_updates?",
    "weight_norm": r"(?:l2_norm_)?(?:param|parameter|weight)s?_norms?|l2_norm_(?:param|parameter|weight)s?",
    "unchanged": rf"unchanged(?:_weights?)?{_PART}|weights?_unchanged{_PART}|zero_updates?{_PART}",
    "dead_units": rf"(?:dead|inactive|dormant)_(?:neuron|unit|relu|activation)s?{_PART}"
    r"|(?:share|frac|fraction|ratio|pct|percent|percentage)_(?:of_)?dead(?:_(?:neuron|unit|relu|activation)s?)?"
    rf"|dead{_PART}",
    "attention_logit": rf"(?:max|largest|maximum)_{_ATTENTION}(?:_(?:logit|score|value)s?)?"
    rf"|{_ATTENTION}_(?:max_)?(?:logit|score)s?(?:_(?:max|abs_max|absmax|maximum))?|{_ATTENTION}_max"
    r"|(?:max|largest|maximum)_(?:logit|score)s?(?=_layer|_block|_h_)",
}
"""What it is -> its names as `normalized` writes them; around them stands which layer or parameter it is of."""
_NAMED = {what: re.compile(rf"(?:^|_)(?:{names})(?:(?=_)|$)") for what, names in QUANTITIES.items()}
_LAYER = re.compile(
    r"(?:^|_)(?P<stack>(?:encoder|decoder|vision|text)_)?(?:\w*?_)??"
    r"(?:layers?|blocks?|blk|h|l|resblocks?)_?(?P<number>\d+)(?:_|$)"
)
_NUMBER_ALONE = re.compile(r"^_*(?P<number>\d+)_*$")
_ENDS = re.compile(
    r"(?:^|_)(?:emb|embed|embeddings?|embedder|wte|wpe|lm_head|head|unembed|ln_f|final\w*|output)(?:_|$)"
)
_NOT_IT = set("min std var median clip clipped after count histogram hist param_groups".split())
"""Other numbers of a layer's gradient than its norm."""
_OF_ALL = set("total global all model mean avg average max maximum overall train training optim".split())
WHOLE = "whole"
FEW_LOOKS = 400
"""A log with a line a step would have a look a step: of so many each is as good as the one beside it, and three in a
row would be three steps."""


@dataclass(frozen=True)
class Seen:
    """One column: what it is, of which layer (None: of the whole model), of which part of it."""

    what: str
    layer: tuple[str, int] | None
    part: str


def seen_in(name: str) -> Seen | None:
    """What the name of a column says of the inside of a model.

    >>> seen_in("grad_norm/model.layers.3.mlp.up_proj.weight")
    Seen(what='grad_norm', layer=('', 3), part='mlp_up_proj_weight')
    >>> seen_in("layer_0/max_attn_logit").layer
    ('', 0)
    >>> seen_in("max_attention_logit").layer
    >>> seen_in("grad_norm")
    """
    short = WRAPPING.sub("", normalized(name))
    for what, pattern in _NAMED.items():
        if match := pattern.search(short):
            return _of(what, short[: match.start()], short[match.end() :])
    return None


def _of(what: str, before: str, behind: str) -> Seen | None:
    rest = "_".join(each.strip("_") for each in (before, behind) if each.strip("_"))
    words = set(rest.split("_"))
    if words & _NOT_IT:
        return None
    if match := _LAYER.search(rest) or _NUMBER_ALONE.match(rest):
        stack = (match.groupdict().get("stack") or "").strip("_")
        return Seen(what, (stack, int(match["number"])), rest[match.end() :].strip("_"))
    if what in ("grad_norm", "update_norm", "weight_norm") or _ENDS.search(rest):
        return None  # that of the whole model is a curve of its own; embeddings differ from layers in sound runs too
    return Seen(what, None, "") if words - {""} <= _OF_ALL else None


def columns_inside(cells: Mapping[str, Any], taken: Collection[str]) -> dict[str, list[str]]:
    """`grad_norm/3` (quantity and place of the layer) -> the columns that it is put together from.

    Layers of which other parts are logged than of the others cannot be compared: their common parts are read, and
    without any the quantity is left out.
    """
    found: dict[str, dict[Any, dict[str, str]]] = {}
    for name in cells:
        if name not in taken and (seen := seen_in(name)) is not None:
            found.setdefault(seen.what, {}).setdefault(seen.layer, {}).setdefault(seen.part, name)
    chosen: dict[str, list[str]] = {}
    for what, layers in found.items():
        numbered = {layer: parts for layer, parts in layers.items() if layer is not None}
        if not numbered:
            chosen[f"{what}/{WHOLE}"] = list(layers[None].values())
            continue
        common = set.intersection(*map(set, numbered.values()))
        for layer in sorted(numbered):
            if columns := [name for part, name in numbered[layer].items() if part in common]:
                chosen[f"{what}/{layer[0]} {layer[1]}".replace("/ ", "/")] = columns
    return chosen


def inside_of(cells: Mapping[str, Any], taken: Collection[str], told: list[Note]) -> Columns:
    """Columns by quantity and layer, a value a line: NaN where a line has none, infinity where it is not finite."""
    readable = {name: given for name, given in cells.items() if seen_in(name) is not None and _all_numbers(given)}
    chosen = columns_inside(readable, taken)
    columns: Columns = {}
    for name, given in chosen.items():
        what = name.partition("/")[0]
        values = _together(what, np.array([_values(what, each, readable[each]) for each in given]))
        if values is not None and (what != "grad_norm" or (values[~np.isnan(values)] != 0).any()):
            columns[name] = values  # a layer without any gradient from first to last was frozen on purpose
    for name in [each for each in columns if each.startswith("update_norm/")]:
        weights = columns.get(name.replace("update_norm", "weight_norm"))
        if weights is not None:
            columns.setdefault(name.replace("update_norm", "update_ratio"), _over(columns[name], weights))
    columns = {name: values for name, values in columns.items() if not name.startswith(("update_norm", "weight_norm"))}
    _tell(columns, told)
    return columns


def _all_numbers(cells: Iterable[Any]) -> bool:
    there = [cell for cell in cells if not is_missing(cell)]
    return bool(there) and not any(isinstance(cell, bool) or not is_number(cell) for cell in there)


def _values(what: str, name: str, cells: Any) -> np.ndarray:
    values = np.array([np.nan if is_missing(cell) else float(cell) for cell in cells])
    written = np.array([not is_missing(cell) for cell in cells])
    finite = values[np.isfinite(values)]
    percent = re.search(r"pct|perc", normalized(name)) or "%" in name
    if what == "update_ratio" and (finite < 0).any():
        values = 10.0**values  # Karpathy's plots have its logarithm to the base of 10
    elif what in ("dead_units", "unchanged"):
        if percent or ((finite > 1).any() and (finite != np.floor(finite)).any() and finite.max() <= 100):
            values = values / 100.0
        elif (finite > 1).any() or ((finite == np.floor(finite)).all() and not _says_share(name) and finite.any()):
            values = np.full(len(values), np.nan)  # a number of units says nothing where their number is not known
            written = np.zeros(len(values), dtype=bool)
    elif what == "attention_logit":
        values = np.abs(values)
    return np.where(written & ~np.isfinite(values), np.inf, values)


def _says_share(name: str) -> bool:
    return re.search(r"share|frac|ratio|rate", normalized(name)) is not None


def _together(what: str, values_CN: np.ndarray) -> np.ndarray | None:
    """One value a line from those of all columns, where any has one."""
    if np.isnan(values_CN).all():
        return None
    empty = np.isnan(values_CN).all(axis=0)
    if what in ("grad_norm", "update_norm", "weight_norm"):
        made = np.sqrt(np.nansum(values_CN**2, axis=0))
    else:
        there = np.where(np.isnan(values_CN), -np.inf, values_CN)
        number = np.maximum((~np.isnan(values_CN)).sum(axis=0), 1)
        made = there.max(axis=0) if what == "attention_logit" else np.nansum(values_CN, axis=0) / number
    result: np.ndarray = np.where(empty, np.nan, made)
    return result


def _over(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(len(above), np.nan), where=np.isfinite(below) & (below > 0))


def _tell(columns: Columns, told: list[Note]) -> None:
    layers = list(dict.fromkeys(name.partition("/")[2] for name in columns))
    whats = list(dict.fromkeys(name.partition("/")[0] for name in columns))
    if not columns:
        return
    words = ", ".join(f"`{what}`" for what in whats)
    numbered = [each for each in layers if each != WHOLE]
    of = f"of {len(numbered)} layers" if numbered else "of the model as a whole"
    told.append(note("looks_inside", what=words, of=of))


def looks_of(columns: Columns) -> list[dict[str, Any]]:
    """The lines of internals.jsonl that `columns` of `inside_of` make, with the steps of its "step"; `layers` has the
    names of the layers for each quantity, as the log counts them. At most FEW_LOOKS, spread over the log."""
    names = [name for name in columns if "/" in name]
    if not names:
        return []
    there = np.zeros(len(columns["step"]), dtype=bool)
    for name in names:
        there |= ~np.isnan(columns[name])
    steps, at = np.unique(columns["step"][there][::-1], return_index=True)
    places = np.flatnonzero(there)[::-1][at]  # of a step that was made twice the later counts
    if len(places) > FEW_LOOKS:
        kept = np.unique(np.linspace(0, len(places) - 1, FEW_LOOKS).round().astype(int))
        steps, places = steps[kept], places[kept]
    by_what: dict[str, list[str]] = {}
    for name in names:
        by_what.setdefault(name.partition("/")[0], []).append(name)
    layers = {what: [name.partition("/")[2] for name in given] for what, given in by_what.items()}
    looks = []
    for step, place in zip(steps, places, strict=True):
        seen = {what: np.array([columns[name][place] for name in given]) for what, given in by_what.items()}
        values = {what: [*map(_finite, each)] for what, each in seen.items() if not np.isnan(each).all()}
        looks.append({"step": int(step), "layers": layers, **values})
    return looks


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
