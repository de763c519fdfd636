"""Viewers who follow a room: kept in SQL, told once per show that it is live, and known in Redis for a chat that is theirs alone.

SQL is the truth. Redis has the same ids, so that hubs need no SQL: put there with each change, and all of them again by the worker where
Redis does not know them (any more).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import and_, case, delete, exists, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, upsert
from commerce.database import Database
from live.identity import GUEST_TTL_MS
from live.rooms import Room
from live.schema import follower, room
from realtime.broker import Broker

PAGE: Final = 1_000
GUEST_KEPT_MS: Final = GUEST_TTL_MS
"""As long as a guest's cookie: then nobody can be that guest any more."""
_GUESTS: Final = "gu_"


async def add(c: AsyncConnection, room_: Room, viewer_id: str, now_ms: int, *, ghost: bool) -> None:
    """This viewer follows the room; nothing changes when that is known. Of the show that is on they need not be told."""
    new = upsert.insert_into(c, follower).values(
        room_id=room_.room_id,
        viewer_id=viewer_id,
        ghost=ghost,
        since_ms=now_ms,
        told_show_ms=room_.started_at_ms or 0,
    )
    await c.execute(new.on_conflict_do_nothing())


async def remove(c: AsyncConnection, room_id: str, viewer_id: str) -> None:
    """This viewer does not follow the room (any more)."""
    await c.execute(delete(follower).where(follower.c.room_id == room_id, follower.c.viewer_id == viewer_id))


async def is_one(c: AsyncConnection, room_id: str, viewer_id: str) -> bool:
    """Whether this viewer follows the room."""
    found = select(follower.c.viewer_id).where(
        follower.c.room_id == room_id, follower.c.viewer_id == viewer_id
    )
    return (await c.execute(found)).first() is not None


async def counts(c: AsyncConnection, room_id: str, started_at_ms: int | None) -> tuple[int, int]:
    """How many follow the room, and how many of them since its show began, ghosts apart."""
    is_new = follower.c.since_ms >= started_at_ms if started_at_ms is not None else follower.c.since_ms < 0
    query = select(func.count(), func.count(case((is_new, 1)))).where(
        follower.c.room_id == room_id, follower.c.ghost.is_(False)
    )
    total, new = (await c.execute(query)).one()
    return total, new


async def pages(database: Database, room_id: str) -> AsyncIterator[Sequence[str]]:
    """The ids of all who follow the room, a thousand at a time."""
    last = ""
    while True:
        query = (
            select(follower.c.viewer_id)
            .where(follower.c.room_id == room_id, follower.c.viewer_id > last)
            .order_by(follower.c.viewer_id)
            .limit(PAGE)
        )
        async with database.read() as c:
            found = (await c.execute(query)).scalars().all()
        if found:
            yield found
        if len(found) < PAGE:
            return
        last = found[-1]


_IS_TO_BE_TOLD: Final = and_(
    follower.c.room_id == room.c.room_id, follower.c.told_show_ms < room.c.started_at_ms
)


async def rooms_to_tell(c: AsyncConnection) -> frozenset[str]:
    """Rooms that are live and have followers who were not told so."""
    query = select(room.c.room_id).where(
        room.c.status == "live", exists().where(_IS_TO_BE_TOLD).correlate(room)
    )
    return frozenset((await c.execute(query)).scalars())


def live_now(room_: Room, now_ms: int) -> dict[str, Any]:
    """The personal message `live_now`. Its id is of this show."""
    started_at_ms = room_.started_at_ms
    return {
        "id": f"{room_.room_id}:{started_at_ms}",
        "host_name": room_.host_name,
        "started_at_ms": started_at_ms,
        "at_ms": now_ms,
    }


async def tell(database: Database, broker: Broker, room_: Room, limit: int, now_ms: int) -> int:
    """Tell up to `limit` of a live room's followers; how many. Raises RedisError, Unavailable.

    Marked after they were told: a process that dies in between tells them again, under the same id.
    """
    if room_.status != "live" or room_.started_at_ms is None:
        return 0
    query = select(follower.c.viewer_id).where(
        follower.c.room_id == room_.room_id, follower.c.told_show_ms < room_.started_at_ms
    )
    async with database.read() as c:
        due = (await c.execute(query.limit(limit))).scalars().all()
    message = live_now(room_, now_ms)
    for viewer_id in due:
        await broker.publish_personal(
            room_.room_id, viewer_id, "live_now", message, once=f"live_now:{message['id']}"
        )
    if due:
        crash_points.reach("followers.told")
        async with database.begin() as c:
            await c.execute(
                update(follower)
                .where(follower.c.room_id == room_.room_id, follower.c.viewer_id.in_(due))
                .values(told_show_ms=room_.started_at_ms)
            )
    return len(due)


async def forget_old(c: AsyncConnection, now_ms: int, limit: int) -> Mapping[str, Sequence[str]]:
    """Delete up to `limit` follows of guests whose cookies are over; whose, by room."""
    query = (
        select(follower.c.room_id, follower.c.viewer_id)
        .where(
            follower.c.since_ms < now_ms - GUEST_KEPT_MS,
            follower.c.viewer_id.startswith(_GUESTS, autoescape=True),
        )
        .limit(limit)
    )
    old = [(row.room_id, row.viewer_id) for row in await c.execute(query)]
    await c.execute(delete(follower).where(tuple_(follower.c.room_id, follower.c.viewer_id).in_(old)))
    found: dict[str, list[str]] = defaultdict(list)
    for room_id, viewer_id in old:
        found[room_id].append(viewer_id)
    return found
