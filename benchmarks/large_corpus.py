"""`fabula prepare` on generated corpora of growing size: memory, speed, and a kill in the middle.

python benchmarks/large_corpus.py --out docs/measured/large_corpus.json

Corpora of --whole gigabytes are prepared to their end, each once with a SIGKILL on the way and a second call. That of
--large gigabytes is read for --seconds only. Memory is looked at ten times a second: the resident memory of the
command, and of the command with its workers (pages that they share count once, as in PSS). Stories are random words, in
each shard in another alphabet than in the one before, so that no two are alike. Takes about 300 s for each whole
gigabyte on two cores, and as much disk as the largest corpus and its tokens.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fabula.data.dataset import open_dataset
from fabula.data.prepare.journal import unfinished

SHARD_BYTES = 100_000_000
LETTERS = bytes(range(ord("a"), ord("z") + 1))
PART_WORDS = 60


def first_shard() -> bytes:
    """Stories of about 900 bytes, one JSON string a line: of 40,000 phrases, each shorter than a shingle."""
    chance = random.Random(0)
    words = ["".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 7))) for _ in range(5000)]
    phrases = [" ".join(chance.choices(words, k=3)) for _ in range(40_000)]
    lines, size = [], 0
    while size < SHARD_BYTES:
        lines.append('"' + " ".join(chance.choices(phrases, k=PART_WORDS)) + '."\n')
        size += len(lines[-1])
    return "".join(lines).encode()


def generate(folder: Path, first: bytes, gigabytes: float) -> None:
    """Shards beside those that are there already, each in letters of its own."""
    folder.mkdir(exist_ok=True)
    for number in range(round(gigabytes * 1e9 / SHARD_BYTES)):
        path = folder / f"shard-{number:04}.jsonl"
        if not path.exists():
            letters = list(LETTERS)
            random.Random(number).shuffle(letters)
            path.write_bytes(first.translate(bytes.maketrans(LETTERS, bytes(letters))))


def children_of(process: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{process}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def memory_of(process: int, kind: str) -> int:
    """Bytes; 0 for a process that is gone."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(kind):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


class Watched:
    """The command, with the most memory that it took."""

    def __init__(self, source: Path, out: Path) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the command
        command = [sys.executable, "-m", "fabula", "prepare", str(source), "--tokenizer", "bpe:8192", "--out", str(out)]
        self.process = subprocess.Popen(command, stdout=self._said, stderr=self._said)
        self.command_peak = self.all_peak = 0
        self.samples: list[int] = []
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while self.process.poll() is None:
            everyone = [self.process.pid, *children_of(self.process.pid)]
            self.command_peak = max(self.command_peak, memory_of(self.process.pid, "Rss:"))
            self.samples.append(sum(memory_of(each, "Pss:") for each in everyone))
            self.all_peak = max(self.all_peak, self.samples[-1])
            time.sleep(0.1)

    def ended(self) -> int:
        code = self.process.wait()
        self._said.close()
        return code


def megabytes(num_bytes: float) -> int:
    return round(num_bytes / 1e6)


def whole(folder: Path, source: Path, gigabytes: float) -> dict[str, Any]:
    out = folder / "out"
    started = time.monotonic()
    first = Watched(source, out)
    while not list(unfinished(out).glob("reading-*.note.json")) and first.process.poll() is None:
        time.sleep(0.2)
    time.sleep(15)
    first.process.send_signal(signal.SIGKILL)
    first.ended()
    kept = unfinished(out).is_dir()
    killed, started_again = time.monotonic() - started, time.monotonic()
    second = Watched(source, out)
    code = second.ended()
    facts = open_dataset(out).manifest.splits
    row = {
        "gigabytes": gigabytes,
        "whole": True,
        "exit_code": code,
        "stories": sum(each.num_stories for each in facts.values()),
        "killed_after_seconds": round(killed),
        "went_on": kept,
        "seconds": round(killed + time.monotonic() - started_again),
        "peak_megabytes": megabytes(max(first.command_peak, second.command_peak)),
        "peak_megabytes_with_workers": megabytes(max(first.all_peak, second.all_peak)),
        "written_megabytes": megabytes(sum(path.stat().st_size for path in out.rglob("*") if path.is_file())),
    }
    shutil.rmtree(out)
    return row


def beginning(folder: Path, source: Path, gigabytes: float, seconds: float) -> dict[str, Any]:
    out = folder / "out"
    started = time.monotonic()
    watched = Watched(source, out)
    while watched.process.poll() is None and time.monotonic() - started < seconds:
        time.sleep(0.5)
    watched.process.send_signal(signal.SIGKILL)
    watched.ended()
    (note,) = unfinished(out).glob("reading-some.note.json")
    read = json.loads(note.read_text())["state"]["num_bytes"]
    third = len(watched.samples) // 3
    shutil.rmtree(unfinished(out))
    return {
        "gigabytes": gigabytes,
        "whole": False,
        "seconds": round(time.monotonic() - started),
        "read_gigabytes": round(read / 1e9, 2),
        "peak_megabytes": megabytes(watched.command_peak),
        "peak_megabytes_with_workers": megabytes(watched.all_peak),
        "mean_megabytes_of_the_second_third": megabytes(sum(watched.samples[third : 2 * third]) / third),
        "mean_megabytes_of_the_last_third": megabytes(sum(watched.samples[-third:]) / third),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", type=float, nargs="*", default=[1.0, 2.0], help="gigabytes, from 0.8 on")
    parser.add_argument("--large", type=float, default=20.0, help="gigabytes; 0: none")
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--folder", type=Path, help="where there is room; left out: a temporary folder")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    first = first_shard()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        for gigabytes in sorted(arguments.whole):
            generate(folder / "corpus", first, gigabytes)
            rows.append(whole(folder, folder / "corpus", gigabytes))
            print(json.dumps(rows[-1]), flush=True)
        if arguments.large:
            generate(folder / "corpus", first, arguments.large)
            rows.append(beginning(folder, folder / "corpus", arguments.large, arguments.seconds))
            print(json.dumps(rows[-1]), flush=True)
    arguments.out.write_text(json.dumps({"corpora": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
