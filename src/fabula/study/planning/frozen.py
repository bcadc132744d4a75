"""What was planned before the first run, and what came later."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fabula.record.wording import plural, seeds_text
from fabula.study.inference.contrasts import Contrast
from fabula.study.inference.effects import ESTIMATOR, LEVEL, PROTOCOLS
from fabula.study.inference.sequential import until_told
from fabula.study.planning.next_seeds import plan_words
from fabula.study.views import LadderView, RunView

ANALYSIS = {
    "estimator": ESTIMATOR,
    "error_rate": round(1.0 - LEVEL, 6),
    "shared_by": "all questions of the page (Holm)",
    "protocols": list(PROTOCOLS),
    "verdict_needs": "both protocols",
}
"""How this fabula answers a ladder's questions: what a frozen plan says, and is compared with."""
MOST_NAMED = 4


@dataclass(frozen=True)
class Planned:
    """In sentences; `problem`: why there are none."""

    when: str = ""
    version: str = ""
    hash: str = ""
    planned: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    """What was added to the plan, or is otherwise than it says."""
    open: tuple[str, ...] = ()
    """What it says and is not there yet."""
    problem: str = ""


def question_text(contrast: Contrast) -> str:
    """A question in words that stay the same, whatever else a ladder asks."""
    tiers = " and ".join(contrast.tiers)
    if contrast.kind == "interaction":
        return f"{tiers}: how {contrast.name} go together"
    return f"{tiers}: {contrast.name} ({contrast.after} against {contrast.before})"


def planned_of(ladder: LadderView) -> Planned | None:
    """None where nothing was frozen."""
    frozen = ladder.frozen
    if frozen is None:
        return None
    if frozen.problem:
        return Planned(problem=frozen.problem)
    said = frozen.content
    seeds, phases = [int(seed) for seed in said["seeds"]], [str(each.get("name")) for each in said["phases"]]
    tiers, questions = [str(tier) for tier in said["tiers"]], [str(each) for each in said["questions"]]
    analysis = said["analysis"]
    planned = (
        f"{plural(len(tiers), 'tier')} ({', '.join(tiers)}), {plural(len(phases), 'recipe')} ({', '.join(phases)}), "
        f"{seeds_text(seeds)}.",
        f"When to stop: {said['stopping_rule']}.",
        f"{plural(len(questions), 'question')}: {'; '.join(questions) or 'none'}.",
        f"The analysis: {analysis.get('estimator')}, an error rate of {analysis.get('error_rate')} for "
        f"{analysis.get('shared_by')}, on {' and '.join(map(str, analysis.get('protocols') or []))}; a verdict needs "
        f"{analysis.get('verdict_needs')}.",
    )
    return Planned(
        said["frozen"],
        said["fabula"],
        frozen.hash,
        planned,
        (*_added(ladder, seeds, phases, tiers, questions), *_otherwise(ladder)),
        _missing(ladder, seeds, phases, tiers),
    )


def _added(
    ladder: LadderView, seeds: Sequence[int], phases: Sequence[str], tiers: Sequence[str], questions: Sequence[str]
) -> list[str]:
    there = [view for view in ladder.own.runs if view.run is not None]
    new_tiers = _new((view.tier for view in there), tiers)
    new_phases = _new((view.phase for view in there), phases)
    new_seeds = sorted({view.seed for view in there} - set(seeds))
    asked = _new((question_text(each.contrast) for each in ladder.effects), questions)
    told = []
    if new_tiers:
        told.append(f"{'Tier' if len(new_tiers) == 1 else 'Tiers'} that the plan does not have: {_some(new_tiers)}.")
    if new_phases:
        kind = "Recipe" if len(new_phases) == 1 else "Recipes"
        told.append(f"{kind} that the plan does not have: {_some(new_phases)}.")
    if new_seeds and not (ladder.frozen and ladder.frozen.content.get("grows")):
        told.append(f"More seeds than planned: {seeds_text(new_seeds)}.")
    if asked:
        told.append(
            f"{plural(len(asked), 'question')} that the plan does not ask: {_some(asked)}. What came to mind after a "
            "look at the runs finds something more easily than what was asked before."
        )
    return told


def _otherwise(ladder: LadderView) -> list[str]:
    """What is there and is not as the plan says."""
    said = ladder.frozen.content if ladder.frozen else {}
    there = [view for view in ladder.own.runs if view.run is not None]
    told = []
    changed = _new(
        (
            f"{view.tier}/{view.phase}"
            for view in there
            if (due := said["recipes"].get(f"{view.tier}/{view.phase}")) is not None
            and due not in (view.of("recipe_hash"), view.of("recipe_hash_before"))
        ),
        (),
    )
    if changed:
        told.append(f"Trained by another recipe than planned: {_some(changed)}.")
    texts, words = said["data"].get("text_hashes") or {}, said["data"].get("tokenizers") or {}
    if any(hash_ is not None and hash_ != texts.get(name) for view in there for name, hash_ in _texts(view).items()):
        told.append("The stories are others than those of the plan.")
    if any(
        view.of("data", "tokenizer_hash") not in (None, words.get(str(view.of("data", "tokenizer")))) for view in there
    ):
        told.append("The tokenizer is another than that of the plan.")
    for name, value in said["analysis"].items():
        if name in ANALYSIS and ANALYSIS[name] != value:
            told.append(f"The {name.replace('_', ' ')} of this page is {ANALYSIS[name]}, and {value} was planned.")
    rule = until_told(ladder.plan)
    grows = plan_words(rule) if rule else ""
    if bool(grows) != bool(said.get("grows")) or (grows and grows != said["stopping_rule"]):
        told.append(f"The rule for stopping is another one than planned: {grows or 'a fixed number of seeds'}.")
    if ladder.plan.get("scale") is not None and ladder.plan["scale"] != said.get("scale"):
        told.append(f"The scale is {ladder.plan['scale']}, and {said.get('scale')} was planned.")
    return told


def _texts(view: RunView) -> dict[str, Any]:
    hashes = view.of("data", "text_hashes")
    return hashes if isinstance(hashes, dict) else {}


def _missing(ladder: LadderView, seeds: Sequence[int], phases: Sequence[str], tiers: Sequence[str]) -> tuple[str, ...]:
    ended = {
        (view.tier, view.phase, view.seed)
        for view in ladder.own.runs
        if view.run is not None and view.run.status in ("finished", "failed")
    }
    due = [(tier, phase, seed) for tier in tiers for phase in phases for seed in seeds]
    open_ = [place for place in due if place not in ended]
    return (f"{len(open_)} of {len(due)} planned runs have not ended.",) if open_ else ()


def _new(names: Iterable[str], known: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name not in set(known)]


def _some(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
