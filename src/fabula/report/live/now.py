"""What a page that is watched has beside the report: how far each run is, what was found of late, the first stories
beside the newest ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fabula.record.finding import Finding
from fabula.record.wording import duration_text, loss_text, plural, steps_text
from fabula.report.render.blocks import Block, Completions, Heading, Paragraph, Rich, quiet, rich, strong, told
from fabula.report.render.page import environment
from fabula.report.sections.stories import latest
from fabula.study.live.progress import Progress
from fabula.study.views import RunView

MOST_WRITERS = 3
"""Runs whose stories are shown side by side with their first ones."""
MOST_NEWS = 8
LONG_QUIET = 60.0
"""Seconds after which it is told that nothing is written any more: it may hang, or be evaluating."""


@dataclass(frozen=True)
class Now:
    """How far a run is; `name` is empty where there is only one."""

    name: str
    progress: Progress
    quiet_seconds: float
    """Since the last line of its record."""


def now_element(rows: Sequence[Now], state: str, at: datetime) -> str:
    """`state`: what is to be said of all runs together."""
    shown = [(each.name, each.progress, facts(each, at)) for each in rows]
    return environment().get_template("part.html.jinja").render(kind="now", rows=shown, state=state)


def facts(now: Now, at: datetime) -> list[str]:
    """`loss 2.310`, `12,300 tokens/s`, `about 25.0 min left, until 17:42`."""
    each = now.progress
    parts = [f"loss {loss_text(each.loss)}"] if each.loss is not None else []
    if each.tokens_per_second is not None:
        parts.append(f"{each.tokens_per_second:,.0f} tokens/s")
    if each.seconds_left is not None and each.seconds_left < 1e8:
        end = at + timedelta(seconds=each.seconds_left)
        day = "" if end.date() == at.date() else f"{end:%A} " if each.seconds_left < 5e5 else f"{end:%Y-%m-%d} "
        parts.append(f"about {duration_text(each.seconds_left)} left, until {day}{end:%H:%M}")
    if now.quiet_seconds > LONG_QUIET:
        parts.append(f"nothing written for {duration_text(now.quiet_seconds)}")
    return parts


@dataclass(frozen=True)
class News:
    """A finding that was not there before."""

    at: datetime
    name: str
    finding: Finding


def news_element(news: Sequence[News]) -> str:
    """The newest first. A screen reader is told of what is added here."""
    rows = [
        (number, f"{each.at:%H:%M}", each.name, each.finding.severity, _said(each.finding))
        for number, each in list(enumerate(news))[-MOST_NEWS:]
    ]
    return environment().get_template("part.html.jinja").render(kind="news", news=rows[::-1])


def _said(finding: Finding) -> Rich:
    return rich(told(finding.sentence), quiet(f" ({steps_text(finding.steps)})") if finding.steps else "")


def first_and_newest(views: Sequence[RunView]) -> list[Block]:
    """Of the runs that wrote last, each prompt's first story beside its newest one; nothing before there are two."""
    blocks: list[Block] = []
    for view in views[:MOST_WRITERS]:
        for newest in latest(view):
            samples = view.run.samples if view.run is not None else []
            first = next(each for each in samples if each.get("prompt") == newest["prompt"])
            if first is newest or "completion" not in first:
                continue
            name = f"{view.name}, seed {view.seed}: " if len(views) > 1 else ""
            entries = tuple((_at(each), str(each["completion"])) for each in (first, newest))
            blocks.append(Completions(f"{name}{newest['prompt']}", entries))
    if not blocks:
        return []
    note = Paragraph(rich("The same beginnings, told by the model as it was first and as it is now."), "note")
    return [Heading(2, rich("First and newest stories"), "first-and-newest"), note, *blocks]


def _at(sample: dict[str, Any]) -> Rich:
    step = int(sample["step"])
    return rich(strong(f"after {plural(step, 'step')}" if step else "before any training"))
