"""A server of our own for the length of a test, and plain requests to it."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from fabula.serve.address import Address, listen


@contextmanager
def running(make: Any) -> Iterator[Address]:
    """`make(address)` is the application; it is served from another thread."""
    address = listen(18_642)
    config = uvicorn.Config(make(address), log_level="critical", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [address.socket]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()


def ask(
    address: Address, path: str = "/", headers: dict[str, str] | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], str]:
    """Status, headers (their names in small letters) and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)
    try:
        connection.request(method, path, headers={"Host": f"127.0.0.1:{address.port}"} | (headers or {}))
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()
