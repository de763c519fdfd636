"""Captions of what is said: whoever types or recognises speech posts a line, and viewers see the newest over the picture.

A viewer whose picture is late hears the words later: the line says which moment it belongs to, and the page keeps it until then.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, model_validator
from redis.exceptions import RedisError

from commerce.errors import Invalid
from live.api.endpoint import MODERATE, Call, Endpoint
from live.api.models import Model, OptionalLine200
from live.limits import Limit
from live.media import show_captions
from live.media.show_captions import SHOWN_MS
from live.media_time import media_now, timed

MAX_LAG_MS: Final = 15_000
"""As long as pages keep a cue for their picture; words of before are of no use live."""
AHEAD_MS: Final = 1_000
"""So much may a recogniser's clock be ahead of ours; nothing is spoken in the future."""
CAPTIONS: Final = Limit("captions", 300, 60_000)  # a recogniser that mends its line five times a second

log = logging.getLogger("flashroom.captions")


class Caption(Model):
    """At most 200 characters, about two lines on a phone; empty takes the line away. `language` as in HTML's `lang`.

    When the words were spoken, unless just now: `delay_ms` ago, or at `spoken_at_ms` by a clock that is in step with ours (UTC ms); one of
    the two, and at most 15 s ago.
    """

    text: OptionalLine200
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$")] | None = None
    delay_ms: Annotated[int, Field(ge=0, le=MAX_LAG_MS)] | None = None
    spoken_at_ms: int | None = None

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        if self.delay_ms is not None and self.spoken_at_ms is not None:
            raise ValueError("give delay_ms or spoken_at_ms, not both")
        return self

    def at_ms(self, now_ms: int) -> int:
        """When the words were spoken. Raises Invalid."""
        if self.spoken_at_ms is None:
            return now_ms - (self.delay_ms or 0)
        if not now_ms - MAX_LAG_MS <= self.spoken_at_ms <= now_ms + AHEAD_MS:
            raise Invalid(
                "bad_spoken_at", "spoken_at_ms lies within the last 15 s by our clock", field="spoken_at_ms"
            )
        return min(self.spoken_at_ms, now_ms)


async def _post(call: Call) -> None:
    body: Caption = call.body
    room_id, broker = call.in_room.room_id, call.wiring.broker
    media = await media_now(broker, room_id)
    line: dict[str, Any] = {"text": body.text, "language": body.language, "at_ms": body.at_ms(call.now_ms)}
    caption = {**timed(line, media), "until_ms": call.now_ms + SHOWN_MS}
    # A value, not an event: who comes in sees the line of now, and a show's words don't push comments out of the history.
    await broker.publish(room_id, values={"captions": (call.now_ms, caption)})
    if media is not None and media.get("recording") == "on":
        try:
            await show_captions.put(call.wiring.redis, room_id, line)
        except (RedisError, OSError) as error:
            log.warning("a line of captions of room %s is not recorded: %s", room_id, error)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/captions",
        summary="Show a line of captions for 8 s or until the next, in step with the picture; at most 300 a minute, not in the audit log",
        tag="rooms",
        handler=_post,
        roles=MODERATE,
        body=Caption,
        status=204,
        limit=CAPTIONS,
        keeps_answer=False,
    ),
)
