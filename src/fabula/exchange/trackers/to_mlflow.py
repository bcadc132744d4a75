"""MLflow, with its own client: mlflow.db and mlruns/ here, or where MLFLOW_TRACKING_URI says."""

import time
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from fabula.exchange.trackers.follower import Described
from fabula.exchange.trackers.known import project
from fabula.exchange.trackers.told import plain

MOST_AT_ONCE = 1000
"""Metrics of one request: MLflow's own limit."""
MOST_PARAMETERS = 100
LONGEST = {"parameter": 6000, "tag": 8000}
"""MLflow's own limits (mlflow/utils/validation.py); a server before 2.8 takes 500 of a parameter."""
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class Run:
    def __init__(self, described: Described, id: str | None) -> None:
        self._client = MlflowClient()
        self._waiting: list[Metric] = []
        self.id = id if id is not None else self._new(described)
        self._client.update_run(self.id, status="RUNNING")

    def _new(self, described: Described) -> str:
        name = project("MLFLOW_EXPERIMENT_NAME")
        found = self._client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else self._created(name)
        tags = {"fabula.group": described.group} if described.group else {}
        run = str(self._client.create_run(experiment, run_name=described.name, tags=tags).info.run_id)
        told = [Param(key, str(value)[: LONGEST["parameter"]]) for key, value in described.configuration.items()]
        for start in range(0, len(told), MOST_PARAMETERS):
            self._client.log_batch(run, params=told[start : start + MOST_PARAMETERS])
        return run

    def _created(self, name: str) -> str:
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process was quicker
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._waiting += [Metric(name, each, now, step) for name, each in values.items()]
        if len(self._waiting) >= MOST_AT_ONCE:
            self.flush()

    def text(self, step: int, name: str, text: str) -> None:
        folder = "/".join(map(plain, name.split("/", 1)))  # a prompt's own "/" parts nothing
        self._client.log_text(self.id, text, f"{folder}/step-{step:08d}.md")

    def alert(self, finding: Mapping[str, Any]) -> None:
        """MLflow has no alerts: a tag, by which runs are found."""
        self._client.set_tag(self.id, f"finding.{finding['kind']}", finding["sentence"][: LONGEST["tag"]])

    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        self._client.log_text(self.id, text, "findings.md")
        self._client.log_batch(self.id, tags=[RunTag(f"severity.{kind}", of) for kind, of in verdict.items()])

    def rewind(self, step: int) -> None:
        """Both are kept: of a step that was made twice, the later value has the later time."""

    def flush(self) -> None:
        for start in range(0, len(self._waiting), MOST_AT_ONCE):
            self._client.log_batch(self.id, metrics=self._waiting[start : start + MOST_AT_ONCE])
        self._waiting.clear()

    def close(self, status: str) -> None:
        self.flush()
        if status in STATUS:  # one that is made on stays as it is, running
            self._client.set_terminated(self.id, STATUS[status])


def begin(described: Described, id: str | None) -> Run:
    return Run(described, id)
