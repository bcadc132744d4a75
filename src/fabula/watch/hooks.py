"""A chat's incoming hook: an address that takes messages as JSON."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from fabula.errors import InputError
from fabula.record.wording import inert

TIMEOUT_SECONDS = 10.0
CHOOSY = (400, 415, 422)
"""What a hook answers that takes a text and nothing beside it (Google Chat)."""


def checked(url: str) -> str:
    """`url` as it was given. Raises InputError for one that nothing can be posted to."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not url.isascii() or any(each.isspace() for each in url):
        raise InputError("--notify takes the address of an incoming hook, which begins with https:// or http://")
    return url


def quieted(text: str) -> str:
    """Names in records hold any character, and chats call people by some of them."""
    return inert(text).replace("<", "‹").replace(">", "›").replace("@", "@\N{ZERO WIDTH SPACE}")


def post(url: str, body: dict[str, Any]) -> None:
    """Raises OSError or HTTPException where it did not arrive."""
    try:
        _send(url, body)
    except urllib.error.HTTPError as error:
        if error.code not in CHOOSY:
            raise
        _send(url, {"text": body["text"]})


class _Staying(urllib.request.HTTPRedirectHandler):
    """A message that is led elsewhere has not arrived: it would be asked for there, and not posted."""

    def redirect_request(self, *given: Any) -> None:
        return None


_opener = urllib.request.build_opener(_Staying)


def _send(url: str, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", "user-agent": "fabula"})
    with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1000)
