"""One person holds the sale desk of a room; others look, and may take over. A desk that nobody holds goes to whoever acts first.

The holder is a person, not a window: the phone of the one at the desk is a remote for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import OutOfState
from live import rooms
from live.rooms import Room
from live.schema import room as room_table
from live.schema import user as user_table


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is at the desk, since when."""

    user_id: str
    name: str
    since_ms: int


async def holder(c: AsyncConnection, room_id: str) -> Holder | None:
    """Who holds the desk of the room; None for nobody."""
    query = (
        select(user_table.c.user_id, user_table.c.name, room_table.c.desk_since_ms)
        .join_from(room_table, user_table, room_table.c.desk_user_id == user_table.c.user_id)
        .where(room_table.c.room_id == room_id)
    )
    row = (await c.execute(query)).first()
    return None if row is None else Holder(row.user_id, row.name, row.desk_since_ms)


async def take(
    c: AsyncConnection, room_id: str, user_id: str, now_ms: int, *, take_over_from: str | None = None
) -> Room | None:
    """Give the desk to this user, who then holds it; None when they did already.

    From somebody else only when that one is named, so that of two who take over at once the second is asked again.
    Raises OutOfState `desk_held` with the holder's id and name.
    """
    is_free = room_table.c.desk_user_id.is_(None)
    may = is_free if take_over_from is None else or_(is_free, room_table.c.desk_user_id == take_over_from)
    changed = await c.execute(
        update(room_table)
        .where(room_table.c.room_id == room_id, may)
        .values(desk_user_id=user_id, desk_since_ms=now_ms, version=room_table.c.version + 1)
    )
    if changed.rowcount:
        return await rooms.get(c, room_id)
    now = await holder(c, room_id)
    if now is not None and now.user_id == user_id:
        return None
    raise held_by_other(now)


async def release(c: AsyncConnection, room_id: str, user_id: str) -> Room | None:
    """Leave the desk free; None when this user did not hold it."""
    changed = await c.execute(
        update(room_table)
        .where(room_table.c.room_id == room_id, room_table.c.desk_user_id == user_id)
        .values(desk_user_id=None, desk_since_ms=None, version=room_table.c.version + 1)
    )
    return await rooms.get(c, room_id) if changed.rowcount else None


def held_by_other(now: Holder | None) -> OutOfState:
    """The refusal that names who is at the desk."""
    name = "Somebody else" if now is None else now.name
    return OutOfState(
        "desk_held",
        f"{name} has the desk. Take over first.",
        holder_id=None if now is None else now.user_id,
        holder_name=name,
    )
