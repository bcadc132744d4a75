"""A process of the group that is gone, told from what the others' libraries say of it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

SIGNS = re.compile(
    r"gloo|nccl|ProcessGroup|not all connected|connection (was )?(closed|reset|refused)|broken pipe|socket",
    re.IGNORECASE,
)
"""What torch's errors name when another process has left: gloo raises a plain RuntimeError."""


class ProcessLost(RuntimeError):
    """Another process of the training has ended, so that this one cannot go on."""

    def __init__(self, detail: str) -> None:
        super().__init__("another process of this training has ended: it was killed, or its machine is gone")
        self.detail = detail
        """As the library says it."""


def is_lost(error: BaseException) -> bool:
    """Whether `error` comes from the connection to the other processes."""
    return isinstance(error, ProcessLost | dist.DistError) or bool(SIGNS.search(str(error)))


@contextmanager
def loss_told() -> Iterator[None]:
    """Turn what the libraries raise when a process has left into ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, ProcessLost) or not is_lost(error):
            raise
        raise ProcessLost(str(error).partition("\n")[0][:200]) from error
