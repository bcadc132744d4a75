"""Writes what kept ladders showed into the guides: a null of one recipe against itself, a rising learning rate, hidden
tokens.

python docs/ladder_pages.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

from fabula.findings.diagnosis import diagnose, lint
from fabula.recipe.presets.by_name import load_recipe
from fabula.recipe.presets.files import current_name
from fabula.recipe.schema import Recipe
from fabula.recipe.toml import read_toml
from fabula.record.reader import Run, find_runs, read_run
from fabula.study.inference.effect_words import as_finding, lower_or_higher, sentence_with_reach, signed
from fabula.study.inference.effects import Effect, Final, effect, with_holm
from fabula.study.ladder import read_ladder

DOCS = Path(__file__).parent
FACTORIAL = DOCS / "ladders" / "factorial-basic-2-percent"
NULL = DOCS / "ladders" / "null-disjoint-seeds"
SCHEDULE = DOCS / "ladders" / "gemma3-nano-schedule"
HIDDEN = DOCS / "ladders" / "hidden-tokens"
PHASES = ("all-seen", "hidden")
COLUMNS = {"stream": "val_loss", "story": "val_loss_story"}


@cache
def _final(seed: int) -> Final:
    """A run of `basic/packed`; the first three are the factorial's."""
    place = NULL / f"seed-{seed}" if seed > 2 else FACTORIAL / "runs" / "basic" / "packed" / f"seed-{seed}"
    run = read_run(place)
    assert run.info["seed"] == seed
    last = {name: float(values[-1]) for name, values in run.full_evals().items() if len(values)}
    losses = {name: last[column] for name, column in COLUMNS.items()}
    return Final(seed, losses, {name: run.info["rulers"][name] for name in COLUMNS}, last["positions"])


def _in_order(seeds: tuple[int, ...]) -> list[Final]:
    """Paired by their place, for no two seeds belong together."""
    return [replace(_final(seed), seed=place) for place, seed in enumerate(seeds)]


def _against_itself(first: tuple[int, ...], second: tuple[int, ...]) -> Effect:
    before, after = (f"packed, seeds {seeds[0]}, {seeds[1]} and {seeds[2]}" for seeds in (first, second))
    return with_holm([effect("basic", before, after, _in_order(first), _in_order(second))])[0]


def null_effect() -> dict[str, Any]:
    """The effect of nothing: seeds 3 to 5 against seeds 0 to 2 of one recipe, and every other way to pair the six."""
    files = [*NULL.glob("seed-*/recipe.toml"), *FACTORIAL.glob("runs/basic/packed/*/recipe.toml")]
    recipes = [Recipe.from_tree(read_toml(file)) for file in files]
    assert len(recipes) == 6 and all(recipe == recipes[0] for recipe in recipes), "six runs of one recipe"
    words: dict[str, int] = {}
    for first in combinations(range(6), 3):
        if 0 not in first:
            continue  # the same three pairs with the other sign
        rest = tuple(seed for seed in range(6) if seed not in first)
        for second in permutations(rest):
            verdict = _against_itself(first, second).verdict
            words[verdict] = words.get(verdict, 0) + 1
    return {"finding": as_finding(_against_itself((0, 1, 2), (3, 4, 5))).as_json(), "all_ways_to_pair_them": words}


def null() -> str:
    told = json.loads((NULL / "effect.json").read_text(encoding="utf-8"))
    words, evidence = told["all_ways_to_pair_them"], told["finding"]["evidence"]
    lines = [
        "A null on real stories: `basic/packed` against itself, seeds 3 to 5 against seeds 0 to 2 "
        f"({read_run(NULL / 'seed-3').info['steps']} steps on TinyStories). The verdict: **{evidence['verdict']}**.",
        "",
        "| protocol | difference | 95 % interval | from pairs in order | unpaired | correlation | p (Holm) |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, each in evidence["protocols"].items():
        kinds = ("interval", "paired_interval", "unpaired_interval")
        intervals = [f"{signed(low)} to {signed(high)}" for low, high in (each[kind] for kind in kinds)]
        lines.append(
            f"| `{name}` | {signed(each['mean'])} | {' | '.join(intervals)} | {each['correlation']:.2f} | "
            f"{each['p_holm']:.3f} |"
        )
    said = ", ".join(f"{number} {verdict}" for verdict, number in sorted(words.items()))
    lines += [
        "",
        f"Disjoint seeds share nothing, so any pairing is arbitrary. All {sum(words.values())} ways to make three "
        f"pairs of the six runs: {said}. ([records](ladders/{NULL.name}))",
    ]
    return "\n".join(lines)


def schedule() -> str:
    """What the rising schedule of the original Gemma run was warned of, and what it did against the falling one."""
    view = read_ladder([SCHEDULE])
    (tier,) = view.tiers
    (asked,) = [each for each in tier.effects if each.after == "falling"]
    wanted = ("lr_rising", "lr_floor_above_peak")
    before = {each.kind for each in lint(load_recipe("gemma3-nano-rising")).findings}
    runs = [read_run(path) for path in find_runs(SCHEDULE / "runs" / tier.name / "seed")]
    found = [{each.kind for each in diagnose(run).findings} for run in runs]
    assert before.issuperset(wanted) and all(kinds.issuperset(wanted) for kinds in found), "the guide says so"
    steps, scale = runs[0].info["steps"], view.plan["scale"]
    return (
        f"`lr_rising` and `lr_floor_above_peak` are what the lint says of `{current_name(tier.name)}` before its first "
        f"step, and what the findings say of its {len(runs)} records. The pair at {scale * 100:g} % of its steps "
        f"({steps} updates, {asked.num_runs} runs on TinyStories): {sentence_with_reach(asked)} "
        f"{_on_story(asked)} "
        f"([report](ladders/{SCHEDULE.name}/report.md))"
    )


def hidden() -> str:
    """What hiding input tokens did where few stories came again and again."""
    view = read_ladder([HIDDEN])
    (tier,) = view.tiers
    (asked,) = tier.effects
    runs = {name: [read_run(path) for path in find_runs(HIDDEN / "runs" / tier.name / name)] for name in PHASES}
    info = runs["hidden"][0].info
    share = Recipe.from_tree(read_toml(runs["hidden"][0].path / "recipe.toml")).batch.hidden_tokens
    gaps = {name: sum(map(_gap, each)) / len(each) for name, each in runs.items()}
    return (
        f"`{tier.name}` on 4,000 TinyStories, {info['layout']['epochs']:.1f} epochs, with {share:.0%} of the tokens "
        f"hidden and with none, {asked.num_runs} runs scored on `tune`: {sentence_with_reach(asked)} "
        f"{_on_story(asked)} At the end the validation loss is {gaps['all-seen']:.2f} nats above "
        f"the training loss with every token seen, and {gaps['hidden']:.2f} nats above it with some hidden. "
        f"([report](ladders/{HIDDEN.name}/report.md))"
    )


def _on_story(asked: Effect) -> str:
    """What the other yardstick says."""
    return f"On `story` it is {lower_or_higher(asked.comparisons['story'].estimate)}."


def _gap(run: Run) -> float:
    last = run.full_evals()
    return float(last["val_loss"][-1] - last["train_loss"][-1])


BLOCKS = {"report.md": {"null": null}, "models.md": {"schedule": schedule}, "train.md": {"hidden": hidden}}


def written(file: str, page: str) -> str:
    """The page with its generated parts renewed."""
    for name, write in BLOCKS[file].items():
        begin, end = f"<!-- {name}: written by ladder_pages.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + write() + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    (NULL / "effect.json").write_text(json.dumps(null_effect(), indent=2) + "\n", encoding="utf-8")
    for file in BLOCKS:
        path = DOCS / file
        path.write_text(written(file, path.read_text(encoding="utf-8")), encoding="utf-8")
