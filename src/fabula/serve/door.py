"""Who may come in. A page on this machine is in reach of every page that its browser has open, so the names by which it
is called, and the pages that call it, are checked.

A foreign page cannot read what stands here, but it may send a form, or have its own name lead to 127.0.0.1 (DNS
rebinding): then the Host that the browser names is not this machine's. An address in digits cannot be led astray.
"""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fabula.serve.address import Address

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Callable[[], Awaitable[MutableMapping[str, Any]]], Send], Awaitable[None]]
TOKEN = "token"
"""What the secret is called in an address, and the beginning of its name as a cookie."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def new_token() -> str:
    """A secret for an address: 128 bits, which nobody guesses."""
    return secrets.token_urlsafe(16)


class Door:
    """An ASGI application before another one: refuses foreign hosts, foreign pages and, where there is a `token`, who
    does not know it; adds `policy` (the content-security policy) and the other headers of a page that trusts nobody.

    The token comes once in the address (`?token=...`), as a cookie from then on, or as `Authorization: Bearer`.
    """

    def __init__(self, inner: Application, address: Address, policy: str, token: str = "") -> None:
        self.inner = inner
        self.address = address
        self.token = token
        self.headers = {**HEADERS, "content-security-policy": policy}
        self.names = {"localhost"} if address.is_local else {"localhost", address.host.lower(), *_own_names()}

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] != "http":  # the life of the server itself; there are no web sockets here
            await self.inner(scope, receive, send)
            return
        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if reason := self._refusal(asked):
            await _answer(send, 403, self.headers, f"{reason}; open {self.address.url}\n")
            return
        if self.token:
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if self._is_ours(query.pop(TOKEN, [""])[0]):
                place = scope["path"] + (f"?{urlencode(query, doseq=True)}" if query else "")
                cookie = f"{self._cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                await _answer(send, 303, {**self.headers, "location": place, "set-cookie": cookie}, "")
                return
            if not self._has_token(asked):
                await _answer(send, 401, self.headers, "the address lacks its token; copy it whole from the terminal\n")
                return

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", ()))
                there = {name.lower() for name, _ in own}
                added = [(name.encode(), value.encode()) for name, value in self.headers.items()]
                message["headers"] = own + [each for each in added if each[0] not in there]
            await send(message)

        await self.inner(scope, receive, with_headers)

    @property
    def _cookie(self) -> str:
        return f"{TOKEN}-{self.address.port}"  # cookies know no ports, and two pages may be open

    def _is_ours(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    def _has_token(self, asked: dict[str, str]) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(asked.get("cookie", ""))
        except CookieError:
            cookies.clear()
        given = cookies[self._cookie].value if self._cookie in cookies else ""
        return self._is_ours(given) or self._is_ours(asked.get("authorization", "").removeprefix("Bearer "))

    def _refusal(self, asked: dict[str, str]) -> str:
        """Why a request is turned away; empty where it is not."""
        host = asked.get("host", "")
        if not self._may_be_called(host):
            return "this page is not to be had under that name"
        origin = asked.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "another page may not ask for this one"
        if asked.get("sec-fetch-site") == "cross-site" and asked.get("sec-fetch-mode") != "navigate":
            return "another page may not ask for this one"
        return ""

    def _may_be_called(self, host: str) -> bool:
        """Whether the name in a Host header is this machine's, whichever the port: tunnels lead from another one."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            return ipaddress.ip_address(name).is_loopback or not self.address.is_local
        except ValueError:
            return name in self.names


def _own_names() -> set[str]:
    """Asked once: the whole one may come from a server of names, which takes its time."""
    name, whole = socket.gethostname().lower(), socket.getfqdn().lower()
    return {name, whole, name.partition(".")[0], f"{name.partition('.')[0]}.local"}


async def _answer(send: Send, status: int, headers: dict[str, str], text: str) -> None:
    given = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    start = {"type": "http.response.start", "status": status}
    await send({**start, "headers": [(b"content-type", b"text/plain; charset=utf-8"), *given]})
    await send({"type": "http.response.body", "body": text.encode()})
