"""Aim, with its own client: in .aim here, or where AIM_REPO says."""

import os
from collections.abc import Mapping
from typing import Any

import aim

from fabula.exchange.trackers.follower import Described
from fabula.exchange.trackers.known import project


class Run:
    def __init__(self, described: Described, id: str | None) -> None:
        self._run = aim.Run(
            run_hash=id, repo=os.environ.get("AIM_REPO", "."), experiment=project("AIM_EXPERIMENT"),
            log_system_params=False, capture_terminal_logs=False, system_tracking_interval=None,
        )  # fmt: skip
        self.id = str(self._run.hash)
        self._last = 0
        if id is None:
            self._run.name = described.name
            self._run["recipe"] = dict(described.configuration)
            if described.group:
                self._run["group"] = described.group

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._last = max(self._last, step)
        for name, each in values.items():
            group, _, rest = name.partition("/")
            self._run.track(each, name=rest, step=step, context={"subset": group})

    def text(self, step: int, name: str, text: str) -> None:
        group, _, rest = name.partition("/")
        self._run.track(aim.Text(text), name=group, step=step, context={"of": rest} if rest else {})

    def alert(self, finding: Mapping[str, Any]) -> None:
        """Aim's alerts are lines of the run's log."""
        log = self._run.log_error if finding["severity"] == "failure" else self._run.log_warning
        log(f"{finding['kind']}: {finding['sentence']}")

    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        self.text(self._last, "findings", text)
        for kind, severity in verdict.items():
            if severity in ("warning", "failure") and kind not in self._run.tags:
                self._run.add_tag(kind)

    def rewind(self, step: int) -> None:
        """Aim keeps one value a step: the later one counts."""

    def flush(self) -> None:
        """Each value is written as it is tracked."""

    def close(self, status: str) -> None:
        self._run["status"] = status
        self._run.close()


def begin(described: Described, id: str | None) -> Run:
    return Run(described, id)
