"""Rules on what happened to a run from outside, and on what its guards did."""

from typing import Any

from fabula.findings.facts import Facts
from fabula.findings.rule import Outcome, Silent, number, rule
from fabula.record.finding import Finding, Severity

SEVERITIES: dict[str, Severity] = {"failed": "failure", "running": "note"}
"""Of a run that has not made all its steps; any other status is a warning."""


@rule
def interrupted(facts: Facts) -> Outcome:
    status = facts.info.get("status")
    if status is None:
        return Silent("needs a run.json, which says how the run ended")
    if status == "finished":
        return []
    last, planned = facts.last_step, facts.num_steps
    told = f"at step {last:,}" + (f" of {planned:,}" if planned else "")
    if status == "running":
        sentence = f"The record ends {told}: the run is still going on."
    elif status == "failed":
        sentence = f"The run failed {told}" + (f": {facts.info['error']}." if facts.info.get("error") else ".")
    else:
        sentence = f"The run was interrupted {told}."
    return [
        Finding(
            kind="interrupted",
            scope="run",
            severity=SEVERITIES.get(str(status), "warning"),
            steps=(last, last),
            evidence={"status": status, "last_step": last, "planned_steps": planned},
            sentence=sentence,
            alternatives=()
            if status == "running"
            else ("it was stopped by hand", "the process was killed", "it stopped at an error"),
            try_=""
            if status == "running"
            else f"{_way_on(facts)} from the last checkpoint; an error would come again at the same step",
        )
    ]


def _way_on(facts: Facts) -> str:
    if facts.info.get("log_format") == "fabula.Record":
        return "go on with resume=True in `fabula.Record`,"
    return "`fabula train ... --resume` goes on"


@rule
def guards(facts: Facts) -> Outcome:
    if not facts.events and facts.recipe is None:
        return Silent("needs the events that fabula records (metrics.jsonl)")
    found = []
    for event in facts.events:
        step = int(event.get("step", 0))
        reason = f" ({event['reason']})" if event.get("reason") else ""
        evidence = {key: value for key, value in event.items() if key not in ("kind", "event")}
        if event.get("event") == "batch_skipped":
            found.append(
                Finding(
                    kind="batch_skipped",
                    scope="run",
                    severity="note",
                    steps=(step, step),
                    evidence=evidence,
                    sentence=f"The update of step {step:,} was skipped{reason}.",
                )
            )
        elif event.get("event") == "rolled_back":
            found.append(_rolled_back(event, step, reason, evidence))
        elif event.get("event") == "record_incomplete":
            found.append(_incomplete(event, step, evidence))
    return found


def _incomplete(event: dict[str, Any], step: int, evidence: dict[str, Any]) -> Finding:
    last = int(event.get("last_step", 0))
    what = f"what {event.get('stream', 'metrics')}.jsonl said up to step {step:,}"
    if event.get("stream") == "metrics" and last < step:
        what = f"the record of steps {last + 1:,} to {step:,}"
    return Finding(
        kind="record_incomplete",
        scope="run",
        severity="note",
        steps=(min(last + 1, step), step),
        evidence=evidence,
        sentence=f"When the run was resumed at step {step:,}, {what} was lost or damaged: curves have a gap there. The "
        "model lacks nothing.",
    )


def _rolled_back(event: dict[str, Any], step: int, reason: str, evidence: dict[str, Any]) -> Finding:
    to, factor, until = event.get("to_step"), event.get("rate_factor"), event.get("until_step")
    place = "an earlier checkpoint" if to is None else f"the checkpoint of step {int(to):,}" if to else "its beginning"
    on = ""
    if factor is not None and until is not None:
        on = f", and on with other batches and {number(factor)} of its learning rate until step {int(until):,}"
    return Finding(
        kind="rolled_back",
        scope="run",
        severity="warning",
        steps=(step if to is None else int(to), step),
        evidence=evidence,
        sentence=f"At step {step:,} the run went back to {place}{reason}{on}.",
        alternatives=("the learning rate is too high for this stage", "unusual data at these steps"),
        try_="train once more with half of schedule.peak: without trouble then, the rate was too high"
        if on
        else "see whether the same steps went well the second time: if so, the data was not the cause",
    )
