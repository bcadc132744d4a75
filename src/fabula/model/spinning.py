"""How threads without work wait for the next piece of it; set before torch is loaded, for its OpenMP reads this once.

A waiting thread looks again and again for a while (it spins), then sleeps until it is woken. Spinning answers at once,
but keeps the processor from whatever else could run there: from other programs, and from the very thread that it waits
for. torch as it comes spins for 300,000 looks, 20 ms on two AMD cores. That is the fastest where nothing else runs:
with 20,000 looks `modern-portable` lost a tenth there (docs/log.md). Beside others 1,000 looks are better. libgomp
changes to 1,000 by itself once it has more threads than there are processors, and `fabula.train.machine.neighbours`
brings it there while other programs want the processor.

GOMP_SPINCOUNT and OMP_WAIT_POLICY: GNU libgomp manual, "Environment Variables". KMP_BLOCKTIME is for the OpenMP of LLVM
and Intel (macOS, Windows), which otherwise spins for 200 ms; 1 ms is the shortest that all of its versions know.
"""

import os
import sys

SETTINGS = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "1"}


def bound_spinning() -> tuple[str, str]:
    """Set how long threads spin, unless the user did or torch is loaded already. Returns what holds, and why."""
    given = [name for name, ours in SETTINGS.items() if os.environ.get(name, ours) != ours]
    if given:
        return "as set", f"{' and '.join(given)} says so"
    if "torch" in sys.modules and not SETTINGS.items() <= os.environ.items():
        return "as torch has it", "torch was loaded before fabula"
    os.environ |= SETTINGS
    return "adaptive", "a thread without work sleeps sooner while other programs want the processor"


WAITING = bound_spinning()
