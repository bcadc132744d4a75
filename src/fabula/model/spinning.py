"""How threads without work wait for the next piece of it; set before torch is loaded, for its OpenMP reads this once.

A waiting thread looks again and again for a while (it spins), then sleeps until it is woken. Spinning answers at once,
but keeps the processor from whatever else could run there: from other programs, and from the very thread that it waits
for. torch as it comes spins for 300,000 looks, 20 ms on two AMD cores at 70 ns a look. `modern-portable` (tokens a
second, alone and beside one busy process): 3,797 and 930 with 300,000 looks, 4,482 and 1,333 with 20,000, 3,864 and
2,157 with 1,000, 2,920 and 2,093 with none. So threads spin for 20,000 looks where the machine is free, and for 1,000
where it is not: libgomp does so by itself once it has more threads than there are processors, and
`fabula.train.neighbours` sees to that.

GOMP_SPINCOUNT and OMP_WAIT_POLICY: GNU libgomp manual, "Environment Variables". KMP_BLOCKTIME is for the OpenMP of LLVM
and Intel (macOS, Windows), which otherwise spins for 200 ms; 1 ms is the shortest that all of its versions know.
"""

import os
import sys

SETTINGS = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "20000", "KMP_BLOCKTIME": "1"}


def bound_spinning() -> tuple[str, str]:
    """Set how long threads spin, unless the user did or torch is loaded already. Returns what holds, and why."""
    given = [name for name, ours in SETTINGS.items() if os.environ.get(name, ours) != ours]
    if given:
        return "as set", f"{' and '.join(given)} says so"
    if "torch" in sys.modules and not SETTINGS.items() <= os.environ.items():
        return "as torch has it", "torch was loaded before fabula"
    os.environ |= SETTINGS
    return "short", "a thread without work sleeps after about a millisecond, so that other programs get their turn"


WAITING = bound_spinning()
