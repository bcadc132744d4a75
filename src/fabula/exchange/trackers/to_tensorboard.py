"""TensorBoard: event files in the run's own folder, so that `tensorboard --logdir runs` calls it by that folder."""

import time
from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from fabula.exchange.trackers.follower import Described


class Run:
    def __init__(self, described: Described, id: str | None) -> None:
        self.id = id or "events"
        self._writer = EventFileWriter(str(described.folder), filename_suffix=".fabula")
        self._last = 0
        if id is None:
            self.rewind(-1)  # the first that TensorBoard's page reads is a beginning to it, which leaves nothing out:
            self.rewind(-1)  # twice, for files of an earlier time that have none
            self._write(0, hparams_pb(dict(described.configuration)))
            rows = "".join(f"\n| {name} | {value} |" for name, value in described.configuration.items())
            self.text(0, "recipe", f"| | |\n|---|---|{rows}")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._last = max(self._last, step)
        self._write(step, Summary(value=[Summary.Value(tag=name, simple_value=each) for name, each in values.items()]))

    def text(self, step: int, name: str, text: str) -> None:
        content = TensorProto(
            dtype=DT_STRING,
            string_val=[text.encode(errors="replace")],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        metadata = create_summary_metadata(display_name="", description="")
        self._write(step, Summary(value=[Summary.Value(tag=name, tensor=content, metadata=metadata)]))

    def alert(self, finding: Mapping[str, Any]) -> None:
        """TensorBoard has no alerts: a text at the step."""
        step = finding["steps"][1] if finding["steps"] else self._last
        self.text(step, f"alerts/{finding['kind']}", f"**{finding['severity']}**: {finding['sentence']}")

    def findings(self, text: str, verdict: Mapping[str, str]) -> None:
        self.text(self._last, "findings", text)

    def rewind(self, step: int) -> None:
        """TensorBoard leaves out what it has read of the steps from here on."""
        start = Event(wall_time=time.time(), step=step + 1, session_log=SessionLog(status=SessionLog.START))
        self._writer.add_event(start)

    def flush(self) -> None:
        self._writer.flush()

    def close(self, status: str) -> None:
        self._writer.close()

    def _write(self, step: int, summary: Summary) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))


def begin(described: Described, id: str | None) -> Run:
    return Run(described, id)
