"""The record of a process that does not lead: none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fabula.record.writer import RunWriter


class SilentWriter(RunWriter):
    """Takes what a RunWriter takes, and writes nothing."""

    def __init__(self) -> None:
        self.folder = Path("nowhere")
        self.info: dict[str, Any] = {"status": "running"}
        self.attempt = 1
        self.losses = []

    def set_info(self, **fields: Any) -> None:
        self.info.update(fields)

    def change_recipe(self, recipe_toml: str, **fields: Any) -> None:
        pass

    def offsets(self) -> dict[str, int]:
        return {}

    def digests(self) -> dict[str, str]:
        return {}

    def synchronizer(self) -> Callable[[], None]:
        return lambda: None

    def internals(self, **fields: Any) -> None:
        pass

    def close(self, status: str, **fields: Any) -> None:
        self.set_info(status=status)

    def append(self, stream: str, fields: dict[str, Any]) -> None:
        pass
