"""Workers end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabula.data.prepare.parallel import deaf_children

POOL = """
import os, time
from multiprocessing import get_context
from concurrent.futures import ProcessPoolExecutor
from fabula.data.prepare.parallel import _start_worker

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=_start_worker) as pool:
        print(*{pool.submit(os.getpid).result() for _ in range(50)}, flush=True)
        time.sleep(60)
"""


def test_what_asks_for_a_checkpoint_ends_no_process_that_still_loads() -> None:
    with deaf_children():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.send_signal(signal.SIGUSR1)
    child.communicate(b"\n")
    assert child.returncode == 0
    assert signal.SIGUSR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_workers_load_little() -> None:
    """A preparation starts as many as there are cores, and each loads what it needs anew."""
    asked = "import sys, fabula.data.prepare.tasks, fabula.data.prepare.parallel; print('pydantic' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", asked], text=True) == "False\n"


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.long
def test_a_worker_ends_with_its_parent_and_leaves_signals_to_it(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGUSR1)
    time.sleep(0.2)
    assert workers and all(map(is_there, workers))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(is_there, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_there, workers))
