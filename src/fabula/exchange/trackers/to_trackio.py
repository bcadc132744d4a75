"""trackio, with its own client: in its folder here, or where TRACKIO_SPACE_ID or TRACKIO_SERVER_URL say."""

from collections.abc import Mapping
from typing import Any

import trackio

from fabula.exchange.trackers.follower import Described
from fabula.exchange.trackers.known import project

LEVELS = {"warning": trackio.AlertLevel.WARN, "failure": trackio.AlertLevel.ERROR}


class Run:
    def __init__(self, described: Described, id: str | None) -> None:
        self._run = trackio.init(
            project=project("TRACKIO_PROJECT"), name=id or described.name, group=described.group,
            config=dict(described.configuration), resume="never" if id is None else "allow", embed=False,
            auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip
        self.id = self._run.name
        self._last = 0

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._last = max(self._last, step)
        self._run.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        self._run.log({name: trackio.Markdown(text)}, step=step)

    def alert(self, finding: Mapping[str, Any]) -> None:
        self._run.alert(finding["kind"], finding["sentence"], level=LEVELS[finding["severity"]])

    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        self.text(self._last, "findings", text)

    def rewind(self, step: int) -> None:
        """Both are shown: of a step that was made twice, the later value was logged later."""

    def flush(self) -> None:
        """Its own thread writes twice a second."""

    def close(self, status: str) -> None:
        self._run.finish()


def begin(described: Described, id: str | None) -> Run:
    return Run(described, id)
