"""The page on reliability is what its records say, and its harness still finds what it looks for."""

from __future__ import annotations

import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest


def test_the_page_is_what_its_script_writes(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "reliability_page.py"))
    page = (repo / "docs" / "reliability.md").read_text(encoding="utf-8")
    stripped = page.replace("| damaged inputs |", "| inputs |")
    assert stripped != page
    assert script["written"](stripped) == page, "run: python docs/reliability_page.py"


def test_the_promises_hold_in_the_records(repo: Path) -> None:
    script = runpy.run_path(str(repo / "docs" / "reliability_page.py"))
    assert "| tracebacks, hangs over 10 s, over 1 GB, refusals in several lines | 0 |" in script["fuzz"]()
    assert all(line.endswith("| 0 |") for line in script["crash"]().splitlines()[2:])


def test_some_damaged_inputs(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small share of `make fuzz`."""
    monkeypatch.syspath_prepend(repo / "benchmarks")
    monkeypatch.chdir(tmp_path)
    logs, asking, mutations = (importlib.import_module(f"harm.{name}") for name in ("logs", "asking", "mutations"))
    Path("healthy").write_text("step,loss\n1,3.0\n2,2.0\n")
    assert asking.ask(["diagnose", "healthy"]).code == 0
    failures = []
    for number in range(40):
        random = Random(f"test-{number}")
        made = logs.logs(random)
        kind = random.choice([name for name, content in made.items() if "log" in content])
        Path("log").write_bytes(mutations.mutated(made[kind]["log"], random))
        if failure := asking.ask(["diagnose", "log"]).failure:
            failures.append((number, kind, failure))
    assert not failures


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a child that has loaded everything is forked")
@pytest.mark.parametrize("rows", ["SIGKILL while training", "flipped bits in a run"])
def test_a_share_of_the_crashes(rows: str, repo: Path) -> None:
    """A small share of `make test-crash`: one trial of a row. (Power cuts: tests/record/test_power_cut.py.)"""
    command = [str(repo / "benchmarks" / "harm" / "crash.py"), "--trials", "1", "--seed", "1", "--rows", rows]
    ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.fullmatch(r" +1 trials +\d+ kills +0 failures  .*\n", ended.stdout)


def test_the_harness_sees_a_traceback_and_a_refusal_in_several_lines(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(repo / "benchmarks")
    asking = importlib.import_module("harm.asking")

    def fails() -> int:
        raise KeyError("x")

    assert "KeyError" in asking.watched(fails).failure
    assert asking.watched(lambda: print("a\x1b[31m") or 0).failure.startswith("steers the terminal")
    assert asking.watched(lambda: 0).failure == ""
