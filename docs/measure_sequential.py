"""Writes measured/sequential_ladders.json: ladders that grow until they are told, with an effect and without.

python docs/measure_sequential.py [LADDERS [PROCESSES]]

Ladders are drawn as in measure_ladders.py, with as many seeds as a ladder is ever given. Then each is looked at as
`--until-told` looks: which recipes have more seeds at a look hangs on what the looks before it told. Ladders whose
recipes have the same seeds and whose questions are in the same state are judged together. The first ladders of each
condition go through the report's own code (sequential.asked_in_turn), and every answer must be the same.

Shapes: N ladders, R recipes, S seeds, P protocols (stream, story), Q questions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from measure_ladders import (
    AT_ONCE,
    COMPARED,
    DESIGNS,
    NUM_LADDERS,
    NUM_WITH_EFFECT,
    Condition,
    Noise,
    conditions,
    drawn,
    judged,
    measured_noise,
    weights_of,
)

from fabula.study.inference.contrasts import ComparedRecipe, contrasts
from fabula.study.inference.effects import BY_ONE, LEVEL, PROTOCOLS, Final
from fabula.study.inference.sequential import MOST_SEEDS, Look, UntilTold, asked_in_turn, planned_looks
from fabula.study.inference.shared_spread import shared_spreads

OUT = Path(__file__).parent / "measured" / "sequential_ladders.json"
FIRST = (2, 3)
"""Seeds to begin with."""
DETECTS = (None, 3.0)
"""Of ladders without an effect, in standard deviations: until all 16 seeds are there, and until all is shown to be
small."""
SIZES = (2.0, 4.0)
FIXED = range(3, MOST_SEEDS + 1)
ENOUGH = 0.995
CELL = ("design", "noise", "gains", "first", "detect")
"""What a row of the record says of its cell."""
OPEN, IMPROVED, WORSE, DEPENDS, SMALLER = range(5)


@dataclass(frozen=True)
class Plan:
    first: int
    detect: float | None
    """In nats."""


def grown(recipes: Sequence[ComparedRecipe], loss_NRSP: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """[N, Q] the state of each question at the end, and [N, R] the seeds of each recipe."""
    weight_QR = weights_of(recipes, contrasts("basic", recipes))
    seeds_NR = np.zeros(loss_NRSP.shape[:2], int)
    state_NQ = np.zeros((len(loss_NRSP), len(weight_QR)), int)
    taken: list[np.ndarray] = []
    for number, (seeds, share) in enumerate(zip(*planned_looks(plan.first), strict=True)):
        wanted_NR = ((state_NQ == OPEN) @ (weight_QR != 0)) if number else np.ones_like(seeds_NR, bool)
        seeds_NR = np.where(wanted_NR, seeds, seeds_NR)
        taken.append(seeds_NR)
        patterns, which_N = np.unique(np.concatenate([seeds_NR, state_NQ], 1), axis=0, return_inverse=True)
        for index, pattern in enumerate(patterns):
            still_Q = pattern[seeds_NR.shape[1] :] == OPEN
            if still_Q.any():
                there = np.flatnonzero(which_N.ravel() == index)
                state_NQ[there] = looked(loss_NRSP[there], pattern, weight_QR, share, plan.detect)
    for row in range(min(COMPARED, len(loss_NRSP))):
        said = reported(recipes, loss_NRSP[row], plan, [seeds_NR[row] for seeds_NR in taken])
        assert said == state_NQ[row].tolist(), (said, state_NQ[row])
    return state_NQ, seeds_NR


def looked(loss_NRSP: np.ndarray, pattern: np.ndarray, weight_QR: np.ndarray, share: float,
           detect: float | None) -> np.ndarray:  # fmt: skip
    """[N, Q]: the states after a look at ladders whose recipes and questions stand as `pattern` says."""
    num_recipes = loss_NRSP.shape[1]
    seeds_R, state_Q = pattern[:num_recipes], pattern[num_recipes:]
    places = np.flatnonzero(state_Q == OPEN)
    p_PNQ, mean_PNQ, large_PNQ = (np.ones((len(PROTOCOLS), len(loss_NRSP), len(places))) for _ in range(3))
    for protocol in range(len(PROTOCOLS)):
        loss_NRS = loss_NRSP[..., protocol]
        variance_NR = np.stack([loss_NRS[:, r, :num].var(-1, ddof=1) for r, num in enumerate(seeds_R)], -1)
        spreads = shared_spreads(variance_NR, seeds_R.astype(float), loss_NRS[..., : seeds_R.min()])
        for column, place in enumerate(places):
            weight_R = weight_QR[place]
            num = int(seeds_R[weight_R != 0].min())
            mean_N = loss_NRS[..., :num].mean(-1) @ weight_R
            scatter = spreads.scatter(weight_R, np.full(num_recipes, float(num)))
            p_PNQ[protocol, :, column], mean_PNQ[protocol, :, column] = scatter.p(mean_N), mean_N
            if detect is not None:
                room_N = detect - np.abs(mean_N)
                p_N = 0.5 * scatter.p(np.maximum(room_N, 0.0))
                large_PNQ[protocol, :, column] = np.where(room_N > 0, p_N, 1.0)
    same_NQ = (mean_PNQ > 0).all(0) | (mean_PNQ <= 0).all(0)
    both_NQ = np.where(same_NQ, p_PNQ.max(0) / (1 - BY_ONE), 1.0)
    least_NQ = np.minimum(both_NQ, len(PROTOCOLS) * p_PNQ.min(0) / BY_ONE)
    num_open = len(state_Q) - int(np.isin(state_Q, (IMPROVED, WORSE, DEPENDS)).sum())
    order_NQ = np.argsort(least_NQ, -1)
    left_Q = num_open - np.arange(len(places))
    adjusted_NQ = np.maximum.accumulate(left_Q * np.take_along_axis(least_NQ, order_NQ, -1) / share, -1)
    rank_NQ = np.argsort(order_NQ, -1)
    told_NQ = np.take_along_axis(adjusted_NQ, rank_NQ, -1) < 1 - LEVEL
    agreed_NQ = told_NQ & ((num_open - rank_NQ) * both_NQ / share < 1 - LEVEL)
    small_NQ = len(state_Q) * large_PNQ.max(0) / share < 1 - LEVEL
    verdict_NQ = np.where(agreed_NQ, np.where(mean_PNQ[0] < 0, IMPROVED, WORSE), DEPENDS)
    state_NQ = np.tile(state_Q, (len(loss_NRSP), 1))
    state_NQ[:, places] = np.where(told_NQ, verdict_NQ, np.where(small_NQ, SMALLER, OPEN))
    return state_NQ


def reported(recipes: Sequence[ComparedRecipe], loss_RSP: np.ndarray, plan: Plan,
             taken: Sequence[np.ndarray]) -> list[int]:  # fmt: skip
    """What a report of this ladder says to each question."""
    rulers = dict.fromkeys(PROTOCOLS, "one")
    places = [("basic", recipe.name) for recipe in recipes]
    finals = {
        place: [
            Final(seed, dict(zip(PROTOCOLS, values, strict=True)), rulers, 1e6)
            for seed, values in enumerate(loss_SP.tolist())
        ]
        for place, loss_SP in zip(places, loss_RSP, strict=True)
    }
    looks = tuple(Look("", 0.0, dict(zip(places, map(int, seeds_R), strict=True))) for seeds_R in taken)
    told = UntilTold(*planned_looks(plan.first), plan.detect, None, looks[-1].seeds, looks)
    words = {"improved": IMPROVED, "worse": WORSE, "depends on the protocol": DEPENDS}
    return [
        SMALLER if each.turn is not None and each.turn.outcome == "smaller" else words.get(each.verdict, OPEN)
        for each in asked_in_turn(contrasts("basic", recipes), finals, told)
    ]


@dataclass(frozen=True)
class Cell:
    """One row of what is measured."""

    design: str
    condition: Condition
    noise: Noise
    first: int
    detect: float | None
    number: int
    gains: tuple[float, ...] = ()
    """What each phase of a path lowers both losses by."""

    def losses(self, most: int = MOST_SEEDS) -> list[np.ndarray]:
        recipes = DESIGNS[self.design]
        random = np.random.default_rng([17, len(recipes), self.first, most])
        spread_R = self.condition.spread_R(len(recipes))
        lower_R = np.array([sum(gain for gain, phase in zip(self.gains, "abc", strict=False) if phase in each.has)
                            for each in recipes])  # fmt: skip
        size = min(AT_ONCE, self.number)
        return [
            drawn(random, size, spread_R, most, self.condition, self.noise) - lower_R[:, None, None]
            for _ in range(self.number // size)
        ]


def null_row(cell: Cell) -> dict:
    """Ladders without any effect that show one."""
    false, runs = 0, []
    for loss in cell.losses():
        state_NQ, seeds_NR = grown(DESIGNS[cell.design], loss, Plan(cell.first, cell.detect))
        false += int(np.isin(state_NQ, (IMPROVED, WORSE, DEPENDS)).any(-1).sum())
        runs.append(seeds_NR.sum(-1))
    return {"design": cell.design, "noise": cell.condition.name, "first": cell.first, "detect": cell.detect,
            "ladders": len(np.concatenate(runs)), "false": false,
            "runs": round(float(np.concatenate(runs).mean()), 1)}  # fmt: skip


def small_row(cell: Cell) -> dict:
    """Ladders in which the first change has an effect of `detect`, and is said to be smaller."""
    said = number = 0
    for loss in cell.losses():
        state_NQ, _ = grown(DESIGNS[cell.design], loss, Plan(cell.first, cell.detect))
        said, number = said + int((state_NQ[:, 0] == SMALLER).sum()), number + len(loss)
    return {"design": cell.design, "noise": cell.condition.name, "first": cell.first, "detect": cell.detect,
            "ladders": number, "false": said}  # fmt: skip


def power_row(cell: Cell) -> dict:
    """How often the first change is found, and with how many runs."""
    found, runs = [], []
    for loss in cell.losses():
        state_NQ, seeds_NR = grown(DESIGNS[cell.design], loss, Plan(cell.first, cell.detect))
        found.append(state_NQ[:, 0] == IMPROVED)
        runs.append(seeds_NR.sum(-1))
    runs_N = np.concatenate(runs)
    return {"gains": cell.gains, "first": cell.first, "detect": cell.detect, "ladders": len(runs_N),
            "found": round(float(np.concatenate(found).mean()), 3), "runs": round(float(runs_N.mean()), 1),
            "most_of_90_percent": int(np.quantile(runs_N, 0.9))}  # fmt: skip


def fixed_rows(cell: Cell) -> list[dict]:
    """The same of ladders with a fixed number of seeds, up to one that finds it nearly always."""
    recipes, rows = DESIGNS[cell.design], []
    for seeds in FIXED:
        found = [judged(recipes, loss, missing=False)[1][:, 0] for loss in cell.losses(seeds)]
        share = float(np.concatenate(found).mean())
        rows.append({"gains": cell.gains, "seeds": seeds, "ladders": cell.number, "runs": seeds * len(recipes),
                     "found": round(share, 3)})  # fmt: skip
        if share >= ENOUGH:
            break
    return rows


def main(number: int, processes: int) -> None:
    noise = measured_noise()
    every = [each for each in conditions(noise) if not each.missing]
    nulls = [Cell(design, condition, noise, first, detect, number)
             for design in DESIGNS for condition in every for first in FIRST for detect in DETECTS
             if detect is None or condition.name == "all alike"]  # fmt: skip
    alike = Cell("path of 4 phases", every[0], noise, 3, None, min(number, NUM_WITH_EFFECT))
    small = [replace(alike, condition=condition, number=number, detect=2.0, gains=(2.0, 0.0, 0.0))
             for condition in every if condition.spreads == (1.0,)]  # fmt: skip
    gains = [(size, 0.0, 0.0) for size in SIZES] + [(size, size, size) for size in SIZES]
    power = [replace(alike, gains=each, detect=detect) for each in gains for detect in (None, each[0], 1.5 * each[0])]
    told = Kept(OUT)
    with ProcessPoolExecutor(processes) as pool:
        fixed = [replace(alike, gains=each) for each in gains]
        for rows in pool.map(fixed_rows, [cell for cell in fixed if not told.has("fixed", cell)]):
            told.add("fixed", rows)
        for name, row, cells in (("power", power_row, power), ("small", small_row, small), ("nulls", null_row, nulls)):
            for each in pool.map(row, [cell for cell in cells if not told.has(name, cell)]):
                told.add(name, [each])


class Kept:
    """The record, written after every cell. A cell that is in it, of as many ladders, is not made again: after a change
    of the estimator or of the plan the record is to be deleted first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, list[dict]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def has(self, name: str, cell: Cell) -> bool:
        asked = json.loads(json.dumps({**asdict(cell), "noise": cell.condition.name}))
        return any(same_cell(row, asked) and row.get("ladders") == cell.number for row in self.rows.get(name, ()))

    def add(self, name: str, rows: list[dict]) -> None:
        """In the place of the rows of the same cell, of another number of ladders."""
        print(name, rows[-1], flush=True)
        asked = json.loads(json.dumps(rows))
        self.rows[name] = [row for row in self.rows.get(name, ()) if not same_cell(row, asked[0])] + asked
        self.path.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")


def same_cell(row: dict, asked: dict) -> bool:
    """Whether all that `row` says of its cell is as asked."""
    return all(row[name] == asked[name] for name in CELL if name in row)


if __name__ == "__main__":
    arguments = [int(each) for each in sys.argv[1:]]
    main(*(arguments + [NUM_LADDERS, 1][len(arguments) :]))
