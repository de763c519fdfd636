"""Rooms for more shows, and the rehearsal of one."""

from __future__ import annotations

from live import people, rehearsals, rooms, run_of_show
from live.api import desk
from live.api.endpoint import PRODUCE, Call, Endpoint, record
from live.api.models import Line40, Line80, Model, RoomShown
from live.api.rooms import room_shown
from live.problems import HttpProblem
from live.wiring import new_id


class NewRoom(Model):
    """A room before its show, without products; whoever makes it is its owner. `host_name`: who is seen; left out, the account's name."""

    title: Line80
    title_zh: Line80 | None = None
    host_name: Line40 | None = None


async def _create(call: Call) -> RoomShown:
    body: NewRoom = call.body
    user = call.caller.user
    if user is None:
        raise HttpProblem(401, "sign_in_required", "Sign in with an account that works here.")
    if "owner" not in user.roles.values():
        raise HttpProblem(403, "wrong_role", "Only who owns a room already may open another one.")
    room_id = new_id("rm")
    async with call.wiring.database.begin() as c:
        await rooms.create(
            c,
            room_id=room_id,
            title=run_of_show.by_language(body.title, body.title_zh),
            host_name=body.host_name or user.name,
            rehearsal=False,
            product_ids=(),
            now_ms=call.now_ms,
        )
        await people.give(c, room_id, user.user_id, "owner")
        await record(c, call, "room_create", room_id, room_id=room_id, after={"title": body.title})
        room = await rooms.get(c, room_id)
    await desk.tell(call, room)
    return room_shown(room)


async def _rehearse(call: Call) -> RoomShown:
    async with call.wiring.database.begin() as c:
        room = await rehearsals.prepare(c, call.in_room, new_id, call.now_ms)
        await record(c, call, "room_rehearse", room.room_id, after={"run_version": call.in_room.run_version})
    await desk.tell(call, room)
    if room.status == "preshow":  # what was asked for were copies that are gone
        await desk.in_time(room.room_id, call.wiring.requests.clear(room.room_id))
    return room_shown(room)


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/rooms",
        summary="Open a room for another show; for whoever owns one already",
        tag="rooms",
        handler=_create,
        roles="viewer",
        body=NewRoom,
        answer=RoomShown,
        status=201,
    ),
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/rehearsal",
        summary="The room to rehearse this show in, with fresh copies of its products unless it is on air",
        tag="rooms",
        handler=_rehearse,
        roles=PRODUCE,
        answer=RoomShown,
    ),
)
