"""Writes the numbers of README.md from the records under docs/.

python docs/readme_page.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fabula.findings.contrasts import TIMES
from fabula.findings.effect_words import verdict_words
from fabula.findings.effects import Effect
from fabula.record.reader import read_run
from fabula.report.ladder_view import read_ladder
from fabula.report.views import PhaseView

DOCS = Path(__file__).parent
PAGE = DOCS.parent / "README.md"
LADDER = DOCS / "ladders" / "factorial-basic-2-percent"
REFERENCE = DOCS / "runs" / "basic-packed-15000"


def ladder() -> str:
    """Each change of the factorial on real stories: the path through it in time, then what each does on the average."""
    view = read_ladder([LADDER])
    (tier,) = view.tiers
    lines = ["| phase | the one change | final, `stream` | final, `story` |", "|---|---|---:|---:|"]
    for phase in tier.path:
        losses = (_mean(phase, "val_loss"), _mean(phase, "val_loss_story"))
        lines.append(f"| `{phase.name}` | {phase.change} | {losses[0]} | {losses[1]} |")
    lines += [
        "",
        "| | `stream` (95 % interval) | `story` (95 % interval) | verdict |",
        "|---|---:|---:|---|",
        *(_row(effect) for effect in tier.effects),
    ]
    plan = view.plan
    parameters, steps = tier.runs[0].of("parameters", "total"), tier.runs[0].of("steps")
    lines += [
        "",
        f"Nats a token, {plan['seeds']} seeds of each of the {len(tier.phases)} combinations; {parameters:,} "
        f"parameters, {steps} steps ({plan['scale'] * 100:g} % of the tier's), paired differences with a t interval, "
        "Holm over the table. An interaction is how much more a change does where the other is there too.",
    ]
    return "\n".join(lines)


def _row(effect: Effect) -> str:
    changes = TIMES.join(f"`{name}`" for name in effect.contrast.phases)
    cells = []
    for name in ("stream", "story"):
        paired = effect.comparisons[name].paired
        interval = "" if paired.low is None or paired.high is None else f" ({paired.low:+.3f} to {paired.high:+.3f})"
        cells.append(f"{paired.mean:+.3f}{interval}")
    return f"| {changes} | {' | '.join(cells)} | **{verdict_words(effect)}** |"


def reference() -> str:
    """The tier's own number of steps, once."""
    run = read_run(REFERENCE)
    full, training = run.full_evals(), run.train
    last = {name: float(values[-1]) for name, values in full.items() if len(values)}
    tokens, epochs, start = last["tokens"] / 1e6, run.info["layout"]["epochs"], float(full["val_loss"][0])
    return (
        f"`{run.info['recipe']}` trained for its whole {int(last['step']):,} steps ({tokens:.1f} M tokens, "
        f"{epochs:.1f} epochs) goes from {start:.2f} to **{last['val_loss']:.3f}** nats a token on `stream` and "
        f"{last['val_loss_story']:.3f} on `story`, {last['val_bits_per_byte']:.3f} bits a byte "
        f"({len(training['step']):,} lines of record, one seed, so a reference and no verdict)."
    )


def reached() -> str:
    """The kept runs that were scored by one ruler, the lowest loss first, and how fast training is."""
    runs, speed = _benchmark("loss"), _benchmark("training")
    lines = ["| run | parameters | tokens seen | training time | nats a GPT-2 token |", "|---|---:|---:|---:|---:|"]
    for each in sorted(runs["runs"], key=lambda run: run["loss_at_128"]):
        minutes, alone = (each["measured_seconds"] or each["seconds"]) / 60, each["measured_seconds"] is not None
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
        f"Validation stories, windows of 128 tokens, {_threads(speed)} of a shared machine, one seed each; the runs "
        "are in [docs/runs](docs/runs). On the same mathematics, at the sizes of `basic` and `quality`, fabula trains "
        f"{times('basic', theirs)} and {times('quality', theirs)} times as many tokens a second as transformers in "
        f"float32, {times('basic', plain)} and {times('quality', plain)} times as many as a plain loop, compiled, in "
        "bfloat16 ([how this was measured](docs/performance.md)).",
    ]
    return "\n".join(lines)


def _benchmark(name: str) -> dict[str, Any]:
    return dict(json.loads((DOCS / "benchmarks" / f"{name}.json").read_text(encoding="utf-8")))


def _threads(record: dict[str, Any]) -> str:
    return f"{record['threads']} thread{'s' if record['threads'] > 1 else ''}"


def _mean(phase: PhaseView, column: str) -> str:
    losses = phase.final_losses(column)
    return f"{np.mean(losses):.3f}" if losses else "–"


def written(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, text in (("ladder", ladder()), ("reference", reference()), ("reached", reached())):
        begin, end = f"<!-- {name}: written by docs/readme_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + text + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
