"""Pages on this machine: who may come in, at which address, and what is sent along."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.serve.visits import ask, running

from fabula.errors import InputError
from fabula.serve import address as address_module
from fabula.serve.address import Address, is_loopback, listen
from fabula.serve.door import Door

POLICY = "default-src 'none'"


def page(address: Address, token: str = "") -> Any:
    async def say(request: Any) -> PlainTextResponse:
        return PlainTextResponse(f"inside {request.url.query}")

    return Door(Starlette(routes=[Route("/", say, methods=["GET", "POST"])]), address, POLICY, token)


def everywhere(address: Address) -> Any:
    """As it would be asked from other machines."""
    return page(Address("0.0.0.0", address.port, address.socket))


HOSTS = {
    "127.0.0.1:{port}": True,
    "localhost:{port}": True,
    "LOCALHOST:{port}": True,
    "127.0.0.1:9999": True,  # a tunnel from another port
    "[::1]:{port}": True,
    "127.8.8.8": True,
    "evil.example": False,
    "evil.example:{port}": False,
    "127.0.0.1.evil.example": False,
    "localhost.evil.example": False,
    "127.0.0.1@evil.example": False,
    "192.168.1.7:{port}": False,
    "": False,
    "[": False,
    "0x7f.1": False,
}


def test_only_this_machines_names_are_answered() -> None:
    with running(page) as address:
        for host, welcome in HOSTS.items():
            status, _, text = ask(address, headers={"Host": host.format(port=address.port)})
            assert (status == 200) == welcome, host
            assert ("inside" in text) == welcome, host
            assert welcome or status in (400, 403)


def test_asked_from_elsewhere_digits_and_own_names_are_answered() -> None:
    with running(everywhere) as address:
        for host, welcome in {
            "192.168.1.7:80": True, f"{socket.gethostname()}:1": True, "[fe80::1]": True, "evil.example": False,
        }.items():  # fmt: skip
            assert (ask(address, headers={"Host": host})[0] == 200) == welcome, host


def test_by_which_name_others_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 is their own machine; and a name that takes its time to be found is looked for once."""
    asked: list[int] = []
    monkeypatch.setattr(socket, "gethostname", lambda: "Box")
    monkeypatch.setattr(socket, "getfqdn", lambda: asked.append(1) or "box.lab.example")
    for host in ("0.0.0.0", "::"):
        assert Address(host, 8642, socket.socket()).url == "http://Box:8642/"
    assert Address("192.168.1.7", 8642, socket.socket()).url == "http://192.168.1.7:8642/"
    with running(everywhere) as address:
        for host, welcome in {
            "Box:80": True, "box.lab.example:80": True, "BOX.lab.example": True, "box.local": True, "localhost": True,
            "other.lab.example": False, "box.lab.example.evil.example": False,
        }.items():  # fmt: skip
            assert (ask(address, headers={"Host": host})[0] == 200) == welcome, host
    assert asked == [1]


@pytest.mark.parametrize(("system", "shared"), [("posix", True), ("nt", False)])
def test_a_port_is_never_shared_with_a_server_that_runs(
    system: str, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows SO_REUSEADDR lets two of them listen on one port."""
    monkeypatch.setattr(address_module, "os", SimpleNamespace(name=system))
    with listen(18_700).socket as listening:
        assert bool(listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)) == shared


def test_other_pages_may_not_ask() -> None:
    with running(page) as address:
        own = f"http://127.0.0.1:{address.port}"
        for headers, welcome in (
            ({"Origin": own}, True),
            ({"Origin": "http://evil.example"}, False),
            ({"Origin": "null"}, False),
            ({"Origin": "http://127.0.0.1:1"}, False),  # another page of this machine is another page
            ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
            ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, True),  # a link that was pressed
            ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
        ):
            for method in ("GET", "POST"):
                assert (ask(address, headers=headers, method=method)[0] == 200) == welcome, headers


def test_what_is_sent_along() -> None:
    with running(page) as address:
        for headers in ({}, {"Host": "evil.example"}):
            _, sent, _ = ask(address, headers=headers)
            assert sent["content-security-policy"] == POLICY
            assert sent["x-content-type-options"] == "nosniff"
            assert sent["cache-control"] == "no-store"


def test_a_token_opens_the_page_once_and_then_stays_as_a_cookie() -> None:
    with running(lambda address: page(address, "secret")) as address:
        for path, headers in (
            ("/", {}), ("/?token=wrong", {}), ("/?token=", {}), ("/", {"Cookie": f"token-{address.port}=wrong"}),
            ("/", {"Authorization": "Bearer wrong"}), ("/", {"Cookie": 'token="'}), ("/", {"Authorization": "sécret"}),
        ):  # fmt: skip
            status, _, text = ask(address, path, headers)
            assert status == 401, (path, headers)
            assert "inside" not in text
        status, sent, _ = ask(address, "/?token=secret&a=1")
        assert (status, sent["location"]) == (303, "/?a=1")
        assert "HttpOnly" in sent["set-cookie"] and "SameSite=Strict" in sent["set-cookie"]
        cookie = sent["set-cookie"].partition(";")[0]
        assert ask(address, "/?a=1", {"Cookie": f"other=1; {cookie}"})[2] == "inside a=1"
        assert ask(address, "/", {"Authorization": "Bearer secret"})[0] == 200


def test_the_next_free_port_is_taken_but_for_one_that_was_asked_for() -> None:
    first = listen(18_700)
    second = listen(18_700)
    try:
        assert second.port > first.port
        assert first.is_local and first.url == f"http://127.0.0.1:{first.port}/"
        with pytest.raises(InputError, match=rf"port {first.port} is taken.*--port"):
            listen(18_700, first.port)
    finally:
        first.socket.close()
        second.socket.close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "not a host", "é" * 300])
def test_a_host_that_is_none_of_this_machine(host: str) -> None:
    with pytest.raises(InputError, match="--host"):
        listen(18_700, host=host)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(InputError, match="--port"):
        listen(18_700, port)


def test_loopback_is_told_apart() -> None:
    assert [is_loopback(each) for each in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [True] * 4
    assert not any(is_loopback(each) for each in ("0.0.0.0", "::", "192.168.0.1", "example.org"))
