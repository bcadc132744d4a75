"""`fabula.Record`: a run folder from any loop that says itself when its training has failed."""

from fabula.api.diagnosing import Diagnosed, diagnose
from fabula.record.loop.recorder import Recorder

GROWN = 1.1
"""The record is judged anew when it has a tenth more updates, or evaluations: a whole training of n updates then costs
as much as some twenty readings of its record, also where each update is evaluated."""
FEWEST = 20
"""Updates before the first look."""


class Record(Recorder):
    __doc__ = Recorder.__doc__

    _judged = (0, 0)
    """Lines and evaluations at the last look."""
    _failure = ""

    def alarm(self) -> bool:
        """Whether a failure was found so far, such as a divergence: a reason to stop. Cheap enough for each step.

        Only in the process that writes; the others hear it from that one.
        """
        if self._failure or not self.writes or not self._is_grown():
            return bool(self._failure)
        self._judged = (self.num_lines, self.num_evaluations)
        self.saw_non_finite = False
        with self._beside_the_training():
            failures = [each for each in self.diagnose().findings if each.severity == "failure"]
        if failures:
            self._failure = failures[0].sentence
        return bool(failures)

    @property
    def failure(self) -> str:
        """What the alarm was about; empty while there is none."""
        return self._failure

    def diagnose(self) -> Diagnosed:
        """What the rules say of the record so far. Raises InputError before the first line."""
        return diagnose(self.folder)

    def close(self, status: str = "finished", error: str | None = None) -> None:
        """As it is in a Recorder. A run that was stopped because of the alarm has failed."""
        planned = self.planned_steps
        if status == "finished" and self._failure and planned is not None and self.last_step < planned:
            status, error = "failed", f"stopped at step {self.last_step:,}: {self._failure.rstrip('.')}"
        super().close(status, error)

    def _is_grown(self) -> bool:
        lines, evaluations = self._judged
        if self.num_lines < 1 or (lines, evaluations) == (self.num_lines, self.num_evaluations):
            return False
        grown = self.num_lines >= max(FEWEST, GROWN * lines)
        evaluated = self.num_evaluations > evaluations and self.num_evaluations >= GROWN * evaluations
        return grown or evaluated or self.saw_non_finite

    def _repr_html_(self) -> str:
        return self.diagnose()._repr_html_() if self.num_lines else f"<p>{self.folder}: nothing recorded yet</p>"
