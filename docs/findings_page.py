"""Writes findings.md: kinds and thresholds from the code, how well the rules do from labelled curves and records.

python docs/findings_page.py [PART ...]     all parts by default; `measured` takes minutes
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fabula.findings import diagnose
from fabula.findings.curves import episodes, humps, noise
from fabula.findings.kinds import RULES, TOPICS
from fabula.study.inference.statistics import wilson_interval

DOCS = Path(__file__).parent
PAGE = DOCS / "findings.md"
COMPLETIONS = DOCS / "measured" / "completions.json"
"""Written by measure_completions.py."""
SIMULATED = DOCS / "measured" / "simulated_curves.json"
"""Written by measure_rules.py."""
REAL = DOCS / "measured" / "real_curves.jsonl.gz"
"""Joined by measure_real.py."""
EARLY = DOCS / "measured" / "early_signs.json"
"""Written by benchmarks/early_signs.py."""
LADDERS = DOCS / "measured" / "null_ladders.json"
"""Written by measure_ladders.py."""
SEQUENTIAL = DOCS / "measured" / "sequential_ladders.json"
"""Written by measure_sequential.py."""
CURVES_A_SIDE = 200
SEEDS = (31, 32)
"""Of the curves that show a kind, and of those that do not."""
AIM = 0.95
VERDICTS = ("healthy", "not judged", "warning", "failed")
Counts = dict[str, dict[str, int]]


def kinds() -> str:
    """Every kind with its defining line, by topic."""
    lines = ["| kind | what it says |", "|---|---|"]
    for topic, kinds in TOPICS.items():
        lines += [f"| **{topic.title}** | |", *(f"| `{kind.name}` | {kind.line} |" for kind in kinds)]
    return "\n".join(lines)


def thresholds() -> str:
    """Every named constant of the rules with the reason that stands below it, file by file."""
    lines = ["| threshold | value | why |", "|---|---|---|"]
    modules = [each.__name__ for each in (noise, episodes, humps)] + [rule.look.__module__ for rule in RULES]
    for module in dict.fromkeys(modules):
        if found := _constants(module):
            lines.append(f"| **{module.rpartition('.')[2].capitalize()}** | | |")
            lines += [f"| `{name}` | {value} | {why} |" for name, value, why in found]
    return "\n".join(lines)


def _constants(module: str) -> list[tuple[str, str, str]]:
    source = sys.modules[module].__file__
    assert source is not None
    body = ast.parse(Path(source).read_text(encoding="utf-8")).body
    found = []
    for statement, follows in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not isinstance(statement, ast.Assign) or not isinstance(follows, ast.Expr):
            continue
        name = ast.unparse(statement.targets[0])
        if isinstance(follows.value, ast.Constant) and isinstance(follows.value.value, str) and name.isupper():
            why = " ".join(follows.value.value.split()).replace("|", "\\|")
            found.append((name, ast.unparse(statement.value), why))
    return found


def measured() -> str:
    """Precision and recall a kind, on curves that no threshold was set on (tests/findings/heldout.py)."""
    sys.path.insert(0, str(DOCS.parent))
    from tests.findings.heldout import CASES

    kinds = {}
    for kind, case in CASES.items():
        hits, false = (
            sum(bool(diagnose(*maker(np.random.default_rng([seed, index]))).of(kind)) for index in range(CURVES_A_SIDE))
            for maker, seed in ((case.shows, SEEDS[0]), (case.shows_not, SEEDS[1]))
        )
        kinds[kind] = {"shown": CURVES_A_SIDE, "found": hits, "not_shown": CURVES_A_SIDE, "said": false}
    return "\n".join(_table(kinds))


def _table(kinds: Counts) -> list[str]:
    """Recall and precision a kind."""
    lines = [
        "| kind | found where it is | found where it is not | recall (95 %) | precision (95 %) |",
        "|---|---:|---:|---|---|",
    ]
    for kind, each in kinds.items():
        recall, precision = _share(each["found"], each["shown"]), _share(each["found"], each["found"] + each["said"])
        lines.append(
            f"| `{kind}` | {each['found']:,} of {each['shown']:,} | {each['said']:,} of {each['not_shown']:,} | "
            f"{recall} | {precision} |"
        )
    return lines


def _below_aim(kinds: Counts) -> str:
    """The kinds whose recall or precision is below the aim."""
    below = []
    for kind, each in kinds.items():
        for name, whole in (("recall", each["shown"]), ("precision", each["found"] + each["said"])):
            if whole and each["found"] / whole < AIM:
                below.append(f"{name} of `{kind}` ({each['found']} of {whole})")
    return f"Below {AIM}: {', '.join(below)}." if below else f"No recall and no precision is below {AIM}."


def _verdicts(verdicts: Counts) -> list[str]:
    """What became of the runs against what the rules call them."""
    lines = [
        "| the run is | curves | called healthy | not judged | called warning | called failed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for health in ("healthy", "broken", "failed"):
        said = {each: verdicts.get(health, {}).get(each, 0) for each in VERDICTS}
        lines.append(f"| {health} | {sum(said.values()):,} | {' | '.join(f'{said[each]:,}' for each in VERDICTS)} |")
    return lines


def simulated() -> str:
    """What measure_rules.py found on simulated trainings."""
    told = json.loads(SIMULATED.read_text(encoding="utf-8"))
    about = (
        f"{told['curves']:,} trainings of {told['shortest']:,} to {told['longest']:,} steps (seed {told['seed']}). "
        f"{_below_aim(told['kinds'])}"
    )
    return "\n".join([about, "", *_table(told["kinds"]), "", *_verdicts(told["verdicts"])])


def real() -> str:
    """What the rules say of the kept curves of real trainings, asked now."""
    if not REAL.exists():
        return "No curves are kept yet."
    sys.path.insert(0, str(DOCS))
    from measure_real import tally

    told, without = tally(REAL), tally(REAL, internals=False)
    about = (
        f"{told['curves']} curves, {told['tools']['fabula']} trained with fabula ({told['looked']} of them with looks "
        f"inside) and {told['tools']['trainer']} with the Trainer. {_below_aim(told['kinds'])}"
    )
    wrong = [f"- {each}" for each in told["wrong"]] or ["- nothing"]
    tables = [*_table(told["kinds"]), "", *_verdicts(told["verdicts"])]
    if without["verdicts"] != told["verdicts"]:
        tables += ["", "The same curves without their looks inside:", "", *_verdicts(without["verdicts"])]
    return "\n".join([about, "", *tables, "", "What they get wrong on these:", "", *wrong])


def early() -> str:
    """What benchmarks/early_signs.py saw first of each fault."""
    told = json.loads(EARLY.read_text(encoding="utf-8"))
    earlier = sorted(filter(None, map(_earlier, told["rows"])))
    alone = sum(bool(row["inside"]) and not row["loss"] and row["leaves"] is None for row in told["rows"])
    lines = [
        f"Runs of {told['steps']} steps with a look inside every {told['looks_every']}. Of {len(told['rows'])} faults, "
        f"{len(earlier)} were seen inside the model before the loss showed them"
        + (f" ({earlier[0]} to {earlier[-1]} steps)" if earlier else "")
        + f", and {alone} inside alone.",
        "",
        "| fault | from step | first told of the inside | first told of the loss | the loss leaves the sound run's "
        "| earlier |",
        "|---|---:|---|---|---:|---:|",
    ]
    for row in told["rows"]:
        earlier = f"{_earlier(row)} steps" if _earlier(row) > 0 else "–"
        lines.append(
            f"| {row['what']} | {row['begins']} | {_sign(row['inside'])} | {_sign(row['loss'])} | "
            f"{row['leaves'] or 'never'} | {earlier} |"
        )
    return "\n".join(lines)


def _earlier(row: dict[str, Any]) -> int:
    """Steps from the first sign inside to the first of the loss; 0 where the loss was first, or one of them is not."""
    shown = [step for step in (row["loss"].get("step"), row["leaves"]) if step is not None]
    return max(0, min(shown) - row["inside"]["step"]) if shown and row["inside"] else 0


def _sign(found: dict[str, Any]) -> str:
    return f"{', '.join(f'`{kind}`' for kind in found['kinds'])}, step {found['step']}" if found else "nothing"


def _share(part: int, whole: int) -> str:
    if whole == 0:
        return "–"
    low, high = wilson_interval(part, whole)
    return f"{part / whole:.3f} ({low:.3f} to {high:.3f})"


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
    spreads = noise["spreads"]
    seeds = sorted({row["seeds"] for row in told["nulls"]})
    lines = [
        f"The measured noise is that of [{noise['ladder']}](ladders/{noise['ladder']}/report.md), {len(spreads)} "
        f"recipes with {noise['num_seeds']} seeds each. On `stream`, a recipe's seeds end with a standard deviation of "
        f"{spreads[0]:.3f} to {spreads[-1]:.3f} nats, {typical:.3f} in the median; on `story`, "
        f"{noise['story_share']:.2f} times as far apart; the two protocols of a run rise and fall together over the "
        f"seeds with a correlation of {noise['protocols']:.2f}. {told['nulls'][0]['ladders']:,} ladders a cell.",
        "",
        f"| ladder | spread of the recipes | {' | '.join(f'{seed} seeds' for seed in seeds)} |",
        "|---|---|" + "---|" * len(seeds),
    ]
    rows = {(row["design"], row["questions"], row["noise"]): {} for row in told["nulls"]}
    for row in told["nulls"]:
        rows[row["design"], row["questions"], row["noise"]][row["seeds"]] = _share(row["false"], row["ladders"])
    for (design, questions, name), shares in rows.items():
        cells = (shares.get(seed, "") for seed in seeds)
        lines.append(f"| {design}, {questions} questions | {name} | {' | '.join(cells)} |")
    sizes = list(told["power"][0]["found"])
    lines += [
        "",
        f"| ladder | spread of the recipes | {' | '.join(sizes)} |",
        "|---|---|" + "---|" * len(sizes),
    ]
    for row in told["power"]:
        found = (f"{new / row['ladders']:.2f} ({old / row['ladders']:.2f})" for new, old in row["found"].values())
        unit = "" if row["unit"] == 1 else f", effects as multiples of {row['unit']:.3f} nats"
        lines.append(f"| {row['design']}, {row['seeds']} seeds | {row['noise']}{unit} | {' | '.join(found)} |")
    return "\n".join(lines)


def sequential() -> str:
    """What measure_sequential.py found: growing ladders without an effect, and the runs in which effects are found."""
    told = json.loads(SEQUENTIAL.read_text(encoding="utf-8"))
    nulls, small = told["nulls"], told["small"]
    firsts = sorted({row["first"] for row in nulls})
    lines = [
        f"{nulls[0]['ladders']:,} ladders a cell without an effect, {told['power'][0]['ladders']:,} with one.",
        "",
        f"| ladder | spread of the recipes | {' | '.join(f'begins with {first} seeds' for first in firsts)} | runs |",
        "|---|---|" + "---|" * len(firsts) + "---:|",
    ]
    rows: dict[tuple[str, str], dict[int, str]] = {}
    runs: dict[tuple[str, str], list[float]] = {}
    for row in nulls:
        until = f", `--detect` {row['detect']:g} SD" if row["detect"] else ""
        key = row["design"], row["noise"] + until
        rows.setdefault(key, {})[row["first"]] = _share(row["false"], row["ladders"])
        runs.setdefault(key, []).append(row["runs"])
    for (design, name), shares in rows.items():
        cells = " | ".join(shares.get(first, "") for first in firsts)
        lines.append(f"| {design} | {name} | {cells} | {max(runs[design, name]):.0f} |")
    worst = max(small, key=lambda row: row["false"])
    lines += [
        "",
        f"An effect as large as `--detect` is said to be smaller in at most {_share(worst['false'], worst['ladders'])} "
        f"of ladders ({worst['noise']}; {len(small)} spreads tried).",
        "",
        "| the three changes lower the loss by (SD) | `--detect` | finds the first | runs, mean (90 % have at most) "
        "| a fixed ladder that finds it as often |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in told["power"]:
        fixed = [
            each
            for each in told["fixed"]
            if each["gains"] == row["gains"] and each["found"] >= min(row["found"], 0.995)
        ]
        least = f"{fixed[0]['seeds']} seeds, {fixed[0]['runs']} runs" if fixed else "more than 16 seeds"
        gains = ", ".join(f"{gain:g}" for gain in row["gains"])
        detect = f"{row['detect']:g} SD" if row["detect"] else "none"
        lines.append(
            f"| {gains} | {detect} | {row['found']:.2f} | {row['runs']:.1f} ({row['most_of_90_percent']}) | {least} |"
        )
    parts = []
    for gains in dict.fromkeys(tuple(each["gains"]) for each in told["fixed"]):
        enough = [each for each in told["fixed"] if tuple(each["gains"]) == gains and each["found"] >= 0.8]
        words = ", ".join(f"{gain:g}" for gain in gains)
        parts.append(f"{enough[0]['runs']} runs for {words} (found in {enough[0]['found']:.2f})")
    lines += ["", f"The smallest fixed ladders that find the first change in 80 % of cases: {'; '.join(parts)}."]
    return "\n".join(lines)


PARTS = {
    "kinds": kinds,
    "thresholds": thresholds,
    "measured": measured,
    "simulated": simulated,
    "real": real,
    "early": early,
    "ladders": ladders,
    "sequential": sequential,
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
    chosen = tuple(sys.argv[1:]) or tuple(PARTS)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), chosen), encoding="utf-8")
