"""Simulated judges, good and bad: in how many sessions is each called unreliable?

Writes docs/measured/judges.json and the table of docs/judge.md.

python docs/measure_judges.py [SESSIONS]      (100 sessions a judge: half a minute)
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

from tests.coherence.judge.sessions import session_of  # noqa: E402
from tests.coherence.judge.simulated import BAD, GOOD, MORE_BAD  # noqa: E402

from fabula.record.files import write_json, write_text  # noqa: E402
from fabula.study.judging.controls import reliability  # noqa: E402
from fabula.study.judging.words import NAMES  # noqa: E402

MEASURED = REPO / "docs" / "measured" / "judges.json"
PAGE = REPO / "docs" / "judge.md"
BEGIN, END = "<!-- judges -->", "<!-- /judges -->"


def measure(num: int) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for kind, judges in (("bad", BAD), ("bad", MORE_BAD), ("good", GOOD)):
        for name, judge in judges.items():
            failed: Counter[str] = Counter()
            flagged = 0
            for seed in range(num):
                told = reliability(session_of(judge, seed))
                flagged += told.verdict == "unreliable"
                failed.update(check.name for check in told.failed)
            found[name] = {"kind": kind, "flagged": flagged, "failed": dict(failed)}
    return found


def table(num: int, found: dict[str, dict[str, object]]) -> str:
    lines = [f"| judge | called unreliable in {num} sessions | on what |", "|---|---:|---|"]
    for name, each in found.items():
        failed = each["failed"]
        assert isinstance(failed, dict)
        what = ", ".join(
            f"{NAMES[check]} {times}" for check, times in sorted(failed.items(), key=lambda pair: -pair[1])
        )
        lines.append(f"| {name} | {each['flagged']} | {what} |")
    return "\n".join(lines)


def main(num: int) -> None:
    found = measure(num)
    write_json(MEASURED, {"sessions": num, "judges": found})
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    write_text(PAGE, f"{before}{BEGIN}\n{table(num, found)}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
