"""Weights & Biases, with its own client: online for who has logged in, else in files that `wandb sync` sends."""

import uuid
from collections.abc import Mapping
from typing import Any

import wandb

from fabula.exchange.trackers.follower import Described
from fabula.exchange.trackers.known import project, wandb_mode

LEVELS = {"warning": "WARN", "failure": "ERROR"}
SETTINGS = wandb.Settings(
    # The follower's own output, machine and code are not the training's.
    silent=True, console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True, disable_code=True,
    save_code=False,
)  # fmt: skip


class Run:
    def __init__(self, described: Described, id: str | None) -> None:
        self.id = id or uuid.uuid4().hex[:12]
        self._run = wandb.init(
            project=project("WANDB_PROJECT"), name=described.name, group=described.group, id=self.id,
            config=dict(described.configuration), resume="allow", mode=wandb_mode(), reinit="create_new",
            settings=SETTINGS,
        )  # fmt: skip
        # W&B's own count of lines only rises, and would refuse the steps that are made again after a rollback.
        self._run.define_metric("step", hidden=True)
        self._run.define_metric("*", step_metric="step")
        self._texts: dict[int, dict[str, str]] = {}

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log({"step": step, **values})

    def text(self, step: int, name: str, text: str) -> None:
        self._texts.setdefault(step, {})[name] = text

    def alert(self, finding: Mapping[str, Any]) -> None:
        self._run.alert(finding["kind"], finding["sentence"], level=LEVELS[finding["severity"]])

    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        self._run.summary["findings"] = text
        self._run.tags = (*(self._run.tags or ()), *(kind for kind, of in verdict.items() if of in LEVELS))

    def rewind(self, step: int) -> None:
        """Both are shown: of a step that was made twice, the later value stands later in the history."""

    def flush(self) -> None:
        for step, texts in self._texts.items():
            table = wandb.Table(columns=["step", "what", "text"], data=[[step, *each] for each in texts.items()])
            self._run.log({"step": step, "texts": table})
        self._texts.clear()

    def close(self, status: str) -> None:
        # W&B knows no run that nobody tells it of and that is made on: of the two ends the one that accuses nobody.
        self._run.finish(exit_code=0 if status in ("finished", "running") else 1)


def begin(described: Described, id: str | None) -> Run:
    return Run(described, id)
