"""Writes the numbers of README.md from the records under docs/.

python docs/readme_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fabula.report.sections.opening import IN_PLAIN_WORDS
from fabula.study.inference.effect_words import signed
from fabula.study.inference.effects import Effect
from fabula.study.ladder import read_ladder

DOCS = Path(__file__).parent
PAGE = DOCS.parent / "README.md"
LADDER = DOCS / "ladders" / "factorial-basic-2-percent"


def story() -> str:
    """The first sample of the run with the lowest loss on TinyStories."""
    best = min(_benchmark("loss")["runs"], key=lambda run: run["loss_at_128"])
    folder = DOCS / "runs" / Path(best["run"]).name
    lines = (folder / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    sample = next(each for each in map(json.loads, lines) if each["final"])
    prompt, *rest = f"*{sample['prompt']}*{sample['completion']}".splitlines()
    told = "\n>\n".join(f"> {line}" for line in [prompt, *rest] if line.strip())
    ended = sample["completion"].rstrip().endswith((".", "!", "?", '"'))
    stopped = "" if ended else f", stopped after {sample['tokens']} tokens"
    return (
        f"{told}\n\nTold by [`{folder.name}`](docs/runs/{folder.name}): {best['parameters'] / 1e6:.1f} million "
        f"parameters, trained on TinyStories for {_minutes(best):.0f} minutes on {_threads(best)} of a processor. The "
        f"words in italics were given. First sample, not cherry-picked{stopped}."
    )


def _minutes(run: dict[str, Any]) -> float:
    return float(run["measured_seconds"] or run["seconds"]) / 60


def ladder() -> str:
    """Each change of the factorial on real stories, alone: by how much it moves the loss, and whether that is luck."""
    (tier,) = (view := read_ladder([LADDER])).tiers
    lines = ["| the change | the validation loss moves by | likely range | |", "|---|---:|---:|---|"]
    changes = {phase.name: phase.change for phase in tier.phases}
    lines += [_row(effect, changes) for effect in tier.effects if len(effect.contrast.phases) == 1]
    plan = view.plan
    parameters, steps = tier.runs[0].of("parameters", "total"), tier.runs[0].of("steps")
    lines += [
        "",
        f"A model of {parameters / 1e6:.1f} million parameters, {steps} steps, each of the {len(tier.phases)} "
        f"combinations of the changes trained {plan['seeds']} times with other random numbers. The loss is in nats per "
        "token; lower is better. The likely range (a 95 % interval) is what chance leaves open: one that reaches from "
        "below zero to above it is no evidence. All of it, with the combinations: [the report in Markdown]"
        f"(docs/ladders/{LADDER.name}/report.md).",
    ]
    return "\n".join(lines)


def _row(effect: Effect, changes: dict[str, str]) -> str:
    (name,) = effect.contrast.phases
    estimate = effect.comparisons["stream"].estimate
    assert estimate.low is not None and estimate.high is not None, "the kept ladder has three seeds"
    interval = f"{signed(estimate.low)} to {signed(estimate.high)}"
    word = IN_PLAIN_WORDS[effect.verdict]
    return f"| `{name}`: {changes[name]} | {signed(estimate.mean)} | {interval} | **{word}** |"


def reached() -> str:
    """The kept runs that were scored by one ruler, the lowest loss first, and how fast training is."""
    runs, speed = _benchmark("loss"), _benchmark("training")
    lines = ["| run | parameters | tokens seen | training time | validation loss |", "|---|---:|---:|---:|---:|"]
    for each in sorted(runs["runs"], key=lambda run: run["loss_at_128"]):
        minutes, alone = _minutes(each), each["measured_seconds"] is not None
        lines.append(
            f"| `{Path(each['run']).name}` | {each['parameters']:,} | {each['tokens'] / 1e6:.1f} M | "
            f"{minutes:.1f} min{'' if alone else f' on {_threads(each)}'} | {each['loss_at_128']:.3f} |"
        )
    ours = {each["recipe"]: each for group in speed["groups"].values() for each in group if each["kind"] == "fabula"}

    def times(recipe: str, peer: str) -> str:
        return f"{ours[recipe]['over'][peer]['median']:.1f}"

    theirs, plain = "transformers float32", "plain loop"
    lines += [
        "",
        "The validation loss says how wrong the model is on stories that it never saw, in nats per GPT-2 token: lower "
        f"is better, and an untrained model has 10.8 (ln 50,257). {_threads(speed)} of a shared machine unless the "
        "table says otherwise, one run each; a run is called by its recipe and its number of steps, and is kept in "
        "[docs/runs](docs/runs). On the same mathematics, at the sizes of `basic` and `quality`, fabula trains "
        f"{times('basic', theirs)} and {times('quality', theirs)} times as many tokens a second as transformers in "
        f"float32, {times('basic', plain)} and {times('quality', plain)} times as many as a plain loop, compiled, in "
        "bfloat16 ([how this was measured](docs/performance.md)).",
    ]
    return "\n".join(lines)


def _benchmark(name: str) -> dict[str, Any]:
    return dict(json.loads((DOCS / "benchmarks" / f"{name}.json").read_text(encoding="utf-8")))


def _threads(record: dict[str, Any]) -> str:
    return f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"


def written(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, text in (("story", story()), ("reached", reached()), ("ladder", ladder())):
        begin, end = f"<!-- {name}: written by docs/readme_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + text + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
