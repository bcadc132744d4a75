"""Writes measured/null_ladders.json: how often ladders without any effect show one, and which effects ladders find.

python docs/measure_ladders.py [LADDERS]

The noise is that of the kept ladder records: how far seeds of one recipe end apart, and the two protocols of one run.
Losses are drawn with it, a thousand ladders at a time, and judged by the estimator and by the correction for many
questions that a report uses. So that no other way is measured than the report's, the first ladders of each condition go
through the report's own code as well (contrasts, answer, with_holm), and every word must be the same.

Shapes: N ladders, R recipes, S seeds, P protocols (stream, story), Q questions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from fabula.record.reader import find_runs, read_run
from fabula.study.inference.contrasts import ComparedRecipe, Contrast, contrasts
from fabula.study.inference.effects import BY_ONE, LEVEL, PROTOCOLS, Final, answer, with_holm
from fabula.study.inference.shared_spread import shared_spreads
from fabula.study.inference.statistics import two_sided_p

DOCS = Path(__file__).parent
OUT = DOCS / "measured" / "null_ladders.json"
MEASURED = "factorial-basic-2-percent"
"""The kept ladder whose noise is taken."""
COLUMNS = ("val_loss", "val_loss_story")
NUM_LADDERS, NUM_WITH_EFFECT, AT_ONCE, COMPARED = 10_000, 2_000, 500, 5
SEEDS = (2, 3, 5, 8)
POWER_SEEDS = (3, 5)
SIZES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Effects to be found, as multiples of the noise."""
PATH = [ComparedRecipe(name, ("start", *"abc"[:index])) for index, name in enumerate(("start", "a", "b", "c"))]
FACTORIAL = [
    ComparedRecipe("+".join(("start", *has)), ("start", *has)) for size in range(4) for has in combinations("abc", size)
]
DESIGNS = {"path of 4 phases": PATH, "factorial of 3 changes": FACTORIAL}
WILD = (300.0, 15.0)
"""The first recipe's spread against the others': the kept ladders have 300, and in 15 it hides more easily."""


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
    return Noise(
        ladder=MEASURED,
        num_seeds=table_RSP.shape[1],
        spreads=tuple(round(float(value), 5) for value in np.sort(spread_RP[:, 0])),
        typical=round(float(np.median(spread_RP[:, 0])), 5),
        story_share=round(float(np.median(spread_RP[:, 1] / spread_RP[:, 0])), 3),
        protocols=round(float((unit_RSP[..., 0] * unit_RSP[..., 1]).sum(1).mean()) / degrees, 3),
    )


@dataclass(frozen=True)
class Condition:
    """How the noise is spread over the recipes."""

    name: str
    spreads: tuple[float, ...] = (1.0,)
    """Of the recipes, stretched to their number."""
    first: float = 1.0
    """What the first recipe's spread is multiplied by."""
    together: float = 0.0
    """Correlation of the recipes over the seeds."""
    heavy: bool = False
    """t with 3 degrees of freedom in place of the normal distribution."""
    missing: bool = False
    """The last recipe has not run its last seed."""

    def spread_R(self, num_recipes: int) -> np.ndarray:
        places = np.linspace(0, 1, num_recipes), np.linspace(0, 1, len(self.spreads))
        spread_R = np.interp(*places, self.spreads)
        spread_R[0] *= self.first
        return spread_R


def conditions(noise: Noise) -> list[Condition]:
    return [
        Condition("all alike"),
        Condition("each its own, as measured", noise.spreads),
        *(Condition(f"one wild recipe, {ratio:g} times the others", first=ratio) for ratio in WILD),
        Condition("all alike, heavy tails (t, 3 degrees)", heavy=True),
        Condition("all alike, a run missing", missing=True),
        Condition("all alike, seeds move all recipes (0.9)", together=0.9),
    ]


def drawn(random: np.random.Generator, number: int, spread_R: np.ndarray, num_seeds: int, condition: Condition,
          noise: Noise) -> np.ndarray:  # fmt: skip
    """[N, R, S, P]: losses around 4 nats."""
    shape = (number, len(spread_R), num_seeds)

    def one(size: tuple[int, ...]) -> np.ndarray:
        return random.standard_t(3, size) / np.sqrt(3) if condition.heavy else random.standard_normal(size)

    def protocol() -> np.ndarray:
        alike = one((number, 1, num_seeds))  # what a seed does to all recipes
        return np.sqrt(condition.together) * alike + np.sqrt(1 - condition.together) * one(shape)

    stream, other = protocol(), protocol()
    story = noise.protocols * stream + np.sqrt(1 - noise.protocols**2) * other
    return 4.0 + spread_R[:, None, None] * np.stack([stream, noise.story_share * story], -1)


def weights_of(recipes: Sequence[ComparedRecipe], asked: Sequence[Contrast]) -> np.ndarray:
    """[Q, R]."""
    of = [{place[1]: weight for place, weight in each.weights} for each in asked]
    return np.array([[weights.get(recipe.name, 0.0) for recipe in recipes] for weights in of])


def p_values(loss_NRS: np.ndarray, weight_QR: np.ndarray, missing: bool) -> np.ndarray:
    """[N, Q]: of one protocol, by the estimator of a report."""
    num_recipes, num_seeds = loss_NRS.shape[1:]
    num_runs_R = np.full(num_recipes, float(num_seeds))
    variance_NR, common_NRS = loss_NRS.var(-1, ddof=1), loss_NRS
    if missing:
        num_runs_R[-1] -= 1
        variance_NR[:, -1], common_NRS = loss_NRS[:, -1, :-1].var(-1, ddof=1), loss_NRS[..., :-1]
    spreads = shared_spreads(variance_NR, num_runs_R, common_NRS)
    p_NQ = []
    for weight_R in weight_QR:
        seeds = common_NRS if weight_R[-1] else loss_NRS  # those that all recipes of the question have
        mean_NR = seeds.mean(-1)
        p_NQ.append(spreads.scatter(weight_R, np.full(num_recipes, float(seeds.shape[-1]))).p(mean_NR @ weight_R))
    return np.stack(p_NQ, -1)


def plain_p_values(loss_NRS: np.ndarray, weight_QR: np.ndarray) -> np.ndarray:
    """[N, Q]: the paired t test of each question by itself, which the report used before."""
    answers_NQS = np.einsum("qr,nrs->nqs", weight_QR, loss_NRS)
    t_NQ = answers_NQS.mean(-1) / answers_NQS.std(-1, ddof=1) * np.sqrt(answers_NQS.shape[-1])
    return np.vectorize(two_sided_p)(t_NQ, answers_NQS.shape[-1] - 1.0)


def told(p_PNQ: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N, Q]: whether a question is told at all, and whether by both protocols (effects.with_holm)."""
    both_NQ, one_NQ = p_PNQ.max(0) / (1 - BY_ONE), len(p_PNQ) * p_PNQ.min(0) / BY_ONE
    question_NQ = np.minimum(both_NQ, one_NQ)
    order_NQ = np.argsort(question_NQ, -1, kind="stable")
    left_Q = np.arange(question_NQ.shape[-1], 0, -1.0)
    in_order = np.maximum.accumulate(left_Q * np.take_along_axis(question_NQ, order_NQ, -1), -1)
    before = np.concatenate([np.zeros((len(in_order), 1)), in_order[:, :-1]], -1)
    agreed = np.maximum(before, left_Q * np.take_along_axis(both_NQ, order_NQ, -1))
    back_NQ = np.argsort(order_NQ, -1)
    return tuple(np.take_along_axis(each < 1 - LEVEL, back_NQ, -1) for each in (in_order, agreed))  # type: ignore


def told_before(p_PNQ: np.ndarray) -> np.ndarray:
    """[N, Q]: whether both protocols told it by Holm over all of them, each a claim of its own."""
    flat_NC = np.concatenate(list(p_PNQ), -1)
    order_NC = np.argsort(flat_NC, -1)
    left_C = np.arange(flat_NC.shape[-1], 0, -1.0)
    adjusted = np.maximum.accumulate(left_C * np.take_along_axis(flat_NC, order_NC, -1), -1)
    claims_NC = np.take_along_axis(adjusted, np.argsort(order_NC, -1), -1) < 1 - LEVEL
    return np.logical_and.reduce(np.split(claims_NC, len(p_PNQ), -1))


def verdicts(recipes: Sequence[ComparedRecipe], asked: Sequence[Contrast], loss_RSP: np.ndarray,
             missing: bool) -> list[str]:  # fmt: skip
    """What a report of these losses says to each question."""
    rulers = dict.fromkeys(PROTOCOLS, "one")
    finals = {}
    for index, (recipe, loss_SP) in enumerate(zip(recipes, loss_RSP, strict=True)):
        kept = loss_SP[:-1] if missing and index == len(recipes) - 1 else loss_SP
        finals["basic", recipe.name] = [
            Final(seed, dict(zip(PROTOCOLS, values, strict=True)), rulers, 1e6)
            for seed, values in enumerate(kept.tolist())
        ]
    return [each.verdict for each in with_holm([answer(one, finals) for one in asked])]


def judged(recipes: Sequence[ComparedRecipe], loss_NRSP: np.ndarray, missing: bool) -> tuple[np.ndarray, np.ndarray]:
    asked = contrasts("basic", recipes)
    weight_QR = weights_of(recipes, asked)
    p_PNQ = np.stack([p_values(loss_NRSP[..., index], weight_QR, missing) for index in range(len(PROTOCOLS))])
    any_NQ, both_NQ = told(p_PNQ)
    for any_Q, both_Q, loss_RSP in list(zip(any_NQ, both_NQ, loss_NRSP, strict=True))[:COMPARED]:
        words = verdicts(recipes, asked, loss_RSP, missing)
        assert [word not in ("no evidence", "no verdict") for word in words] == any_Q.tolist(), (words, any_Q)
        assert [word in ("improved", "worse") for word in words] == both_Q.tolist(), (words, both_Q)
    return any_NQ, both_NQ


def false_ladders(recipes: Sequence[ComparedRecipe], num_seeds: int, condition: Condition, noise: Noise,
                  number: int) -> int:  # fmt: skip
    """Ladders without any effect that show one, of `number`."""
    random = np.random.default_rng([11, num_seeds, len(recipes)])
    spread_R = condition.spread_R(len(recipes))
    parts = (drawn(random, AT_ONCE, spread_R, num_seeds, condition, noise) for _ in range(number // AT_ONCE))
    return sum(int(judged(recipes, loss, condition.missing)[0].any(-1).sum()) for loss in parts)


def found(recipes: Sequence[ComparedRecipe], size: float, num_seeds: int, condition: Condition, noise: Noise,
          number: int) -> tuple[int, int]:  # fmt: skip
    """Ladders in which the first question, an effect of `size` on both protocols, has the verdict improved; and how
    many the paired t test of each question by itself would have found."""
    random = np.random.default_rng([12, num_seeds, len(recipes)])
    spread_R = condition.spread_R(len(recipes))
    gain_R = np.array([-size * ("a" in recipe.has) for recipe in recipes])
    weight_QR = weights_of(recipes, contrasts("basic", recipes))
    hits = before = 0
    for _ in range(number // AT_ONCE):
        loss = drawn(random, AT_ONCE, spread_R, num_seeds, condition, noise) + gain_R[:, None, None]
        hits += int(judged(recipes, loss, condition.missing)[1][:, 0].sum())
        plain = np.stack([plain_p_values(loss[..., index], weight_QR) for index in range(len(PROTOCOLS))])
        before += int(told_before(plain)[:, 0].sum())
    return hits, before


def main(number: int) -> None:
    noise = measured_noise()
    nulls, power = [], []
    for design, recipes in DESIGNS.items():
        questions = len(contrasts("basic", recipes))
        for condition in conditions(noise):
            for num_seeds in SEEDS:
                if condition.missing and num_seeds == 2:
                    continue  # the recipe would have one run, and no verdict
                false = false_ladders(recipes, num_seeds, condition, noise, number)
                nulls.append({"design": design, "questions": questions, "seeds": num_seeds, "noise": condition.name,
                              "false": false, "ladders": number})  # fmt: skip
                print(nulls[-1], flush=True)
        alike, own, *_, together = conditions(noise)
        for condition, unit in ((alike, 1.0), (own, noise.typical), (together, 1.0)):
            for num_seeds in POWER_SEEDS:
                hits = [found(recipes, size * unit, num_seeds, condition, noise, NUM_WITH_EFFECT) for size in SIZES]
                sizes = dict(zip(map(str, SIZES), hits, strict=True))
                power.append({"design": design, "seeds": num_seeds, "noise": condition.name, "unit": unit,
                              "ladders": NUM_WITH_EFFECT, "found": sizes})  # fmt: skip
                print(power[-1], flush=True)
    text = json.dumps({"noise": asdict(noise), "nulls": nulls, "power": power}, indent=1)
    OUT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NUM_LADDERS)
