"""A word every few seconds while something goes on that cannot say how far it is."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_SECONDS = 10.0


@contextmanager
def telling(notice: Callable[[str], None], what: str, every: float = EVERY_SECONDS) -> Iterator[None]:
    """While the body runs, `notice` is told `still WHAT, 20 s so far` each `every` seconds, from another thread."""
    over, started = threading.Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(every):
            notice(f"still {what}, {time.monotonic() - started:.0f} s so far")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
