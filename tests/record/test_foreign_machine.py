"""Logs of others say how fast a training was and how much memory it took, and are asked about it."""

from pathlib import Path

import numpy as np
import pytest

from fabula.findings import Diagnosis, diagnose
from fabula.record.foreign import read_sources

STEPS = np.arange(1, 201)
LOSS = 2.0 + 6.0 * np.exp(-STEPS / 30)
SLOW = np.where(STEPS > 120, 0.4, 1.0)
LEAK = 1.0 + STEPS / 100


def told(path: Path, text: str) -> Diagnosis:
    path.write_text(text, encoding="utf-8")
    (run,), _ = read_sources(path)
    return diagnose(run)


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("tokens_per_sec", 12_000 * SLOW),
        ("train/tok/s", 3.5e5 * SLOW),
        ("it/s", 2.5 * SLOW),
        ("throughput/device/tokens_per_sec", 900 * SLOW),
        ("mfu", 0.4 * SLOW),
        ("step_time_ms", 330 / SLOW),
        ("dt", 0.2 / SLOW),
        ("time/step", 0.2 / SLOW),
    ],
)
def test_a_column_of_speed(tmp_path: Path, header: str, values: np.ndarray) -> None:
    rows = "".join(f"{step},{loss:.4f},{value:.5g}\n" for step, loss, value in zip(STEPS, LOSS, values, strict=True))
    (found,) = told(tmp_path / "log.csv", f"step,loss,{header}\n{rows}").of("throughput_dropped")
    assert found.steps is not None and abs(found.steps[0] - 120) < 12
    assert found.evidence["column"] == header and f"`{header}`" in found.sentence
    assert "2.5 times as long" in found.sentence


@pytest.mark.parametrize("header", ["gpu_mem_gb", "GPU memory (GB)", "max_memory_allocated", "rss_mb", "mem/peak_gib"])
def test_a_column_of_memory(tmp_path: Path, header: str) -> None:
    rows = "".join(f"{step},{loss:.4f},{value:.2f}GB\n" for step, loss, value in zip(STEPS, LOSS, LEAK, strict=True))
    (found,) = told(tmp_path / "log.csv", f"step,loss,{header}\n{rows}").of("memory_growing")
    assert found.severity == "warning" and found.evidence["column"] == header


@pytest.mark.parametrize(
    "line",
    [
        "step {step:4d} | loss: {loss:.6f} | lr 6.0e-04 | norm: 1.2 | dt: {ms:.2f}ms | tok/sec: {rate:,.2f}",
        "iter {step}: loss {loss:.4f}, time {ms:.2f}ms, mfu 33.20%",
        "step {step}/200 loss {loss:.4f} {rate:,.0f} tokens/s",
        "[{step}/200] train loss {loss:.4f}, {thousands:.1f}k tok/s",
        "step={step} loss={loss:.4f} step_time={ms:.0f}ms",
    ],
)
def test_printed_lines(tmp_path: Path, line: str) -> None:
    lines = (
        line.format(step=step, loss=loss, ms=400 / slow, rate=50_000 * slow, thousands=50 * slow)
        for step, loss, slow in zip(STEPS, LOSS, SLOW, strict=True)
    )
    assert told(tmp_path / "train.log", "\n".join(lines)).of("throughput_dropped")


def test_a_column_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    rows = "".join(f"{step},{loss:.4f},fast,\n" for step, loss in zip(STEPS, LOSS, strict=True))
    found = told(tmp_path / "log.csv", f"step,loss,throughput,memory\n{rows}")
    assert not found.of("throughput_dropped", "memory_growing") and found.of("stable")
