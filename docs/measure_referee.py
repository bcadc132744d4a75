"""Writes measured/referee.json: what `fabula compare` keeps of changes that do nothing, and of changes that help.

python docs/measure_referee.py [LOOPS]

A loop proposes 100 changes, one after the other. Each is trained with three seeds and compared with the base; where
more seeds are wanted, they are made, and the second look decides. Ten thousand loops are judged at a time by the
estimator of a comparison; so that no other way is measured, the first ones go through `decide` as well, and every
decision must be the same.

Shapes: N loops, S runs of a group, G groups.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fabula.study.inference.shared_spread import shared_spreads
from fabula.study.referee.deciding import MOST_RUNS, Terms, decide
from fabula.study.referee.power import FEWEST, least_ratio

OUT = Path(__file__).parent / "measured" / "referee.json"
NUM_LOOPS, NUM_CHANGES, NUM_WITH_EFFECT, COMPARED = 10_000, 100, 10_000, 5
FIRST = 3
"""Runs of a group at the first look."""
SIZES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Improvements, as multiples of the noise."""
ALLOWED = 5
KEPT = {"the base stays": False, "what is kept becomes the base": True}


@dataclass(frozen=True)
class Condition:
    name: str
    base: float = 1.0
    """Spread of the base's seeds ..."""
    new: float = 1.0
    """... and of a change's, in units of the noise."""
    heavy: bool = False
    """t with 3 degrees of freedom in place of the normal distribution."""


CONDITIONS = (
    Condition("all alike"),
    Condition("the base five times as noisy", base=5.0),
    Condition("changes five times as noisy", new=5.0),
    Condition("all alike, heavy tails (t, 3 degrees)", heavy=True),
)


def drawn(random: np.random.Generator, number: int, condition: Condition, spread: float) -> np.ndarray:
    """[N, S]: as many runs as can ever be asked for."""
    shape = (number, MOST_RUNS)
    return spread * (random.standard_t(3, shape) / np.sqrt(3) if condition.heavy else random.standard_normal(shape))


def _wanted(num_base: int, num_new: int, ratio_N: np.ndarray, level: float) -> np.ndarray:
    """[N]: runs a group after the second look (power.wanted)."""
    sizes = range(max(2, min(num_base, num_new)), MOST_RUNS + 1)
    aim_N = np.full(len(ratio_N), MOST_RUNS)
    for size in reversed(sizes):
        least = least_ratio(max(num_base, size), max(num_new, size), level)
        aim_N = np.where(least <= ratio_N, size, aim_N)
    return aim_N


def look(base_NS: np.ndarray, new_NS: np.ndarray, terms: Terms) -> tuple[np.ndarray, np.ndarray]:
    """[N] what is kept, and [N] how many runs a group are wanted; 0 where it is decided. (deciding.decide)"""
    num_base, num_new = base_NS.shape[1], new_NS.shape[1]
    mean_N = new_NS.mean(-1) - base_NS.mean(-1)
    variance_NR = np.stack([base_NS.var(-1, ddof=1), new_NS.var(-1, ddof=1)], -1)
    sizes_R = np.array([num_base, num_new], float)
    p_N = shared_spreads(variance_NR, sizes_R).scatter(np.array([-1.0, 1.0]), sizes_R).p(mean_N)
    kept_N = (p_N < terms.error_rate) & (mean_N < 0)
    if terms.is_last:
        return kept_N, np.zeros(len(mean_N), int)
    spread_N = np.sqrt((variance_NR * (sizes_R - 1)).sum(-1) / (sizes_R - 1).sum())
    ratio_N = np.maximum(np.abs(mean_N), spread_N) / spread_N
    aim_N = _wanted(num_base, num_new, ratio_N, terms.error_rate)
    no_sign_N = (mean_N >= 0) & (min(num_base, num_new) >= FEWEST)
    decided_N = (p_N < terms.error_rate) | ((aim_N <= num_base) & (aim_N <= num_new)) | no_sign_N
    return kept_N, np.where(decided_N, 0, aim_N)


def proposed(base_NS: np.ndarray, have_N: np.ndarray, new_NS: np.ndarray, looks: int) -> tuple[np.ndarray, ...]:
    """[N] each: whether the change is kept, and how many runs the base and the change have then."""
    kept_N, made_N, new_N = np.zeros(len(have_N), bool), have_N.copy(), np.full(len(have_N), FIRST)
    open_N = np.ones(len(have_N), bool)
    for number in range(1, looks + 1):
        aim_N = np.zeros(len(have_N), int)
        for sizes in {*zip(made_N[open_N].tolist(), new_N[open_N].tolist(), strict=True)}:
            here_N = open_N & (made_N == sizes[0]) & (new_N == sizes[1])
            kept_N[here_N], aim_N[here_N] = look(
                base_NS[here_N, : sizes[0]],
                new_NS[here_N, : sizes[1]],
                Terms(look=number, looks=looks),
            )
        open_N = aim_N > 0
        made_N, new_N = np.maximum(made_N, aim_N), np.maximum(new_N, aim_N)
    return kept_N, made_N, new_N


def as_decided(base_S: np.ndarray, have: int, new_S: np.ndarray, looks: int) -> tuple[bool, int, int]:
    """The same of one loop, by what the command asks."""
    new = FIRST
    for number in range(1, looks + 1):
        base, values = base_S[:have].tolist(), [new_S[:new].tolist()]
        (judged,) = decide(base, values, Terms(look=number, looks=looks))
        if judged.wanted is None:
            break
        have, new = have + judged.wanted.base, new + judged.wanted.new
    return judged.decision == "keep", have, new


def loops(condition: Condition, becomes_base: bool, number: int) -> dict[str, object]:
    """What loops keep of changes that do nothing."""
    random = np.random.default_rng([21, CONDITIONS.index(condition), becomes_base])
    base_NS, have_N = drawn(random, number, condition, condition.base), np.full(number, FIRST)
    kept_N, runs_N = np.zeros(number, int), have_N.copy()
    for _ in range(NUM_CHANGES):
        new_NS = drawn(random, number, condition, condition.new)
        now_N, made_N, new_N = proposed(base_NS, have_N, new_NS, looks=2)
        for each in range(COMPARED):
            asked = as_decided(base_NS[each], int(have_N[each]), new_NS[each], looks=2)
            assert asked == (now_N[each], made_N[each], new_N[each]), (asked, now_N[each], made_N[each], new_N[each])
        runs_N += made_N - have_N + new_N
        kept_N, have_N = kept_N + now_N, made_N
        if becomes_base:
            base_NS, have_N = np.where(now_N[:, None], new_NS, base_NS), np.where(now_N, new_N, have_N)
    return {
        "noise": condition.name, "becomes_base": becomes_base, "loops": number, "changes": NUM_CHANGES,
        "kept": float(kept_N.mean()), "at_most": int((kept_N <= ALLOWED).sum()), "most": int(kept_N.max()),
        "runs_a_change": float(runs_N.mean() / NUM_CHANGES),
    }  # fmt: skip


def naive(number: int) -> dict[str, object]:
    """One run a change, kept where its loss is lower: what most loops do."""
    random = np.random.default_rng(22)
    base_N, kept_N = random.standard_normal(number), {name: np.zeros(number, int) for name in KEPT}
    best_N = base_N.copy()
    for _ in range(NUM_CHANGES):
        new_N = random.standard_normal(number)
        kept_N["the base stays"] += new_N < base_N
        kept_N["what is kept becomes the base"] += new_N < best_N
        best_N = np.minimum(best_N, new_N)
    kept = {name: float(each.mean()) for name, each in kept_N.items()}
    return {"changes": NUM_CHANGES, "loops": number, "kept": kept, "better_by_luck": float((base_N - best_N).mean())}


def found(size: float, looks: int, number: int) -> dict[str, object]:
    """How often a change that helps is kept, and with how many runs of it."""
    random = np.random.default_rng([23, int(10 * size), looks])
    condition = CONDITIONS[0]
    base_NS, new_NS = drawn(random, number, condition, 1.0), drawn(random, number, condition, 1.0) - size
    kept_N, made_N, new_N = proposed(base_NS, np.full(number, FIRST), new_NS, looks)
    return {"size": size, "looks": looks, "changes": number, "kept": int(kept_N.sum()), "new": float(new_N.mean()),
            "base": float(made_N.mean())}  # fmt: skip


def fooled(condition: Condition, shared: bool, number: int, groups: int = 3) -> dict[str, object]:
    """How often a single look at a base and other groups, none of which changes anything, tells something of one."""
    random = np.random.default_rng([24, CONDITIONS.index(condition)])
    spreads = [condition.base, *[condition.new] * (groups - 1)]
    loss_NGS = np.stack([drawn(random, number, condition, spread)[:, :FIRST] for spread in spreads], 1)
    mean_NG, variance_NG = loss_NGS.mean(-1), loss_NGS.var(-1, ddof=1)
    p_QN = []
    for place in range(1, groups):
        known = list(range(groups)) if shared else [0, place]
        weight_R = np.array([-1.0 if each == 0 else float(each == place) for each in known])
        sizes_R = np.full(len(known), float(FIRST))
        scatter = shared_spreads(variance_NG[:, known], sizes_R).scatter(weight_R, sizes_R)
        p_QN.append(scatter.p(mean_NG[:, place] - mean_NG[:, 0]))
    told = int((np.min(p_QN, 0) * (groups - 1) < Terms(looks=1).error_rate).sum())
    return {"noise": condition.name, "shared": shared, "groups": groups, "calls": number, "told": told}


def main(number: int) -> None:
    nulls = []
    for condition in CONDITIONS:
        for becomes_base in KEPT.values():
            nulls.append(loops(condition, becomes_base, number))
            print(nulls[-1], flush=True)
    power = [found(size, looks, NUM_WITH_EFFECT) for looks in (1, 2) for size in SIZES]
    calls = [fooled(condition, shared, number) for condition in CONDITIONS for shared in (False, True)]
    document = {"loops": nulls, "one_run_each": naive(number), "power": power, "calls": calls, "first": FIRST,
                "most": MOST_RUNS}  # fmt: skip
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else NUM_LOOPS)
