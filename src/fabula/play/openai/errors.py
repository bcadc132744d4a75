"""What is refused, in the shape that OpenAI's clients read."""

from typing import Any

from starlette.responses import JSONResponse


class Refused(Exception):
    """A request that is not answered: the status, a sentence, and the field that is meant."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code


KINDS = {429: "rate_limit_error", 500: "server_error"}


def error_object(refused: Refused) -> dict[str, Any]:
    return {
        "error": {
            "message": refused.message,
            "type": KINDS.get(refused.status, "invalid_request_error"),
            "param": refused.param,
            "code": refused.code,
        }
    }


def refusal(refused: Refused, retry_after: int | None = None) -> JSONResponse:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(error_object(refused), refused.status, headers)
