"""One piece of work at a time beside the training, on a thread: what waits for the disk need not hold up the steps."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

NAME = "checkpoint"
"""How the name of the thread begins."""


class Background:
    """Work that has been started and not yet been asked about."""

    def __init__(self) -> None:
        self.step = 0
        """What `start` was given last."""
        self._work: Future[None] | None = None

    def start(self, step: int, work: Callable[[], None]) -> None:
        """Begin `work`; what was begun before must have been waited for."""
        assert self._work is None, "one at a time"
        thread = ThreadPoolExecutor(1, thread_name_prefix=NAME)
        self.step, self._work = step, thread.submit(work)
        thread.shutdown(wait=False)  # it ends with the work

    @property
    def has_ended(self) -> bool:
        """Whether there is work that has ended, and has not been waited for."""
        return self._work is not None and self._work.done()

    def wait(self) -> BaseException | None:
        """Wait for the work, if there is any. What went wrong in it."""
        if self._work is None:
            return None
        error = self._work.exception()
        self._work = None
        return error
