"""Serving until a signal says that it is enough."""

import threading
from collections.abc import Callable

import uvicorn

from fabula.serve.address import Address
from fabula.serve.door import Application

GRACE_SECONDS = 1
"""What a browser that holds a stream open may take from Ctrl-C to the end."""


class _Server(uvicorn.Server):
    """Says when it answers, and ends at the first Ctrl-C without a trace of it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        self._ready()


def serve(
    application: Application,
    address: Address,
    ready: Callable[[], None] = lambda: None,
    ended: threading.Event | None = None,
) -> None:
    """Answer requests until SIGINT or SIGTERM, which uvicorn raises again once it has stopped, or until `ended` is set.
    `ready` is called when the first request can be answered."""
    config = uvicorn.Config(
        application, log_level="critical", access_log=False, lifespan="auto", ws="none", server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS, timeout_keep_alive=20,
    )  # fmt: skip
    server = _Server(config, ready)
    if ended is not None:
        threading.Thread(target=_end, args=(server, ended), daemon=True).start()
    with address.socket:
        server.run(sockets=[address.socket])


def _end(server: uvicorn.Server, ended: threading.Event) -> None:
    ended.wait()
    server.should_exit = True
