"""Writes measured/null_ladders.json: how often ladders without any effect show one, and which effects ladders find.

python docs/measure_ladders.py

The noise is that of the kept ladder records: how far seeds of one recipe end apart, how far recipes of one seed rise
and fall together, and the two protocols of one run. Losses are drawn with it, and every simulated ladder goes through
the code that a report uses: contrasts, answer, with_holm.

Shapes: R recipes, S seeds, P protocols (stream, story).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from fabula.record.reader import find_runs, read_run
from fabula.study.inference.contrasts import Contrast, Recipe, contrasts
from fabula.study.inference.effects import PROTOCOLS, Final, Verdict, answer, with_holm

DOCS = Path(__file__).parent
OUT = DOCS / "measured" / "null_ladders.json"
MEASURED = "factorial-basic-2-percent"
"""The kept ladder whose noise is taken."""
COLUMNS = ("val_loss", "val_loss_story")
NUM_LADDERS, NUM_WITH_EFFECT = 10_000, 1_000
SEEDS = (3, 5)
SIZES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
"""Effects to be found, as multiples of the noise."""
PATH = [Recipe(name, ("start", *"abc"[:index])) for index, name in enumerate(("start", "a", "b", "c"))]
FACTORIAL = [
    Recipe("+".join(("start", *has)), ("start", *has)) for size in range(4) for has in combinations("abc", size)
]
DESIGNS = {"path of 4 phases": PATH, "factorial of 3 changes": FACTORIAL}


@dataclass(frozen=True)
class Noise:
    """What seeds do to final losses, in nats."""

    ladder: str
    num_seeds: int
    spreads: tuple[float, ...]
    """Standard deviation between the seeds of each recipe on `stream`, the smallest first."""
    typical: float
    """Their median."""
    story_share: float
    """The same on `story`, as a share of that on `stream`; the median over the recipes."""
    pairing: float
    """Correlation of two recipes over the seeds, the mean over all pairs, 0 where it is below."""
    protocols: float
    """Correlation of the two protocols over the seeds, the mean over the recipes."""


def measured_noise() -> Noise:
    losses: dict[str, dict[int, tuple[float, ...]]] = {}
    for folder in find_runs(DOCS / "ladders" / MEASURED):
        run = read_run(folder)
        final = run.full_evals()
        losses.setdefault(folder.parent.name, {})[run.info["seed"]] = tuple(float(final[c][-1]) for c in COLUMNS)
    table_RSP = np.array([[runs[seed] for seed in sorted(runs)] for runs in losses.values()])
    spread_RP = table_RSP.std(1, ddof=1)
    unit_RSP = (table_RSP - table_RSP.mean(1, keepdims=True)) / spread_RP[:, None]
    degrees = table_RSP.shape[1] - 1
    together = [
        float((first * second).sum(0).mean()) / degrees for first, second in combinations(unit_RSP, 2)
    ]  # the two protocols' mean
    return Noise(
        ladder=MEASURED,
        num_seeds=table_RSP.shape[1],
        spreads=tuple(round(float(value), 5) for value in np.sort(spread_RP[:, 0])),
        typical=round(float(np.median(spread_RP[:, 0])), 5),
        story_share=round(float(np.median(spread_RP[:, 1] / spread_RP[:, 0])), 3),
        pairing=round(max(0.0, float(np.mean(together))), 3),
        protocols=round(float((unit_RSP[..., 0] * unit_RSP[..., 1]).sum(1).mean()) / degrees, 3),
    )


def drawn_losses(
    random: np.random.Generator, spread_R: np.ndarray, num_seeds: int, pairing: float, noise: Noise
) -> np.ndarray:
    """[R, S, P]: normal losses around 4 nats with the spreads, the pairing and the protocols' correlation asked for."""
    shape = (len(spread_R), num_seeds)

    def protocol() -> np.ndarray:
        alike = random.standard_normal(num_seeds)  # what a seed does to all recipes
        return np.sqrt(pairing) * alike + np.sqrt(1 - pairing) * random.standard_normal(shape)

    stream_RS, other_RS = protocol(), protocol()
    story_RS = noise.protocols * stream_RS + np.sqrt(1 - noise.protocols**2) * other_RS
    return 4.0 + spread_R[:, None, None] * np.stack([stream_RS, noise.story_share * story_RS], 2)


def verdicts(recipes: Sequence[Recipe], asked: Sequence[Contrast], loss_RSP: np.ndarray) -> list[Verdict]:
    """What a report of these losses says to each question."""
    rulers = dict.fromkeys(PROTOCOLS, "one")
    finals = {
        ("basic", recipe.name): [
            Final(seed, dict(zip(PROTOCOLS, values, strict=True)), rulers, 1e6)
            for seed, values in enumerate(loss_SP.tolist())
        ]
        for recipe, loss_SP in zip(recipes, loss_RSP, strict=True)
    }
    return [each.verdict for each in with_holm([answer(one, finals) for one in asked])]


def false_ladders(recipes: Sequence[Recipe], spread_R: np.ndarray, num_seeds: int, pairing: float, noise: Noise,
                  number: int, seed: int) -> int:  # fmt: skip
    """Ladders without any effect that show one, of `number`."""
    random, asked = np.random.default_rng([seed, num_seeds, len(recipes)]), contrasts("basic", recipes)
    drawn = (drawn_losses(random, spread_R, num_seeds, pairing, noise) for _ in range(number))
    return sum(any(said != "no evidence" for said in verdicts(recipes, asked, losses)) for losses in drawn)


def found(recipes: Sequence[Recipe], size: float, num_seeds: int, noise: Noise, number: int, seed: int) -> int:
    """Ladders in which the first question's effect, `size` nats on both protocols, has the verdict improved."""
    random, asked = np.random.default_rng([seed, num_seeds, len(recipes)]), contrasts("basic", recipes)
    spread_R = np.full(len(recipes), noise.typical)
    gain_R = np.array([-size * ("a" in recipe.has) for recipe in recipes])
    hits = 0
    for _ in range(number):
        losses = drawn_losses(random, spread_R, num_seeds, noise.pairing, noise) + gain_R[:, None, None]
        hits += verdicts(recipes, asked, losses)[0] == "improved"
    return hits


def noises(noise: Noise, num_recipes: int) -> dict[str, tuple[np.ndarray, float]]:
    """How a null's noise is spread over its recipes: name -> spreads and pairing."""
    own = np.interp(np.linspace(0, 1, num_recipes), np.linspace(0, 1, len(noise.spreads)), noise.spreads)
    alike = np.full(num_recipes, noise.typical)
    return {
        "each recipe its own": (own, noise.pairing),
        "all alike": (alike, noise.pairing),
    }


def main() -> None:
    noise = measured_noise()
    nulls, power = [], []
    for design, recipes in DESIGNS.items():
        questions = len(contrasts("basic", recipes))
        for num_seeds in SEEDS:
            for name, (spread_R, pairing) in noises(noise, len(recipes)).items():
                false = false_ladders(recipes, spread_R, num_seeds, pairing, noise, NUM_LADDERS, 11)
                nulls.append({"design": design, "questions": questions, "seeds": num_seeds, "noise": name,
                              "false": false, "ladders": NUM_LADDERS})  # fmt: skip
            hits = [found(recipes, size * noise.typical, num_seeds, noise, NUM_WITH_EFFECT, 12) for size in SIZES]
            power.append({"design": design, "seeds": num_seeds, "ladders": NUM_WITH_EFFECT,
                          "found": dict(zip(map(str, SIZES), hits, strict=True))})  # fmt: skip
    text = json.dumps({"noise": asdict(noise), "nulls": nulls, "power": power}, indent=1)
    OUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
