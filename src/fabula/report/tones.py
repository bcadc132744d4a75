"""The colour of what is told: one place for findings, the health of runs, and verdicts."""

from fabula.report.render.blocks import Tone
from fabula.study.inference.effect_words import verdict_words
from fabula.study.inference.effects import Effect

HEALTH_TONES: dict[str, Tone] = {
    "healthy": "good",
    "not judged": "unknown",
    "with warnings": "warning",
    "failed": "failure",
    "not finished": "unknown",
    "not there": "unknown",
}
"""State of a run (fabula.study.health) -> colour."""
DIAGNOSIS_TONES: dict[str, Tone] = {
    "failed": "failure",
    "warning": "warning",
    "not judged": "unknown",
    "healthy": "good",
}
"""Verdict of a run's findings -> colour, the worst first; any other is `unknown`."""
VERDICT_TONES: dict[str, Tone] = {
    "improved": "good",
    "worse": "failure",
    "depends on the protocol": "warning",
    "better together": "note",
    "worse together": "note",
    "helps more": "note",
    "helps less": "note",
}
"""Verdict in words -> colour; any other is `unknown`. An interaction is neither good nor bad news."""


def tone_of(each: Effect) -> Tone:
    return VERDICT_TONES.get(verdict_words(each), "unknown")


def roughness_tone(each: Effect) -> Tone:
    """A noisier end is no failure."""
    return "warning" if each.verdict == "worse" else tone_of(each)
