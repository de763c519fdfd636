"""Problem details for HTTP answers (RFC 9457): one body shape for everything that is refused, with a stable `code`."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

import redis.exceptions
from starlette.responses import Response

from commerce.errors import (
    CommerceError,
    Forbidden,
    Invalid,
    NotFound,
    OutOfState,
    Quarantined,
    Refused,
    Unavailable,
)
from live.limits import TooMany
from realtime.protocol import CommandError

MEDIA_TYPE: Final = "application/problem+json"

_STATUSES: Final[tuple[tuple[type[CommerceError], int], ...]] = (
    (TooMany, 429),
    (NotFound, 404),
    (Invalid, 422),
    (OutOfState, 409),
    (Refused, 409),
    (Quarantined, 409),
    (Forbidden, 403),
    (Unavailable, 503),
)


class HttpProblem(Exception):
    """Refused at the edge, before any package was asked."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}
        self.facts = facts


NO_ANSWER: Final = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError)
"""Redis is away. Other errors of it are defects of ours."""
REFUSALS: Final = (HttpProblem, CommerceError, CommandError, *NO_ANSWER)
"""What is answered with a problem, wherever it is raised; anything else is a crash."""
Refusal = (
    HttpProblem
    | CommerceError
    | CommandError
    | redis.exceptions.ConnectionError
    | redis.exceptions.TimeoutError
)


def answer(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **facts: Any
) -> Response:
    """A problem as a response; `facts` are extension members."""
    body = {
        "type": f"urn:flashroom:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **facts,
    }
    # What cannot be UTF-8 (half of a surrogate pair in an echoed name) must not turn a refusal into a crash.
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def of_error(error: Refusal) -> Response:
    """The problem of an error that any package raised."""
    if isinstance(error, NO_ANSWER):
        detail = "The room does not answer right now. Try again in a moment."
        return answer(503, "unavailable", detail, headers={"Retry-After": "1"})
    if isinstance(error, HttpProblem):
        return answer(error.status, error.code, error.detail, headers=error.headers, **error.facts)
    if isinstance(error, CommandError):
        return answer(503, error.code, error.message, headers={"Retry-After": "1"})
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    headers = {}
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(-(-error.retry_after_ms // 1000))
    elif status == 503 or error.code == "idempotency_in_progress":
        headers["Retry-After"] = "1"
    return answer(status, error.code, error.message, headers=headers, **_shown(error.facts))


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    reserved = {"type", "title", "status", "code", "detail"}
    return {
        (f"fact_{name}" if name in reserved else name): value
        for name, value in facts.items()
        if isinstance(value, str | int | float | bool | list | dict | None)
    }
