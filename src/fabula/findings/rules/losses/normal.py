"""A rule on where a run stands among kept runs of its kind."""

from statistics import median

from fabula.findings.facts import Facts
from fabula.findings.normal import kept, of_its_kind, reached, ruler_of
from fabula.findings.rule import Outcome, Silent, number, plural, rule
from fabula.record.finding import Finding
from fabula.record.wording import count_text

LEAST = 3
"""Fewer recipes show no range."""


@rule
def among_its_kind(facts: Facts) -> Outcome:
    if facts.from_scratch is False:
        return Silent("applies only to models that start from scratch")
    ruler = ruler_of(facts)
    if ruler and all(row.ruler != ruler for row in kept()):
        return Silent("applies only to runs on the stories of the kept runs: losses on others say nothing here")
    run = reached(facts)
    if run is None:
        return Silent("needs the evaluation that ends a training with fabula: it says on which stories, by which ruler")
    rows = of_its_kind(run)
    if len(rows) < LEAST:
        return Silent(f"needs {LEAST} kept recipes of about its size and its tokens")
    means = [row.mean for row in rows]
    lower = sum(mean < run.gpt2 for mean in means)
    sizes, seen = [row.parameters for row in rows], [row.tokens for row in rows]
    return [
        Finding(
            kind="among_its_kind",
            scope="run",
            severity="note",
            evidence={
                "nats_per_gpt2_token": round(run.gpt2, 4),
                "bits_per_byte": round(run.bits, 4),
                "recipes": len(rows),
                "runs": sum(len(row.gpt2) for row in rows),
                "lower": lower,
                "lowest": round(min(means), 4),
                "middle": round(median(means), 4),
                "highest": round(max(means), 4),
            },
            sentence=f"The run ended at {number(run.gpt2)} nats per GPT-2 token ({number(run.bits)} bits per byte, "
            f"read with 128 tokens of context). Of {plural(len(rows), 'kept recipe')} of about its size "
            f"({_range(sizes)} parameters) after about as many tokens ({_range(seen)}) on the same stories, {lower} "
            f"ended lower and {len(rows) - lower} higher: from {number(min(means))} to {number(max(means))}, the "
            f"middle {number(median(means))}.",
        )
    ]


def _range(values: list[int]) -> str:
    low, high = count_text(min(values)), count_text(max(values))
    return low if low == high else f"{low} to {high}"
