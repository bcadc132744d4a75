"""Where a page is served: a port that is free, on this machine alone unless more is asked for."""

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

from fabula.errors import InputError

LOOPBACK = "127.0.0.1"
TRIED_PORTS = 50
"""Ports tried from the usual one on, where none was asked for."""
TAKEN = {errno.EADDRINUSE, errno.EACCES}
"""Another program has the port, or only the system's own programs may (below 1024)."""


@dataclass(frozen=True)
class Address:
    """An address that is listened on; `socket` is for the server."""

    host: str
    port: int
    socket: socket.socket

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine reach it."""
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """What to open. Where it listens everywhere, by this machine's name: from elsewhere LOOPBACK is another one."""
        name = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host
        return f"http://{f'[{name}]' if ':' in name else name}:{self.port}/"


def listen(usual: int, port: int | None = None, host: str | None = None) -> Address:
    """Listen on `port`; where none is given, on the first free one from `usual` on. `host`: this machine alone if not
    given.

    Raises InputError for a port that is taken and a host that is none of this machine.
    """
    host = host or LOOPBACK
    if port is not None and not 0 < port < 1 << 16:
        raise InputError(f"--port {port}: give a number from 1 to 65535, or leave it out for a free one")
    family = _family(host)
    for each in [port] if port is not None else range(usual, usual + TRIED_PORTS):
        listening = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # the port of a server that has just ended; on Windows also one of a server that has not
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, each))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if error.errno not in TAKEN:
                raise _no_address(host, error.strerror) from error
            continue
        return Address(host, each, listening)
    if port is not None:
        raise InputError(f"port {port} is taken or not allowed; give another --port, or leave it out for a free one")
    raise InputError(f"no port from {usual} to {usual + TRIED_PORTS - 1} is free; give another one with --port")


def _family(host: str) -> socket.AddressFamily:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _no_address(host, error) from error
    return found[0][0]


def _no_address(host: str, why: object) -> InputError:
    return InputError(f"--host {host} is no address of this machine ({why}); leave it out")


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine as only it can."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
