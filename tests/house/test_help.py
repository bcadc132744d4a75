"""`fabula --help` answers at once: it imports the command line's own library and no room."""

import subprocess
import sys
from pathlib import Path

import pytest

MAX_SECONDS = 0.3
IDLE_START_SECONDS = 0.02  # an interpreter that does nothing, on an idle machine; more than that means a busy one

PROBE = """
import atexit, sys, time
path, sys.argv = sys.argv[1], ["fabula", *sys.argv[2:]]
atexit.register(lambda: open(path, "w").write("\\n".join([str(time.process_time()), *sys.modules])))
if len(sys.argv) > 1:
    from fabula.cli import main
    sys.exit(main())
"""


def cpu_seconds_and_modules(tmp_path: Path, *arguments: str) -> tuple[float, set[str]]:
    """The processor time of a whole process, its start included, and what it had imported at its end."""
    written = tmp_path / "probe.txt"
    result = subprocess.run(
        [sys.executable, "-c", PROBE, str(written), *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    seconds, *modules = written.read_text(encoding="utf-8").splitlines()
    return float(seconds), set(modules)


def test_help_is_quick(tmp_path: Path) -> None:
    # The least of several: neighbours can only add. A machine slow at starting Python at all gets time in proportion.
    bare = min(cpu_seconds_and_modules(tmp_path)[0] for _ in range(5))
    cost = min(cpu_seconds_and_modules(tmp_path, "--help")[0] for _ in range(5))
    assert cost < MAX_SECONDS * max(1.0, bare / IDLE_START_SECONDS), (
        f"{cost:.3f} s of CPU time (a bare start: {bare:.3f} s)"
    )


@pytest.mark.parametrize("heavy", ["torch", "numpy", "pydantic", "tokenizers", "pyarrow", "jinja2", "vl_convert"])
def test_help_does_not_import(heavy: str, tmp_path: Path) -> None:
    _, modules = cpu_seconds_and_modules(tmp_path, "--help")
    assert "fabula.cli" in modules
    assert heavy not in modules
