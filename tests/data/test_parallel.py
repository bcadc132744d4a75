"""Workers end with whoever started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_ends_with_its_parent_and_leaves_signals_to_it(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(POOL)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
    time.sleep(0.2)
    assert workers and all(map(is_there, workers))
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(map(is_there, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_there, workers))
