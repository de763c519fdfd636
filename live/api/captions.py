"""Captions of what is said: whoever types or recognises speech posts a line, and viewers see the newest over the picture."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

from live.api.endpoint import MODERATE, Call, Endpoint
from live.api.models import Model, OptionalLine200
from live.limits import Limit

SHOWN_MS: Final = 8_000
"""A line stays this long unless the next replaces it."""
CAPTIONS: Final = Limit("captions", 300, 60_000)  # a recogniser that mends its line five times a second


class Caption(Model):
    """At most 200 characters, about two lines on a phone; empty takes the line away. `language` as in HTML's `lang`."""

    text: OptionalLine200
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")] | None = None


async def _post(call: Call) -> None:
    body: Caption = call.body
    caption = {
        "text": body.text,
        "language": body.language,
        "at_ms": call.now_ms,
        "until_ms": call.now_ms + SHOWN_MS,
    }
    # A value, not an event: who comes in sees the line of now, and a show's words don't push comments out of the history.
    await call.wiring.broker.publish(call.in_room.room_id, values={"captions": (call.now_ms, caption)})


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/captions",
        summary="Show a line of captions for 8 s or until the next; at most 300 a minute. Like comments, not in the audit log",
        tag="rooms",
        handler=_post,
        roles=MODERATE,
        body=Caption,
        status=204,
        limit=CAPTIONS,
        keeps_answer=False,
    ),
)
