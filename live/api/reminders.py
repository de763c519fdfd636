"""Be told when an item goes on sale (`live/reminders.py`). Which of mine stand is in `/api/rooms/{room_id}/mine`."""

from __future__ import annotations

from live import reminders
from live.api.endpoint import Call, Endpoint
from live.limits import REMIND


async def _ask(call: Call) -> None:
    async with call.wiring.database.begin() as c:
        await reminders.ask(
            c,
            call.in_room.room_id,
            call.parameter("product_id"),
            call.buyer_id,
            call.now_ms,
            ghost=call.caller.ghost,
        )


async def _take_back(call: Call) -> None:
    async with call.wiring.database.begin() as c:
        await reminders.take_back(c, call.in_room.room_id, call.parameter("product_id"), call.buyer_id)


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/reminders/{product_id}",
        summary="Tell me once, by the personal message `reminder`, when this item goes on sale in the room",
        tag="reminders",
        handler=_ask,
        roles="viewer",
        status=204,
        limit=REMIND,
        keeps_answer=False,
    ),
    Endpoint(
        method="DELETE",
        path="/api/rooms/{room_id}/reminders/{product_id}",
        summary="Don't tell me; also when I had not asked",
        tag="reminders",
        handler=_take_back,
        roles="viewer",
        status=204,
        limit=REMIND,
        keeps_answer=False,
    ),
)
