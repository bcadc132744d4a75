"""What a request brings, read with bounds: a JSON object of a size that a prompt may have."""

from typing import Any

from starlette.requests import Request

from fabula.errors import InputError
from fabula.record.content.parsing import json_value

MOST_BYTES = 1 << 18
"""Of a request: a context of 8,192 tokens, each as a number with six digits, is a quarter of it."""


async def asked_object(request: Request) -> dict[str, Any]:
    """The JSON object of a request. Raises InputError for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a form of another site's page has one of three other kinds, and is sent unasked
        raise InputError("the request is not JSON; send it with the header Content-Type: application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise InputError(f"the request is larger than {MOST_BYTES:,} bytes; shorten the prompt")
    try:
        value = json_value(body.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise InputError("the request is no JSON object")
    return value
