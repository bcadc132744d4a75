"""How large a page may be, and how long it may take: it travels by mail and opens on a phone."""

import time
from pathlib import Path

import pytest
from tests.report.synthetic import write_ladder

from fabula.report import write_report
from fabula.report.figures.figures import _from_point_to_point


@pytest.mark.long
@pytest.mark.parametrize(
    ("seeds", "steps", "most"),
    [(3, 500, 2_000_000), pytest.param(6, 15_000, 3_000_000, marks=pytest.mark.slow)],
    ids=["12 runs of 500", "24 of 15,000"],
)
def test_the_file_is_small(tmp_path: Path, seeds: int, steps: int, most: int) -> None:
    """With a bound (which was once drawn for every point), a spike, and fifty evaluations a run."""
    write_ladder(
        tmp_path / "ladder", seeds=seeds, scale=steps / 15_000, baseline_1={"bump": (150, 190, 2.0)},
        **{phase: {"floor": 1.9, "every": steps // 50} for phase in ("init", "cosine", "packed")},
    )  # fmt: skip
    started = time.process_time()
    write_report([tmp_path / "ladder"], tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < most
    assert time.process_time() - started < 60


def test_a_path_from_point_to_point() -> None:
    """Shorter to write, the same line: rounded to tenths, told by the way from the point before."""
    assert _from_point_to_point("M1.04,2L3.26,2.5L3.26,2.5L0,0") == "M1,2l2.3,0.5 -3.3,-2.5"
    assert _from_point_to_point("M0,0L1,1M5,5L6,4") == "M0,0l1,1M5,5l1,-1"
    assert _from_point_to_point("M0,0h3v4h-3Z") == "M0,0h3v4h-3Z", "other commands stay as they are"
