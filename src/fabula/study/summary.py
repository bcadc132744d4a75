"""What a ladder, or runs and logs side by side, came to, as values for programs."""

from dataclasses import asdict
from typing import Any

from fabula.study.inference.effect_words import as_finding, roughness_finding
from fabula.study.phases.out_of_order import out_of_order
from fabula.study.views import LadderView


def summary(ladder: LadderView) -> dict[str, Any]:
    """Runs with verdict and findings, noise, effects, and what came out of order."""
    runs = [
        {
            "path": str(view.path),
            "tier": view.tier,
            "phase": view.phase,
            "seed": view.seed,
            "status": view.run.status if view.run else "missing",
            "problem": view.problem,
            "final": view.final,
            **(view.diagnosis.as_json() if view.diagnosis else {"verdict": None, "findings": [], "silent": []}),
        }
        for view in ladder.runs
    ]
    lost = [each for tier in ladder.tiers for each in out_of_order(tier)]
    return {
        "name": ladder.name,
        "groups": ladder.grouping.as_json(),
        "grouped_because": [each.replace("`", "") for each in ladder.grouping.told],
        "runs": runs,
        "noise": [{"tier": tier.name, **asdict(floor)} for tier in ladder.tiers for floor in tier.noise],
        "effects": [as_finding(each).as_json() for each in ladder.effects],
        "roughness": [roughness_finding(each).as_json() for tier in ladder.tiers for each in tier.roughness],
        "out_of_order": [f"Out of order on {each.tier}: {each.sentence()}".replace("`", "") for each in lost],
    }
