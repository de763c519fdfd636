"""Answers that a room's moderators give again and again, kept for all of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field
from sqlalchemy import select, update

from live.api.endpoint import MODERATE, Call, Endpoint, record
from live.api.models import Line200, Model
from live.schema import room

MAX_REPLIES: Final = 20


class SavedReplies(Model):
    replies: Annotated[list[Line200], Field(max_length=MAX_REPLIES)]


async def _get(call: Call) -> SavedReplies:
    async with call.wiring.database.read() as c:
        query = select(room.c.saved_replies).where(room.c.room_id == call.in_room.room_id)
        return SavedReplies(replies=(await c.execute(query)).scalar() or [])


async def _set(call: Call) -> SavedReplies:
    body: SavedReplies = call.body
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        await c.execute(update(room).where(room.c.room_id == room_id).values(saved_replies=body.replies))
        await record(
            c,
            call,
            "replies_set",
            room_id,
            after={"replies": len(body.replies)},
        )
    return body


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/saved-replies",
        summary="The room's saved replies",
        tag="moderation",
        handler=_get,
        roles=MODERATE,
        answer=SavedReplies,
    ),
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/saved-replies",
        summary="Set the room's saved replies, in order",
        tag="moderation",
        handler=_set,
        roles=MODERATE,
        body=SavedReplies,
        answer=SavedReplies,
    ),
)
