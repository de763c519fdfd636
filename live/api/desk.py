"""Who is at the sale desk: look, take it, take it over, leave it."""

from __future__ import annotations

import logging

from live import audit, desk_holder
from live.api.endpoint import READ, SELL, Call, Endpoint
from live.api.models import Model, UserId
from live.rooms import Room
from live.stock_values import PUBLISH_ERRORS

log = logging.getLogger("flashroom.api")


class DeskHolder(Model):
    user_id: str
    name: str
    since_ms: int


class DeskShown(Model):
    """`holder` is None while nobody is at the desk; then the first who acts gets it."""

    holder: DeskHolder | None


class TakeDesk(Model):
    """`take_over_from`: the user id of the one who is at the desk now; left out, only a free desk is taken."""

    take_over_from: UserId | None = None


async def _get(call: Call) -> DeskShown:
    return await _shown(call)


async def _take(call: Call) -> DeskShown:
    body: TakeDesk = call.body
    await take(call, body.take_over_from)
    return await _shown(call)


async def take(call: Call, take_over_from: str | None = None) -> None:
    """The caller to the desk, with its line in the log; all consoles see it. Raises OutOfState `desk_held`."""
    room_id, user_id = call.in_room.room_id, call.buyer_id
    async with call.wiring.database.begin() as c:
        before = await desk_holder.holder(c, room_id)
        after = await desk_holder.take(c, room_id, user_id, call.now_ms, take_over_from=take_over_from)
        if after is None:
            return
        await audit.record(
            c,
            call.caller,
            room_id,
            "desk_take" if before is None else "desk_take_over",
            room_id,
            at_ms=call.now_ms,
            call_id=f"{call.action_id}:desk",
            before={"desk": None if before is None else before.name},
            after={"desk": call.caller.name},
        )
    await tell(call, after)


async def _release(call: Call) -> DeskShown:
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        after = await desk_holder.release(c, room_id, call.buyer_id)
        if after is not None:
            await audit.record(
                c,
                call.caller,
                room_id,
                "desk_release",
                room_id,
                at_ms=call.now_ms,
                call_id=call.action_id,
                before={"desk": call.caller.name},
                after={"desk": None},
            )
    if after is not None:
        await tell(call, after)
    return await _shown(call)


async def require(call: Call) -> None:
    """Let an action on sales through for the one at the desk; a free desk becomes theirs. Raises OutOfState `desk_held`."""
    held_by = call.in_room.desk_user_id
    if held_by == call.buyer_id:
        return
    if held_by is not None:
        async with call.wiring.database.read() as c:
            raise desk_holder.held_by_other(await desk_holder.holder(c, call.in_room.room_id))
    await take(call)


async def tell(call: Call, room: Room) -> None:
    """Show the room as it is now. Never fails its caller: the worker repeats all values within 2 s."""
    try:
        await call.wiring.broker.publish(room.room_id, values=room.values())
    except PUBLISH_ERRORS as error:
        log.warning("room %s was not told at once: %s", room.room_id, error)


async def _shown(call: Call) -> DeskShown:
    async with call.wiring.database.read() as c:
        now = await desk_holder.holder(c, call.in_room.room_id)
    if now is None:
        return DeskShown(holder=None)
    return DeskShown(holder=DeskHolder(user_id=now.user_id, name=now.name, since_ms=now.since_ms))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/desk",
        summary="Who holds the sale desk",
        tag="desk",
        handler=_get,
        roles=READ,
        answer=DeskShown,
    ),
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/desk",
        summary="Take the sale desk, or take it over from the one who is named",
        tag="desk",
        handler=_take,
        roles=SELL,
        body=TakeDesk,
        answer=DeskShown,
    ),
    Endpoint(
        method="DELETE",
        path="/api/rooms/{room_id}/desk",
        summary="Leave the sale desk free",
        tag="desk",
        handler=_release,
        roles=SELL,
        answer=DeskShown,
    ),
)
