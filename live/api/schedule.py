"""When a show is to start: viewers see a countdown and can have a reminder."""

from __future__ import annotations

from typing import Final

from commerce.errors import Invalid
from live import rooms
from live.api.endpoint import PRODUCE, Call, Endpoint, record
from live.api.models import Model, RoomShown
from live.api.rooms import room_shown

LONGEST_AHEAD_MS: Final = 366 * 86_400_000


class Schedule(Model):
    starts_at_ms: int | None


async def _schedule(call: Call) -> RoomShown:
    body: Schedule = call.body
    starts_at_ms, room_id = body.starts_at_ms, call.in_room.room_id
    if starts_at_ms is not None and not call.now_ms < starts_at_ms <= call.now_ms + LONGEST_AHEAD_MS:
        raise Invalid("bad_start", "starts_at_ms lies within the next year", field="starts_at_ms")
    async with call.wiring.database.begin() as c:
        before = await rooms.get(c, room_id)
        after = await rooms.change(c, room_id, starts_at_ms=starts_at_ms)
        await record(
            c,
            call,
            "schedule",
            room_id,
            before=before.starts_at_ms,
            after=after.starts_at_ms,
        )
    await call.wiring.broker.publish(room_id, values=after.values())
    return room_shown(after)


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/schedule",
        summary="Announce when the show starts; null takes it back",
        tag="rooms",
        handler=_schedule,
        roles=PRODUCE,
        body=Schedule,
        answer=RoomShown,
    ),
)
