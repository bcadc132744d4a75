"""What a ladder shows as a whole, in the form in which a run is diagnosed: effects and interactions as findings."""

from fabula.findings import Diagnosis
from fabula.findings.diagnosis import SilentRule
from fabula.findings.kinds import LADDER, TOPICS
from fabula.study.inference.effect_words import as_finding
from fabula.study.views import LadderView


def diagnose_ladder(ladder: LadderView) -> Diagnosis:
    """Every effect and interaction that was asked for; silent, with the reason, where no verdict is possible."""
    if lacks := _lacks(ladder):
        return Diagnosis((), (SilentRule(tuple(kind.name for kind in TOPICS[LADDER]), lacks, ""),))
    asked = (each for each in ladder.effects if each.headline is not None or each.reason)
    return Diagnosis(tuple(as_finding(each) for each in asked), ())


def _lacks(ladder: LadderView) -> str:
    if not ladder.effects:
        return "needs two recipes or more to compare"
    if ladder.num_seeds < 2:
        return "needs two seeds or more: with one, any difference may be chance"
    if ladder.num_paired_seeds < 2:
        return "needs two seeds or more that have finished every run that is compared"
    return ""
