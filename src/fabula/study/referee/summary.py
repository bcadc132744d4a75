"""A comparison as values for programs: what `fabula compare --json` prints."""

from typing import Any

from fabula.study.referee.comparing import Compared, Comparison
from fabula.study.referee.words import reason


def as_json(comparison: Comparison) -> dict[str, Any]:
    rule, terms = comparison.rule, comparison.terms
    return {
        "decision": comparison.decision,
        "decisions": {each.name: each.judged.decision for each in comparison.others if each.judged is not None},
        "rule": {
            "loss": rule.loss, "by": rule.by, "at": rule.at, "last": rule.last, "sentence": rule.sentence(),
        },
        "look": terms.look, "looks": terms.looks, "level": terms.level, "detect": terms.detect, "most": terms.most,
        "paired": comparison.paired,
        "base": _group(comparison.base),
        "groups": [_group(each) | _judged(each, comparison) for each in comparison.others],
    }  # fmt: skip


def _group(each: Compared) -> dict[str, Any]:
    runs = zip(each.group.members, each.values, each.failures, strict=True)
    return {
        "name": each.name,
        "runs": [
            {"path": member.label, "seed": member.seed, "value": value, "failed": failed or None}
            for member, value, failed in runs
        ],
        "mean": each.mean,
        "spread": each.spread,
        "not_read": list(each.group.unread),
    }


def _judged(each: Compared, comparison: Comparison) -> dict[str, Any]:
    judged = each.judged
    assert judged is not None, "every group but the base is judged"
    difference, wanted = judged.difference, judged.wanted
    return {
        "differs": list(each.differs),
        "difference": difference.mean if difference else None,
        "interval": [difference.low, difference.high] if difference else None,
        "p": difference.p if difference else None,
        "p_holm": judged.p_adjusted,
        "found_in_80_percent": judged.least,
        "decision": judged.decision,
        "why": judged.why,
        "reason": reason(each, comparison),
        "seeds_wanted": {comparison.base.name: wanted.base, each.name: wanted.new} if wanted else None,
    }
