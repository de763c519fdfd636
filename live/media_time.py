"""The show's media time: ms since its picture began to come in, on the server's clock. What a cue says of the moment it belongs to.

The media process says once what media time 0 is (`zero_ms` of the value `media`), so a cue costs one read when it is published, and
nothing per viewer. Everything else with an `at_ms` has the media time `at_ms - zero_ms`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from realtime.broker import Broker

log = logging.getLogger("flashroom.media_time")


def media_time_ms(media: Mapping[str, Any] | None, at_ms: int) -> int | None:
    """The media time of a moment, by the room's value `media`; None while nothing is on air, and for what came before the picture."""
    zero_ms = (media or {}).get("zero_ms")
    if media is None or zero_ms is None or not media.get("publishing") or at_ms < zero_ms:
        return None
    return int(at_ms - zero_ms)


async def media_now(broker: Broker, room_id: str) -> Mapping[str, Any] | None:
    """The room's value `media`; None before there was one, and while Redis doesn't answer, which costs only what hangs on it."""
    try:
        _, media = await broker.value(room_id, "media") or (0, None)
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("nobody says what is on air in room %s: %s", room_id, error)
        return None
    return media


def timed(data: Mapping[str, Any], media: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is published, with the `media_time_ms` of its `at_ms`, where there is one."""
    found = media_time_ms(media, data["at_ms"])
    return dict(data) if found is None else {**data, "media_time_ms": found}


async def with_media_time(broker: Broker, room_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """An event's data with the `media_time_ms` of its `at_ms`, where there is one. A Redis that doesn't answer costs only that."""
    return timed(data, await media_now(broker, room_id))
