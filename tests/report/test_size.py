"""How large a page grows, and how long it takes to write: no browser is needed to know that."""

import time
from pathlib import Path

from tests.report.synthetic import write_ladder

from fabula.report import write_report

MAX_CPU_SECONDS = 60.0


def test_fifteen_long_runs_stay_below_three_megabytes(tmp_path: Path) -> None:
    """Four phases of 15,000 steps with four seeds (one run more than fifteen)."""
    write_ladder(tmp_path / "ladder", seeds=4, scale=1.0)
    started = time.process_time()
    write_report([tmp_path / "ladder"], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 3_000_000
    assert time.process_time() - started < MAX_CPU_SECONDS
