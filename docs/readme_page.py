"""Writes the numbers of README.md from the records under docs/.

python docs/readme_page.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fabula.record.reader import read_run
from fabula.report.ladder_view import read_ladder
from fabula.report.views import PhaseView

DOCS = Path(__file__).parent
PAGE = DOCS.parent / "README.md"
LADDER = DOCS / "ladders" / "basic-2-percent"
REFERENCE = DOCS / "runs" / "basic-packed-15000"


def ladder() -> str:
    """The phases of the ladder on real stories, each against the one before it."""
    view = read_ladder([LADDER])
    (tier,) = view.tiers
    effects = {effect.after: effect for effect in tier.effects}
    lines = [
        "| phase | the one change | final, `stream` | final, `story` | against the phase before (95 % interval) |",
        "|---|---|---:|---:|---|",
    ]
    for phase in tier.phases:
        effect = effects.get(phase.name)
        told = ""
        if effect is not None and effect.headline is not None:
            paired = effect.headline.paired
            interval = "" if paired.low is None else f" ({paired.low:+.3f} to {paired.high:+.3f})"
            told = f"**{effect.verdict}**: {paired.mean:+.3f}{interval}"
        losses = (_mean(phase, "val_loss"), _mean(phase, "val_loss_story"))
        lines.append(f"| `{phase.name}` | {phase.change} | {losses[0]} | {losses[1]} | {told} |")
    stated = json.loads((LADDER / "ladder.json").read_text(encoding="utf-8"))
    parameters = tier.runs[0].of("parameters", "total")
    steps = tier.runs[0].of("steps")
    lines += [
        "",
        f"Nats a token, the mean of {stated['seeds']} seeds; {parameters:,} parameters, {steps} steps "
        f"({stated['scale'] * 100:g} % of the tier's), paired differences with a t interval, Holm over the table.",
    ]
    return "\n".join(lines)


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


def _mean(phase: PhaseView, column: str) -> str:
    losses = phase.final_losses(column)
    return f"{np.mean(losses):.3f}" if losses else "–"


def written(page: str) -> str:
    """The page with its generated parts renewed."""
    for name, text in (("ladder", ladder()), ("reference", reference())):
        begin, end = f"<!-- {name}: written by docs/readme_page.py -->\n", "<!-- end -->"
        before, rest = page.split(begin)
        page = before + begin + text + "\n" + end + rest.split(end, 1)[1]
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
