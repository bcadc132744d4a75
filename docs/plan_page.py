"""Writes the measured parts of plan.md: the law, what can be had in some time on the known machine, and its picture.

python docs/plan_page.py
"""

from __future__ import annotations

import json
import statistics
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import FAMILIES
from fabula.recipe.presets.shapes import in_size, multiplying
from fabula.record.wording import duration_text, number, plural
from fabula.report.figures.library import png_of
from fabula.study.frontier.choice import Candidate, best, expected, most_tokens, reach
from fabula.study.frontier.known import Knowledge, kept_runs, known_laws, most_known, priors_for
from fabula.study.frontier.law import fit
from fabula.train.machine.pace import known_speeds

PAGE = Path(__file__).parent / "plan.md"
FORETOLD = Path(__file__).parent / "measured" / "foretold.json"
"""What the law of 20 runs said of others: their final losses, and the ranges for four of five."""
CHOICES = tuple(Path(__file__).parent.glob("measured/choice-*.json"))
"""Of benchmarks/choice.py: sizes and rates at equal time, and what the law said of some before."""
PICTURE = Path(__file__).parent / "images" / "plan.png"
MINUTES = (1, 3, 10, 30, 60, 480)


def _knowledge(family: str = FAMILIES[0]) -> Knowledge:
    return most_known(family, load_recipe(family).model.context)


def times() -> str:
    """The best that is expected of some time of training alone, on the machine of speeds.toml."""
    knowledge = _knowledge()
    stories = f"{max(run.unique for run in knowledge.runs) / 1e6:.2g} M tokens of {knowledge.corpus}"
    lines = [
        f"On two idle cores without AVX-512, {stories}, without evaluations (in brackets: four of five runs):",
        "",
        "| training |" + "".join(f" `{family}`: layers x width | tokens | loss expected |" for family in FAMILIES),
        "|---:|" + "---|---:|---|" * len(FAMILIES),
    ]
    for minutes in MINUTES:
        best_of_each = [_best_in(minutes, family) for family in FAMILIES]
        if any(best_of_each):
            lines.append(f"| {duration_text(minutes * 60)} | {' | '.join(each or ' | | ' for each in best_of_each)} |")
    return "\n".join(lines)


def _best_in(minutes: float, family: str) -> str | None:
    """Three cells of the table; None where nothing is known of so much time."""
    knowledge, preset = _knowledge(family), load_recipe(family)
    unique = max(run.unique for run in knowledge.runs)
    within = reach(knowledge.frontier, unique)
    candidates = []
    for row in known_speeds():
        if row.family != family:
            continue
        recipe = in_size(preset, row.size)
        weights = multiplying(recipe.model, recipe.vocabulary)
        tokens, most = minutes * 60 / row.seconds * row.positions, most_tokens(knowledge.frontier, weights, unique)
        if within.holds(weights, min(tokens, most.tokens)):
            cut = tokens > most.tokens
            candidates.append(Candidate(row.size, weights, min(tokens, most.tokens), minutes * 60, cut))
    if not candidates or all(each.cut for each in candidates):
        return None
    chosen = best(knowledge.frontier, candidates, unique)
    told = expected(knowledge.frontier, chosen.parameters, chosen.tokens, unique)
    return (
        f"{chosen.size.layers} x {chosen.size.width} | {chosen.tokens / 1e6:.2f} M | "
        f"{told.loss:.2f} ({told.low:.2f} to {told.high:.2f})"
    )


def law() -> str:
    """The numbers of each law, and how well each run is foretold by the others."""
    return "\n\n".join(map(_law_of, known_laws()))


def _law_of(knowledge: Knowledge) -> str:
    law, runs = knowledge.frontier.law, knowledge.runs
    priors = priors_for(runs)
    errors = []
    for left in runs:
        of_others = fit([run.point for run in runs if run is not left], priors)
        errors.append(abs(of_others.loss(left.parameters, left.tokens, left.unique) - left.loss))
    repeated = sum(run.tokens > run.unique for run in runs)
    numbers = ", ".join(f"{name} {number(value)}" for name, value in vars(law).items())
    return (
        f"`{runs[0].family}`, from {plural(len(runs), 'run')} on {knowledge.corpus}, {repeated} of them with stories "
        f"that come again (N and D in millions): {numbers}. Each run foretold by the others: half of them within "
        f"{statistics.median(errors):.3f} nats, the worst {max(errors):.2f} nats off."
    )


def few() -> str:
    """Runs on fewer stories than the most, beside what the law says of them, and of as many tokens of many stories."""
    knowledge = _knowledge()
    law, most = knowledge.frontier.law, max(run.unique for run in knowledge.runs)
    rows = []
    for run in sorted(knowledge.runs, key=lambda run: (-run.unique, run.parameters, run.tokens)):
        if run.unique * 2 < most:
            here, many = (law.loss(run.parameters, run.tokens, unique) for unique in (run.unique, most))
            rows.append(
                f"| {run.layers} x {run.width} | {run.unique / 1e6:.2f} M | {run.tokens / run.unique:.1f} | "
                f"{run.loss:.2f} | {here:.2f} | {many:.2f} |"
            )
    head = "| layers x width | different tokens | epochs | loss | by the law | with many stories |"
    return "\n".join([head, f"|---|{'---:|' * 5}", *rows])


def foretold() -> str:
    """How far the law was off of runs that it had not seen when it told them."""
    ended = {(run.family, run.layers, run.width, run.steps, run.unique): run.loss for run in kept_runs()}
    errors, held = [], 0
    for told in json.loads(FORETOLD.read_text(encoding="utf-8")):
        loss = ended[told["family"], told["layers"], told["width"], told["steps"], told["unique"]]
        errors.append(abs(loss - told["mean"]))
        held += told["low"] <= loss <= told["high"]
    return (
        f"{plural(len(errors), 'run')} in other sizes and lengths and on fewer stories were foretold before they were "
        "made, by the law as it was then, with one exponent for weights and stories "
        f"(`{FORETOLD.relative_to(PAGE.parent)}`): half of them ended within {statistics.median(errors):.3f} nats "
        f"of it, the worst {max(errors):.2f} off, and {held} of {len(errors)} in the range that four of five should "
        "end in. They are part of the law now."
    )


def choices() -> str:
    """What the plan's choice ended with beside others at equal time, and how far the law was off of them."""
    return "\n\n".join(_choice(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(CHOICES))


def _choice(measured: dict[str, Any]) -> str:
    made = sorted((each for each in measured["contenders"] if each["loss"] is not None), key=itemgetter("loss"))
    rows = []
    for each in made:
        told = "" if each["expected"] is None else f"{each['expected']:.2f} ({each['low']:.2f} to {each['high']:.2f})"
        name = each["name"] if each["name"] != measured["chosen"] else f"**{each['name']}**, the plan's"
        rows.append(f"| {name} | {each['steps']:,} | {each['loss']:.3f} | {told} |")
    foretold = [each for each in made if each["expected"] is not None]
    errors = [abs(each["loss"] - each["expected"]) for each in foretold]
    left = len(measured["contenders"]) - len(made)
    held = sum(each["low"] <= each["loss"] <= each["high"] for each in foretold)
    return "\n".join([
        f"{measured['minutes']:g} minutes of training on {measured['stories']:,} stories, without evaluations (steps "
        "as fast as on the two idle cores of the table above). `rate x 1` is the preset's learning rate; `modern` is "
        "the preset itself, 4 x 128:",
        "",
        "| layers x width | steps | loss | foretold (four of five) |", "|---|---:|---:|---|", *rows, "",
        f"The law had seen none of them when it foretold {len(foretold)}: half of those ended within "
        f"{statistics.median(errors):.3f} nats, {held} in their ranges. They are part of it now. Of {left + len(made)} "
        f"contenders {left} are not trained yet.",
    ])  # fmt: skip


def points() -> list[dict[str, object]]:
    """What the picture draws: for each size the expected loss over the minutes of training, and the runs."""
    knowledge, preset = _knowledge(), load_recipe(FAMILIES[0])
    unique = max(run.unique for run in knowledge.runs)
    within = reach(knowledge.frontier, unique)
    rows: list[dict[str, object]] = []
    for speed in (row for row in known_speeds() if row.family == FAMILIES[0]):
        recipe = in_size(preset, speed.size)
        weights = multiplying(recipe.model, recipe.vocabulary)
        name = f"{speed.layers} x {speed.width}"
        for tokens in np.geomspace(*within.tokens, 40):
            if within.holds(weights, tokens):
                minutes = tokens / speed.positions * speed.seconds / 60
                loss = knowledge.frontier.law.loss(weights, tokens, unique)
                rows.append({"size": name, "minutes": minutes, "loss": loss, "what": "expected"})
        for run in knowledge.runs:
            if (run.layers, run.width) == (speed.layers, speed.width) and run.unique == unique:
                minutes = run.steps * speed.seconds / 60
                rows.append({"size": name, "minutes": minutes, "loss": run.loss, "what": "measured"})
    return rows


def picture() -> bytes:
    """Loss over minutes of training, a line for each size; the lowest line at a time is what a plan chooses."""
    rows = points()
    order = list(dict.fromkeys(row["size"] for row in rows))
    x = {
        "field": "minutes", "type": "quantitative", "scale": {"type": "log", "nice": False},
        "axis": {"title": "minutes of training on two cores", "values": [0.5, 1, 2, 5, 10, 30, 60, 120], "grid": False},
    }  # fmt: skip
    y = {
        "field": "loss", "type": "quantitative", "scale": {"zero": False},
        "axis": {"title": "validation loss, nats a GPT-2 token"},
    }  # fmt: skip
    color = {
        "field": "size", "type": "nominal", "sort": order, "scale": {"scheme": "viridis"},
        "legend": {"title": "layers x width"},
    }  # fmt: skip
    layers = [
        {
            "transform": [{"filter": f"datum.what == '{what}'"}],
            "mark": mark,
            "encoding": {"x": x, "y": y, "color": color},
        }
        for what, mark in (("expected", {"type": "line"}), ("measured", {"type": "point", "filled": True, "size": 45}))
    ]
    spec = {"width": 620, "height": 340, "background": "white", "data": {"values": rows}, "layer": layers,
            "config": {"view": {"stroke": None}}}  # fmt: skip
    return png_of(json.dumps(spec), scale=2.0)


PARTS = {"times": times, "law": law, "foretold": foretold, "choices": choices, "few": few}


def written(page: str) -> str:
    """The page with its measured parts renewed."""
    for name, part in PARTS.items():
        begin, end = f"<!-- {name}: written by plan_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + part() + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PICTURE.write_bytes(picture())
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
