"""Which judge: provider and model as they are typed, the server's address, and the key, which is written nowhere."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fabula.errors import InputError, nearest

KEY_VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
OWN_VARIABLE = "FABULA_JUDGE_KEY"
"""Comes before the provider's own: for a server of another house."""
NO_KEY = "none"
"""What a server that asks for no key is sent: the clients insist on something."""
_LEAST_HIDDEN = 8
"""Characters of a key in a row that nothing may show: servers quote keys in part."""


@dataclass(frozen=True)
class Judge:
    provider: str
    model: str
    url: str | None = None
    """As the client takes it; None: the provider's own."""
    key: str = field(default=NO_KEY, repr=False)

    @property
    def name(self) -> str:
        return f"{self.provider}:{self.model}"

    @property
    def shown_url(self) -> str:
        """The address without what can be a secret: user and password, and what follows a question mark."""
        if self.url is None:
            return ""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")

    @property
    def identity(self) -> str:
        """Equal for two judges that give equal answers, as far as one can know."""
        return f"{self.name} {self.shown_url}".strip()

    def without_key(self, text: str) -> str:
        """`text` without the key, whole or in parts of eight characters and more."""
        if self.key == NO_KEY:
            return text
        size = min(_LEAST_HIDDEN, len(self.key))
        hidden = [False] * len(text)
        for place in range(len(self.key) - size + 1):
            for match in re.finditer(f"(?=({re.escape(self.key[place : place + size])}))", text):
                hidden[match.start() : match.start() + size] = [True] * size
        kept = "".join("\0" if hide else letter for letter, hide in zip(text, hidden, strict=True))
        return re.sub("\0+", "[key]", kept)


def judge_of(said: str, url: str | None = None) -> Judge:
    """`--judge` and `--judge-url` as they were typed. Raises InputError where they name no judge, or a key is missing
    that the provider's own server needs."""
    provider, colon, model = said.partition(":")
    if provider not in KEY_VARIABLES or not colon or not model.strip():
        wrong = nearest(provider, list(KEY_VARIABLES)) if provider not in KEY_VARIABLES else ""
        raise InputError(
            f"--judge {said}: it is no PROVIDER:MODEL{wrong}",
            "give openai:MODEL (any OpenAI-compatible server with --judge-url) or anthropic:MODEL",
        )
    variable = KEY_VARIABLES[provider]
    key = (os.environ.get(OWN_VARIABLE) or os.environ.get(variable) or "").strip()
    if not key and url is None:
        raise InputError(
            f"--judge {said}: no key for {provider}",
            f"set {variable} in the environment, or name a server of your own with --judge-url",
        )
    if not key.isascii() or re.search(r"\s", key):
        raise InputError("the judge's key has a character that no key has", f"check {OWN_VARIABLE} and {variable}")
    return Judge(provider, model.strip(), None if url is None else _address(provider, url), key or NO_KEY)


def _address(provider: str, url: str) -> str:
    """As the client takes it: OpenAI's with the version in it, Anthropic's without."""
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise InputError("--judge-url is no address of a server", "give one such as http://localhost:8080/v1")
    path = parts.path.rstrip("/")
    path = path.removesuffix("/chat/completions").removesuffix("/messages")
    path = path or "/v1" if provider == "openai" else path.removesuffix("/v1")
    return parts._replace(path=path, fragment="").geturl()
