"""One writer a folder, whatever becomes of it; what others left half done goes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabula.errors import InputError
from fabula.record.lock import only_writer, writer_of
from fabula.record.reader import read_run
from fabula.record.writer import RunWriter

HOLD = """
import sys, time
from pathlib import Path
from fabula.record.lock import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that writes `folder`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_and_the_first_one_named(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    first = holder(folder)
    try:
        refusal = rf"run is being written by process {first.pid} \(-c .*; wait until"
        with pytest.raises(InputError, match=refusal), only_writer(folder):
            raise AssertionError("two writers")
        assert str(first.pid) in (writer_of(folder) or "")
        assert not folder.exists()
    finally:
        first.kill()
        first.wait()
    with only_writer(folder):  # the system has let go of what the killed one held
        assert writer_of(folder) is not None
    assert list(folder.parent.iterdir()) == [], "no lock stays behind"


def test_readers_hold_no_writer_back(tmp_path: Path) -> None:
    first = holder(tmp_path / "run")
    for _ in range(20):
        assert writer_of(tmp_path / "run") is not None
    first.send_signal(signal.SIGTERM)
    first.wait()
    asking = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\nfrom fabula.record.lock import writer_of\n"
         "while True: writer_of(Path(sys.argv[1]))", str(tmp_path / "run")]
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            with only_writer(tmp_path / "run"):
                pass
    finally:
        asking.kill()
        asking.wait()


def test_a_lock_is_taken_once_in_a_process(tmp_path: Path) -> None:
    with only_writer(tmp_path / "run"):
        with only_writer(tmp_path / "run"):
            pass
        assert writer_of(tmp_path / "run") is not None, "the inner block has not let go of it"
    assert writer_of(tmp_path / "run") is None


def test_litter_of_writers_that_are_gone_is_removed_and_nothing_else(tmp_path: Path) -> None:
    run = tmp_path / "run"
    litter = [tmp_path / ".run.4711.partial", run / "checkpoints" / ".step-00000012.4711.partial"]
    kept = [tmp_path / ".other.4711.partial", run / "checkpoints" / "step-00000008"]
    for folder in (*litter, *kept):
        folder.mkdir(parents=True)
        (folder / "file").write_text("text")
    (run / ".run.json.4711.partial").write_text("{")
    with only_writer(run):
        assert not any(each.exists() for each in litter) and all((each / "file").exists() for each in kept)
        assert [each.name for each in run.iterdir()] == ["checkpoints"]


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path: Path) -> None:
    with only_writer(tmp_path / "run"):
        RunWriter.create(tmp_path / "run", "", "{}", {"format": 1, "status": "running", "seed": 0})
        assert read_run(tmp_path / "run").status == "running"
    assert read_run(tmp_path / "run").status == "interrupted"


def test_a_place_that_cannot_be_written_is_left_to_the_writer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with only_writer(tmp_path / "file" / "run"):
        pass
