"""Follow a room (`live/followers.py`). Whether I do is in `/api/rooms/{room_id}/mine`."""

from __future__ import annotations

from live import followers
from live.api.endpoint import Call, Endpoint
from live.limits import FOLLOW


async def _follow(call: Call) -> None:
    wiring = call.wiring
    async with wiring.database.begin() as c:
        await followers.add(c, call.in_room, call.buyer_id, call.now_ms, ghost=call.caller.ghost)
    # Also when it was known: who is refused by a chat for followers though they are one mends it by following again.
    await wiring.broker.follow(call.in_room.room_id, call.buyer_id)


async def _unfollow(call: Call) -> None:
    wiring, room_id = call.wiring, call.in_room.room_id
    async with wiring.database.begin() as c:
        await followers.remove(c, room_id, call.buyer_id)
    await wiring.broker.unfollow(room_id, [call.buyer_id])


ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/follow",
        summary="Follow the room: be told by the personal message `live_now` when it is live, and write where only followers may",
        tag="followers",
        handler=_follow,
        roles="viewer",
        status=204,
        limit=FOLLOW,
        keeps_answer=False,
    ),
    Endpoint(
        method="DELETE",
        path="/api/rooms/{room_id}/follow",
        summary="Don't follow it; also when I did not",
        tag="followers",
        handler=_unfollow,
        roles="viewer",
        status=204,
        limit=FOLLOW,
        keeps_answer=False,
    ),
)
