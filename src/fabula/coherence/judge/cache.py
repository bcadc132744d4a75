"""Answers that were given before: no question is put twice to the same judge, in whichever run it comes up."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fabula.coherence.judge.rubric import Answer
from fabula.coherence.judge.told import Question
from fabula.record.content.parsing import json_value
from fabula.record.files import make_folder, write_json
from fabula.record.sessions.judgements import MARKS


def usual_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fabula" / "judgements"


class Cache:
    """A file a question under `folder`, named by its key; and what a record of judgements has already."""

    def __init__(self, folder: Path, recorded: Iterable[Mapping[str, Any]] = ()) -> None:
        self.folder = folder
        self._recorded = {line["key"]: line for line in recorded if line.get("key") and not line.get("failure")}

    def find(self, question: Question, key: str) -> Answer | None:
        """None where it was never answered, or what is there cannot be read: then it is asked again."""
        try:
            fields = self._recorded.get(key) or json_value(self._path(key).read_bytes())
            return question.expects.model_validate({**(fields.get("marks") or {}), **fields})
        except (OSError, ValueError, ValidationError, AttributeError, TypeError):
            return None

    def keep(self, key: str, answer: Answer) -> None:
        """As far as the disk lets us: an answer that cannot be kept is recorded all the same."""
        try:
            make_folder(self._path(key).parent)
            write_json(self._path(key), answer_fields(answer))
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def answer_fields(answer: Answer) -> dict[str, Any]:
    """An answer as a line has it: the marks together."""
    fields = json.loads(answer.model_dump_json())
    marks = {name: fields.pop(name) for name in MARKS if name in fields}
    return {**fields, **({"marks": marks} if marks else {})}
