"""The guard that keeps the tests off the network."""

import socket

import pytest


def test_an_address_outside_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(OSError, match="the tests run without network"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)  # an address reserved for documentation


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
