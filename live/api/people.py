"""Who works in a room: its owner gives and takes roles."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection

from live import audit, people
from live.api.endpoint import Call, Endpoint
from live.api.models import Line254, Model
from live.identity import STAFF

OWN: Final = frozenset({"owner"})
UserId = Annotated[str, StringConstraints(pattern=r"^us_[A-Za-z0-9_]{1,60}$")]


class PersonShown(Model):
    user_id: str
    email: str
    name: str
    role: str


class People(Model):
    people: list[PersonShown]


class GiveRole(Model):
    email: Line254
    role: Literal["moderator", "analyst", "seller", "host", "owner"]


async def _list(call: Call) -> People:
    async with call.wiring.database.read() as c:
        found = await people.list_for_room(c, call.in_room.room_id)
    shown = [PersonShown(user_id=one.user_id, email=one.email, name=one.name, role=one.role) for one in found]
    return People(people=shown)


async def _give(call: Call) -> People:
    body: GiveRole = call.body
    async with call.wiring.database.begin() as c:
        user_id = await people.find(c, body.email)
        before = await people.give_role(c, call.in_room.room_id, user_id, body.role)
        if before != body.role:
            await _audit(c, call, "role_give", user_id, before, body.role)
    return await _list(call)


async def _take(call: Call) -> People:
    user_id = call.parameter("user_id")
    async with call.wiring.database.begin() as c:
        before = await people.take_role(c, call.in_room.room_id, user_id)
        await _audit(c, call, "role_take", user_id, before, None)
    return await _list(call)


async def _audit(
    c: AsyncConnection, call: Call, action: str, user_id: str, before: str | None, after: str | None
) -> None:
    await audit.record(
        c,
        call.caller,
        call.in_room.room_id,
        action,
        user_id,
        at_ms=call.now_ms,
        call_id=call.action_id,
        before=before,
        after=after,
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/people",
        summary="Everybody with a role in this room",
        tag="people",
        handler=_list,
        roles=STAFF,
        answer=People,
    ),
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/people",
        summary="Give an account a role, in place of the one it had",
        tag="people",
        handler=_give,
        roles=OWN,
        body=GiveRole,
        answer=People,
    ),
    Endpoint(
        method="DELETE",
        path="/api/rooms/{room_id}/people/{user_id}",
        summary="Take an account's role away; a room keeps at least one owner",
        tag="people",
        handler=_take,
        roles=OWN,
        answer=People,
    ),
)
