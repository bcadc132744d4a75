"""Joins drawn curves of real trainings into measured/real_curves.jsonl.gz, and asks the rules about them.

python docs/measure_real.py FILE...         joins them, and says what is called what, with looks inside and without
python docs/measure_real.py                 says it of the curves that are kept

FILES are what benchmarks/real_curves.py --out wrote, one for each tool or more; each holds the curves as their tools
logged them, with labels that were made without any rule.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

from measure_rules import Tally  # noqa: E402

from fabula.findings import Flags, diagnose  # noqa: E402
from fabula.record.foreign import read_sources  # noqa: E402
from fabula.record.reader import Run  # noqa: E402

OUT = DOCS / "measured" / "real_curves.jsonl.gz"


def curves(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def joined(files: Iterable[Path]) -> list[dict[str, Any]]:
    """All curves in the order of their draw; of two with one number the one in the later file."""
    by_name = {curve["name"]: curve for file in files for curve in curves(file)}
    return [by_name[name] for name in sorted(by_name)]


def tally(record: Path = OUT, *, internals: bool = True) -> dict[str, Any]:
    """What the rules say of every curve, beside its labels; `internals`: whether they see the looks inside, of the
    runs that have them."""
    counted, tools, looked = Tally(), dict.fromkeys(("fabula", "trainer"), 0), 0
    for curve in curves(record):
        with tempfile.TemporaryDirectory() as folder:
            files = {name: each for name, each in curve["files"].items() if internals or name != "internals.jsonl"}
            _restore(files, Path(folder))
            (run,), _ = read_sources(Path(folder))
            told = diagnose(run, Flags(**curve["flags"]))
        tools[curve["tool"]] += 1
        looked += "internals.jsonl" in files
        made = f"{curve['tool']}, {curve['fault'] or 'healthy'} (curve {curve['name']})"
        counted.add(_to_be_seen(curve["labels"], run), curve["health"], told, made)
    return {"tools": tools, "looked": looked, **counted.as_json()}


def _to_be_seen(labels: dict[str, Any], run: Run) -> dict[str, Any]:
    """The labels without that of a sound schedule where the log begins after its warmup: it shows no rise at all."""
    rates = run.train.get("learning_rate", ())
    late = len(rates) and run.train["step"][0] > 1 and rates[0] == max(rates)
    return {kind: shown for kind, shown in labels.items() if not (late and kind == "schedule_ok" and shown)}


def _restore(files: dict[str, Any], folder: Path) -> None:
    for name, content in files.items():
        if name.endswith(".jsonl"):
            content = "".join(json.dumps(line) + "\n" for line in content)
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def main(arguments: Iterable[str]) -> None:
    files = [Path(each) for each in arguments]
    if files:
        lines = joined(files)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        print(f"{len(lines)} curves in {OUT} ({OUT.stat().st_size / 1e3:.0f} kB)")
    for internals in (True, False):
        told = tally(internals=internals)
        print("with looks inside" if internals else "without", json.dumps(told["verdicts"]))
        if internals:
            print("\n".join(told["wrong"]))


if __name__ == "__main__":
    main(sys.argv[1:])
