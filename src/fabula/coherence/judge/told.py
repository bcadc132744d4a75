"""A story as a judge sees it, and the questions that can be asked about it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from fabula.coherence.judge.rubric import CHOOSING, MARKING, SCHEMAS, Marks, Preference, framed, rubric_hash


@dataclass(frozen=True)
class Told:
    """A beginning with its continuation. `name` says which in the record; `prompt` is what intervals are clustered by:
    the beginning's own name, whichever set it is of."""

    name: str
    prompt: str
    beginning: str
    continuation: str


@dataclass(frozen=True)
class Question:
    """One request. `role` says what it is for; the judge never sees it, nor any name."""

    role: str
    story: Told
    other: Told | None = None
    """The second of a pair."""
    twin: str = ""
    """Of a control, the story that it was made of: the two are compared."""
    injection: str = ""
    """Of a story that gives orders, which kind of order."""
    repeat: int = 0
    """Asked again, to see whether the judge agrees with itself."""

    @property
    def kind(self) -> Literal["marks", "pair"]:
        return "marks" if self.other is None else "pair"

    @property
    def system(self) -> str:
        return MARKING if self.other is None else CHOOSING

    @property
    def user(self) -> str:
        beginning = framed("beginning", self.story.beginning)
        if self.other is None:
            return f"{beginning}\n{framed('continuation', self.story.continuation)}"
        return "\n".join(
            (
                beginning,
                framed("first continuation", self.story.continuation),
                framed("second continuation", self.other.continuation),
            )
        )

    @property
    def expects(self) -> type[Marks] | type[Preference]:
        return Marks if self.other is None else Preference

    @property
    def schema(self) -> dict[str, Any]:
        model: type[BaseModel] = self.expects
        return SCHEMAS[model]

    def key(self, judge: str) -> str:
        """Of all that the answer hangs on: equal keys are asked once. `judge` names model and server."""
        content = [judge, rubric_hash(), self.kind, self.user, self.repeat]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
