"""How a notebook shows what the API returns."""

from html import escape

import numpy as np

from fabula.findings import Diagnosis
from fabula.findings.facts import held_out_curve
from fabula.record.reader import Run
from fabula.record.wording import loss_text, plural, steps_text

TONES = {"failed": "#b3261e", "failure": "#b3261e", "warning": "#9a6700", "healthy": "#1a7f37", "good": "#1a7f37"}
WIDTH, HEIGHT = 420, 90
FRAME = "width:100%;height:80vh;border:1px solid #ccc"


def run_html(run: Run, diagnosis: Diagnosis) -> str:
    """The verdict, the course of the loss, and a line for each finding; no script, and nothing that steers the page."""
    items = "".join(
        f"<li>{_toned(each.severity)} <code>{escape(each.kind)}</code>"
        f"{f' [{steps_text(each.steps)}]' if each.steps else ''}: {escape(each.sentence)}</li>"
        for each in sorted(diagnosis.findings, key=lambda each: _rank(each.severity))
    )
    why = f" ({escape(diagnosis.unjudged)})" if diagnosis.unjudged else ""
    extent = f"{plural(len(run.train['step']), 'training line')}, {plural(len(run.evals['step']), 'evaluation')}"
    return (
        f"<div><p>{_toned(diagnosis.verdict)}{why}: <code>{escape(str(run.path))}</code> ({extent})</p>"
        f"{_curve(run)}<ul>{items}</ul></div>"
    )


def page_html(page: str) -> str:
    """A page of `fabula report` in a frame of its own, so that its styles and the notebook's do not meet."""
    return f'<iframe sandbox="allow-scripts allow-popups" style="{FRAME}" srcdoc="{escape(page, quote=True)}"></iframe>'


def _rank(severity: str) -> int:
    return ("failure", "warning", "note", "good").index(severity)


def _toned(word: str) -> str:
    return f'<b style="color:{TONES.get(word, "#57606a")}">{escape(word)}</b>'


def _curve(run: Run) -> str:
    """The validation loss as a line, or the loss of the batches where there is none."""
    held_out = held_out_curve(run)
    if held_out is not None:
        name, steps, values = "validation loss", held_out.steps, held_out.values
    elif "loss" in run.train:
        name, steps, values = "training loss", run.train["step"], run.train["loss"]
    else:
        return ""
    keep = np.isfinite(values) & np.isfinite(steps)
    steps, values = steps[keep], values[keep]
    if len(values) < 2:
        return ""
    places = np.unique(np.linspace(0, len(values) - 1, WIDTH).astype(int))  # no more points than there is room for
    steps, shown = steps[places], values[places]
    across = np.ptp(steps) or 1.0, np.ptp(shown) or 1.0
    points = " ".join(
        f"{WIDTH * x:.1f},{HEIGHT * (1 - y):.1f}"
        for x, y in zip((steps - steps.min()) / across[0], (shown - shown.min()) / across[1], strict=True)
    )
    first, last, lowest = (loss_text(float(each)) for each in (values[0], values[-1], values.min()))
    told = f"{name} {first} to {last}, lowest {lowest}"
    return (
        f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}" role="img">'
        f'<polyline fill="none" stroke="#0b57d0" stroke-width="1.5" points="{points}"/></svg><p>{told}</p>'
    )
