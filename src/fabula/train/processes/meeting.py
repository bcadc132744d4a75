"""Meeting again in a store that remembers those who are gone.

torchrun keeps one store through all restarts of its processes, and torch 2.13 looks there for the addresses of the
others: of the process that was killed, where that one's are still there, and nobody answers at those. So the processes
agree first on a part of the store that nobody has written to.
"""

import secrets
import time
from datetime import timedelta

from torch._C._distributed_c10d import PrefixStore, Store  # torch.distributed exports them to readers only

LOOK_SECONDS = 0.05


def fresh_part(store: Store, rank: int, size: int, patience: timedelta) -> Store:
    """A part of `store` that only those `size` processes know which are alive now. Raises RuntimeError where they have
    not all come within `patience`.

    Each process but the first writes a word of its own, and looks whether the first one has answered this very word;
    the first one answers again and again, since the word that it finds may be that of a process which is gone.
    """
    deadline = time.monotonic() + patience.total_seconds()
    own = secrets.token_hex(8)
    if rank == 0:
        missing = set(range(1, size))
        while missing:
            for other in sorted(missing):
                if _text(store, f"here/{own}/{other}") is not None:
                    missing.discard(other)
                elif (word := _text(store, f"word/{other}")) is not None:
                    store.set(f"answer/{other}", f"{word} {own}")
            _wait(deadline)
        return PrefixStore(own, store)
    store.set(f"word/{rank}", own)
    while not (answer := _text(store, f"answer/{rank}") or "").startswith(own):
        _wait(deadline)
    place = answer.split()[1]
    store.set(f"here/{place}/{rank}", own)
    return PrefixStore(place, store)


def _text(store: Store, key: str) -> str | None:
    return store.get(key).decode() if store.check([key]) else None


def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise RuntimeError("the processes of this run have not all connected")
    time.sleep(LOOK_SECONDS)
