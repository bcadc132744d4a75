"""Writes findings.md: kinds and thresholds from the code, how well the rules do from labelled curves and records.

python docs/findings_page.py
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from pathlib import Path

import numpy as np

from fabula.findings import diagnose
from fabula.findings.statistics import wilson_interval

DOCS = Path(__file__).parent
PAGE = DOCS / "findings.md"
ROOMS = {
    "Loss": ("episodes", "instability", "loss"),
    "Gradient": ("gradient",),
    "Schedule": ("schedule",),
    "Set-up": ("setup",),
    "Events": ("events",),
    "Completions": ("completions",),
}
LADDER = {
    "effect": "what a phase changed in the final loss, paired by seed, with its interval and verdict (docs/report.md)",
    "interaction": "how much more one change does where another is there too, with its interval and verdict",
}
COMPLETIONS = DOCS / "measured" / "completions.json"
"""Written by measure_completions.py."""
LADDERS = DOCS / "measured" / "null_ladders.json"
"""Written by measure_ladders.py."""
CURVES_A_SIDE = 200
SEEDS = (31, 32)
"""Of the curves that show a kind, and of those that do not."""


def kinds() -> str:
    """Every kind with its defining line, by room."""
    lines = ["| kind | what it says |", "|---|---|"]
    for title, modules in ROOMS.items():
        lines.append(f"| **{title}** | |")
        for module in modules:
            for rule in getattr(importlib.import_module(f"fabula.findings.{module}"), "RULES", ()):
                lines += [f"| `{kind}` | {line} |" for kind, line in rule.kinds.items()]
    lines.append("| **Ladder** | |")
    lines += [f"| `{kind}` | {line} |" for kind, line in LADDER.items()]
    return "\n".join(lines)


def thresholds() -> str:
    """Every named constant of the rules with the reason that stands below it."""
    lines = ["| threshold | value | why |", "|---|---|---|"]
    for title, modules in ROOMS.items():
        found = [entry for module in modules for entry in _constants(module)]
        if found:
            lines.append(f"| **{title}** | | |")
            lines += [f"| `{name}` | {value} | {why} |" for name, value, why in found]
    return "\n".join(lines)


def _constants(module: str) -> list[tuple[str, str, str]]:
    source = importlib.import_module(f"fabula.findings.{module}").__file__
    assert source is not None
    body = ast.parse(Path(source).read_text(encoding="utf-8")).body
    found = []
    for statement, follows in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not isinstance(statement, ast.Assign) or not isinstance(follows, ast.Expr):
            continue
        if isinstance(follows.value, ast.Constant) and isinstance(follows.value.value, str):
            name = ast.unparse(statement.targets[0])
            why = " ".join(follows.value.value.split()).replace("|", "\\|")
            found.append((name, ast.unparse(statement.value), why))
    return found


def measured() -> str:
    """Precision and recall a kind, on curves that no threshold was set on (tests/findings/heldout.py)."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.findings.heldout import CASES

    lines = [
        "| kind | found where it is | said where it is not | recall (95 %) | precision (95 %) |",
        "|---|---:|---:|---|---|",
    ]
    for kind, case in CASES.items():
        hits, false = (
            sum(bool(diagnose(*maker(np.random.default_rng([seed, index]))).of(kind)) for index in range(CURVES_A_SIDE))
            for maker, seed in ((case.shows, SEEDS[0]), (case.shows_not, SEEDS[1]))
        )
        recall, precision = _share(hits, CURVES_A_SIDE), _share(hits, hits + false)
        lines.append(f"| `{kind}` | {hits} of {CURVES_A_SIDE} | {false} of {CURVES_A_SIDE} | {recall} | {precision} |")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    low, high = wilson_interval(part, whole)
    return f"{part / max(1, whole):.3f} ({low:.3f} to {high:.3f})"


def completions() -> str:
    """What measure_completions.py found, a table a corpus."""
    lines = [
        "| stories | kind | found in whole stories | found in damaged ones | damaged how |",
        "|---|---|---|---|---|",
    ]
    for corpus in json.loads(COMPLETIONS.read_text(encoding="utf-8")):
        name = f"{corpus['source']}, {corpus['split']}"
        for how, made in corpus["damaged"].items():
            whole = corpus["as_they_are"][made["kind"]]
            lines.append(
                f"| {name} | `{made['kind']}` | {whole} of {corpus['num_stories']:,}: "
                f"{_share(whole, corpus['num_stories'])} | {made['found']} of {made['num']:,}: "
                f"{_share(made['found'], made['num'])} | {how} |"
            )
    return "\n".join(lines)


def ladders() -> str:
    """What measure_ladders.py found: how the noise was measured, ladders without an effect, and effects found."""
    told = json.loads(LADDERS.read_text(encoding="utf-8"))
    noise, typical = told["noise"], told["noise"]["typical"]
    spreads, below = noise["spreads"], "" if noise["pairing"] else " (the measured one is negative)"
    lines = [
        f"The noise is that of [{noise['ladder']}](ladders/{noise['ladder']}/report.md), {len(spreads)} recipes with "
        f"{noise['num_seeds']} seeds each. On `stream`, a recipe's seeds end with a standard deviation of "
        f"{spreads[0]:.3f} to {spreads[-1]:.3f} nats, {typical:.3f} in the median; on `story`, "
        f"{noise['story_share']:.2f} times as far apart. Over the seeds, two recipes rise and fall together with a "
        f"correlation of {noise['pairing']:.2f}{below}, the two protocols of a run with {noise['protocols']:.2f}.",
        "",
        "| ladder | questions | seeds | spread of the recipes | ladders with a false verdict | share (95 %) |",
        "|---|---:|---:|---|---:|---|",
    ]
    lines += [
        f"| {row['design']} | {row['questions']} | {row['seeds']} | {row['noise']} | "
        f"{row['false']} of {row['ladders']:,} | {_share(row['false'], row['ladders'])} |"
        for row in told["nulls"]
    ]
    designs = [f"{row['design']}, {row['seeds']} seeds" for row in told["power"]]
    lines += [
        "",
        f"| true effect, nats | in standard deviations | {' | '.join(designs)} |",
        "|---:|---:|" + "---|" * len(designs),
    ]
    for size in told["power"][0]["found"]:
        found = (_share(row["found"][size], row["ladders"]) for row in told["power"])
        lines.append(f"| {float(size) * typical:.3f} | {float(size):g} | {' | '.join(found)} |")
    return "\n".join(lines)


PARTS = {
    "kinds": kinds,
    "thresholds": thresholds,
    "measured": measured,
    "ladders": ladders,
    "completions": completions,
}


def written(page: str, names: tuple[str, ...] = tuple(PARTS)) -> str:
    """The page with its generated parts renewed."""
    for name in names:
        begin, end = f"<!-- {name}: written by findings_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + PARTS[name]() + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
