"""What `fabula evaluate` shows of measures."""

import json
import shlex
from pathlib import Path
from typing import Any

from fabula.cli.screen.terminal import show, tell
from fabula.cli.screen.typed import as_called
from fabula.coherence.measuring import Against
from fabula.coherence.stories import read_stories
from fabula.errors import InputError
from fabula.record.wording import number, plural

MOST_SHOWN = 5
"""Measures in which a model is farthest from human stories; --json has all."""


def only_stories(**others: object) -> None:
    """Raise InputError where something is given that --stories leaves no room for."""
    given = [name for name, value in others.items() if value is not None]
    if given:
        names = " and ".join("RUN" if name == "run" else f"--{name}" for name in given)
        raise InputError(f"--stories measures the texts of its file and no run; leave out {names}, or --stories")


def measure_stories(path: Path, held_against: Against, as_json: bool) -> None:
    """Show the measures of the stories of a file."""

    told = read_stories(path)
    places = range(len(told))
    measured = held_against.measured(told, [None] * len(told), places, [0] * len(told))
    if as_json:
        objects = [
            {"number": place, "consistency": measures["consistency"], "measures": measures}
            for place, measures in enumerate(measured)
        ]
        learned = held_against.consistency
        about = {"fitted_on": learned.fitted_on, "whole_from": float(learned.thresholds[0])}
        show(json.dumps({"stories": objects, "consistency": about}, indent=2, allow_nan=False))
        return
    show(f"{plural(len(told), 'story', 'stories')}; mean of each measure:")
    for name in measured[0]:
        values = [value for each in measured if (value := each[name]) is not None]
        if values:
            few = "" if len(values) == len(told) else f" (of {len(values)})"
            show(f"  {name:22} {number(sum(values) / len(values)):>8}{few}")
    judged = [value for each in measured if (value := each["consistency"]) is not None]
    low = sum(value < held_against.consistency.thresholds[0] for value in judged)
    tell(f"{low} of {plural(len(judged), 'story', 'stories')} read more like a damaged story than like a whole one")
    show(as_called(f"next: fabula evaluate --stories {shlex.quote(str(path))} --json has each story by itself"))


def distances_told(summary: dict[str, Any]) -> list[str]:
    """How far from human stories, in sentences."""
    lines = []
    for name, sides in summary.items():
        if "model" not in sides:
            continue
        model, human = sides["model"], sides.get("human")
        low, high = model["interval"]
        chance = f"; what humans wrote there: {number(human['combined'])}" if human else ""
        lines.append(
            f"{name}: {number(model['combined'])} ({number(low)} to {number(high)}) standard deviations from human "
            f"stories of the same data, on average over {len(model['made_of'])} measures{chance}"
        )
        lines.append("  farthest are:")
        far = sorted(model["measures"].items(), key=lambda each: -abs(each[1]["distance"]))
        for measure, each in far[:MOST_SHOWN]:
            lines.append(f"  {measure} {number(each['model'])}, human {number(each['human'])}")
    return lines or ["how far that is from human stories needs the stories: --data DIR"]
