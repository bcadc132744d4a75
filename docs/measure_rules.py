"""Writes measured/simulated_curves.json: what the rules say of simulated trainings, beside what is true of them.

python docs/measure_rules.py SEED [SHARE]

tests/findings/simulated.py draws the trainings and their labels; a share below 1 draws fewer of them, over the same
lengths. The record is written after every group: a draw that is stopped is a smaller draw. One that rules have been
changed after is used up.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from tests.findings.simulated import draw  # noqa: E402

from fabula.findings import Diagnosis, diagnose  # noqa: E402

OUT = DOCS / "measured" / "simulated_curves.json"


@dataclass
class Tally:
    """Labels against findings."""

    num: int = 0
    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    """Kind -> shown, of them found; not shown, of them said."""
    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)
    """What is true (healthy, failed, broken) -> verdict -> how often."""
    wrong: list[str] = field(default_factory=list)
    """Each miss and each false alarm: the kind, and how the curve was made."""

    def add(self, labels: dict[str, bool], health: str, told: Diagnosis, made: str) -> None:
        self.num += 1
        said = {finding.kind for finding in told.findings}
        for kind, shows in labels.items():
            counts = self.kinds.setdefault(kind, {"shown": 0, "found": 0, "not_shown": 0, "said": 0})
            counts["shown" if shows else "not_shown"] += 1
            counts["found" if shows else "said"] += kind in said
            if shows != (kind in said):
                self.wrong.append(f"{kind} {'missed' if shows else 'said'}: {made}")
        verdicts = self.verdicts.setdefault(health, dict.fromkeys(("healthy", "not judged", "warning", "failed"), 0))
        verdicts[told.verdict] += 1
        if (health == "failed" and told.verdict != "failed") or (health == "healthy" and told.verdict != health):
            self.wrong.append(f"{health}, called {told.verdict}: {made}")

    def as_json(self) -> dict[str, Any]:
        return {"curves": self.num, "kinds": dict(sorted(self.kinds.items())), "verdicts": self.verdicts,
                "wrong": sorted(self.wrong)}  # fmt: skip


def simulated(seed: int, share: float = 1.0, longest: float = 5.176) -> Iterator[dict[str, Any]]:
    """The tally of one draw, as it stands after each group."""
    tally, lengths = Tally(), set()
    for group in draw(seed, share, longest):
        for made in group:
            tally.add(made.labels, made.health, diagnose(made.run, made.flags), made.made)
            lengths.add(made.run.info["steps"])
        yield {"seed": seed, "shortest": min(lengths), "longest": max(lengths), **tally.as_json()}


def main(arguments: Iterable[str]) -> None:
    seed, *share = arguments
    for told in simulated(int(seed), *map(float, share)):
        whole = OUT.with_name(OUT.name + ".part")
        whole.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        whole.replace(OUT)
        print(f"{told['curves']:,} trainings", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
