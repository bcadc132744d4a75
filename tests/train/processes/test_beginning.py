"""A process that ends before the processes have met is told at once, and not waited for."""

import sys

import pytest

from fabula.train.processes import group
from fabula.train.processes.lost import ProcessLost


def ends_at_once(*_: object) -> None:
    sys.exit(3)


@pytest.mark.long
def test_a_process_that_ends_before_it_has_begun_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "_other", ends_at_once)
    with pytest.raises(ProcessLost) as lost, group.started_here(2):
        raise AssertionError("they have not met")
    assert "ended with exit code 3 before it had begun" in lost.value.detail
