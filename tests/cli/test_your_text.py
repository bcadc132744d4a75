"""The guide for others' text, run as it stands, on German poems in a folder; only sizes and times are smaller."""

import re
import shlex
from pathlib import Path

import pytest

from fabula.cli import run

SMALLER = {"bpe:2048": "bpe:300", "--minutes 10": "--steps 3", "--max-tokens 60": "--max-tokens 5"}
TINY = {
    "batch.rows": 2, "model.layers": 1, "model.width": 32, "model.heads": 1, "model.kv_heads": 1,
    "compute.compile": "off",
}  # fmt: skip
LINES = "Über den Wipfeln\nschläft schon der {}\n\nund in den Gärten\nrauscht noch die {}\n"
NOUNS = "Mond Wind Traum Fluß Abend Stern Schnee Wald Regen Morgen Kahn Vogel".split()


def commands(page: Path) -> list[list[str]]:
    text = page.read_text(encoding="utf-8")
    for long, short in SMALLER.items():
        assert long in text, f"the guide has no {long} any more"
        text = text.replace(long, short)
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.strip()]


def test_the_guide_as_it_stands(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my-texts").mkdir()
    for number in range(48):
        first, second = NOUNS[number % 12], NOUNS[(number // 3 + 5) % 12]
        Path(f"my-texts/gedicht-{number}.txt").write_text(LINES.format(first, second) * (1 + number % 3), "utf-8")
    every = commands(repo / "docs" / "your-text.md")
    assert [command[0] for command in every] == ["prepare", "train", "generate", "report", "train"]
    for command in every:
        small = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
        assert run([*command, *(small if command[0] == "train" else [])]) == 0, capfd.readouterr().err
    samples = Path("runs/mine-2/samples.jsonl").read_text(encoding="utf-8")
    assert "Es war einmal" in samples and Path("report.html").is_file()
