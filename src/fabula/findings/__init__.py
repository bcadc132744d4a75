"""What a record says, as findings with their evidence: one rule a function, and the statistics of a ladder."""

from fabula.findings.diagnosis import Diagnosis, diagnose, lint
from fabula.findings.facts import Facts, Flags

__all__ = ["Diagnosis", "Facts", "Flags", "diagnose", "lint"]
