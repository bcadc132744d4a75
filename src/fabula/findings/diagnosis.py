"""All rules over one run, and its verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fabula.findings.caveat import caveat
from fabula.findings.facts import Facts, Flags, facts_of_recipe, facts_of_run
from fabula.findings.judged import unjudged
from fabula.findings.kinds import INSIDE, KINDS, RULES
from fabula.findings.rule import Silent, plural
from fabula.recipe import Recipe
from fabula.record.finding import Finding, Verdict, verdict
from fabula.record.reader import Run

LOSS_SHOWS = ("divergence", "spike", "non_finite")
"""What the loss shows of a training that goes wrong, from one step to another."""


@dataclass(frozen=True)
class SilentRule:
    """Kinds that were not checked, and why: what the check needs and the record lacks, or what it applies to."""

    kinds: tuple[str, ...]
    lacks: str
    option: str
    """The command-line option that would wake the check; empty where none would."""


@dataclass(frozen=True)
class Diagnosis:
    findings: tuple[Finding, ...]
    silent: tuple[SilentRule, ...]
    caveat: str = ""
    """Why the model is no good one yet, however well its training went; empty where nothing is known against it."""

    unjudged: str = ""
    """Why its loss could not be judged, and what that would take; empty where it was."""

    @property
    def verdict(self) -> Verdict:
        return verdict(list(self.findings), judged=not self.unjudged)

    def of(self, *kinds: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.kind in kinds]

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "caveat": self.caveat,
            "unjudged": self.unjudged,
            "findings": [finding.as_json() for finding in self.findings],
            "silent": [
                {"kinds": list(each.kinds), "lacks": each.lacks, "option": each.option or None} for each in self.silent
            ],
        }


def diagnose(run: Run, flags: Flags | None = None) -> Diagnosis:
    """What the record of `run` says. Raises InputError when its recipe.toml is damaged."""
    return diagnose_facts(facts_of_run(run, flags))


def lint(recipe: Recipe, rates: Mapping[int, float] | None = None) -> Diagnosis:
    """The same findings on the plan, before step 0. `rates`, by update: of whoever may ask a schedule of the user's own
    for them."""
    return diagnose_facts(facts_of_recipe(recipe, rates))


def diagnose_facts(facts: Facts) -> Diagnosis:
    findings: list[Finding] = []
    silent: list[SilentRule] = []
    for rule, kinds in RULES.items():
        if facts.planned and rule.needs_run:
            continue
        outcome = rule.look(facts)
        if isinstance(outcome, Silent):
            silent.append(SilentRule(kinds, outcome.lacks, outcome.option))
        else:
            assert all(finding.kind in kinds for finding in outcome), f"kinds.py lacks a kind of the rule for {kinds}"
            findings.extend(outcome)
    findings = ahead_of_the_loss(findings)
    findings.sort(key=lambda finding: (finding.steps or (-1, -1), finding.kind))
    lacking = unjudged(facts, {kind for each in silent for kind in each.kinds})
    return Diagnosis(tuple(findings), tuple(silent), caveat(facts), lacking)


def ahead_of_the_loss(findings: list[Finding]) -> list[Finding]:
    """The findings, of which those on the inside of the model say how long before the loss they were to be seen."""
    rises = [each.steps[0] for each in findings if each.kind in LOSS_SHOWS and each.steps is not None]
    if not rises:
        return findings
    first = min(rises)
    told = []
    for each in findings:
        if KINDS[each.kind].topic is INSIDE and each.severity != "note" and each.steps and each.steps[1] < first:
            ahead = first - each.steps[1]  # the last of the looks that show it: then it could be known
            each = replace(
                each,
                evidence={**each.evidence, "steps_before_the_loss": ahead},
                sentence=f"{each.sentence} The loss showed something only {plural(ahead, 'step')} later, at step "
                f"{first:,}.",
            )
        told.append(each)
    return told
