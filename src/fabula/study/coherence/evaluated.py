"""The completions of a run as `fabula evaluate` left them, the model's stories apart from the true ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fabula.record.sessions.judgements import read_judgements
from fabula.study.judging.scores import Judged, judged
from fabula.study.judging.sessions import sessions_of
from fabula.study.views import RunView

HUMAN_SET = "validation"
"""The prompt set whose true continuations are known."""


@dataclass(frozen=True)
class Telling:
    """One story: how it begins, how it goes on, and what was measured of it."""

    prompt_set: str
    number: int
    seed: int | None
    asks: str
    beginning: str
    text: str
    measures: Mapping[str, float]
    """Those that had something to say."""
    copied: tuple[tuple[int, int], ...] = ()
    """Where it stands word for word in the training stories: places of letters."""

    @property
    def prompt(self) -> str:
        return f"{self.prompt_set}/{self.number}"


@dataclass(frozen=True)
class Evaluated:
    """One session of `fabula evaluate`."""

    step: int
    hash: str
    """Equal for sessions that can be compared: the same prompts under the same settings."""
    stories: tuple[Telling, ...]
    true: tuple[Telling, ...]
    distance: tuple[float, float, float] | None
    """From human stories of the same data, over all measures, with its 95 % interval; of the beginnings that humans
    continued too where there are such, else of the first prompt set."""


def evaluations(view: RunView) -> list[Evaluated]:
    """Every session of a run, the last one of each step, in the order of the steps."""
    sessions = view.run.sessions if view.run is not None else []
    last = {session.step: session for session in sessions if session.completions}
    found = []
    for step in sorted(last):
        session = last[step]
        told = [_telling(line) for line in session.completions]
        asked = session.info.get("prompt_sets"), session.info.get("settings")
        found.append(
            Evaluated(
                step,
                repr(asked),
                tuple(each for each, line in zip(told, session.completions, strict=True) if not line["human"]),
                tuple(each for each, line in zip(told, session.completions, strict=True) if line["human"]),
                _distance(session.info.get("summary")),
            )
        )
    return found


def _distance(summary: object) -> tuple[float, float, float] | None:
    """`combined` and its `interval`, of the beginnings that humans continued too where there are such, else of the
    first prompt set; None where they are not what docs/run-folder.md says."""
    if not isinstance(summary, dict) or not summary:
        return None
    chosen = summary.get(HUMAN_SET) or next(iter(summary.values()))
    model = chosen.get("model") if isinstance(chosen, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("interval"), list):
        return None
    values = [model.get("combined"), *model["interval"]]
    if len(values) != 3 or not all(isinstance(each, (int, float)) for each in values):
        return None
    return float(values[0]), float(values[1]), float(values[2])


def _telling(line: Mapping[str, Any]) -> Telling:
    measures = line.get("measures") or {}
    copied = line.get("copied") or ()
    return Telling(
        prompt_set=line["prompt_set"],
        number=line["number"],
        seed=line.get("seed"),
        asks=line.get("asks") or "",
        beginning=line["prompt"],
        text=line["text"],
        measures={name: float(value) for name, value in measures.items() if value is not None},
        copied=tuple((each[0], each[1]) for each in copied),
    )


def judgements(view: RunView) -> list[Judged]:
    """What judges said of a run, the last session of each judge at each step; those with no answer left out."""
    if view.run is None or not view.run.path.is_dir():
        return []
    sessions = [each for each in sessions_of(read_judgements(view.run.path)) if each.answered]
    last = {(each.step, each.judge, each.against): each for each in sessions}
    return [judged(each) for each in sorted(last.values(), key=lambda each: each.step)]
