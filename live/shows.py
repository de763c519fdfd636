"""Which shows there were, and each in numbers that can be compared: a room is used again, so a show is a span of it.

A span begins when its room goes on air and ends when the host ends it; its orders are those placed before the next one begins, because
holds are honoured to their own end. Views are distinct viewers who came in, counted by a HyperLogLog in Redis (0.8 % off, 12 KiB a show,
forgotten after 400 days or with Redis), so that a crowd that arrives at once writes nothing into SQL.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import reports
from live import audit, rooms, samples
from live.rooms import Room

MAX_STATUS_LINES: Final = 200
"""So many changes of a room's status are looked through for its earlier shows."""
MAX_ROOMS: Final = 20
VIEWS_KEPT_S: Final = 400 * 86_400
PATIENCE_S: Final = 0.2

log = logging.getLogger("flashroom.shows")


@dataclass(frozen=True, slots=True)
class Span:
    """One show; `ended_at_ms` is None while it is on, `until_ms` where its orders end (None: they go on)."""

    room: Room
    started_at_ms: int
    ended_at_ms: int | None
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A show's people (ghosts are never counted). `views` and `watching_peak` are None when forgotten; amounts are minor units."""

    views: int | None
    watching_peak: int | None
    buyers: int
    placed: int
    paid: int
    units_paid: int
    paid_minor: int
    refunded_minor: int

    @property
    def average_minor(self) -> int | None:
        """What a paid order came to."""
        return self.paid_minor // self.paid if self.paid else None

    @property
    def gpm_minor(self) -> int | None:
        """Paid for every thousand views."""
        return self.paid_minor * 1000 // self.views if self.views else None


async def spans(c: AsyncConnection, room: Room) -> list[Span]:
    """The room's shows, oldest first, as far back as its last 200 changes of status."""
    begun: list[int] = []
    ended: dict[int, int] = {}
    is_on = False
    for line in await audit.done_since(c, room.room_id, {"status"}, 0, MAX_STATUS_LINES):
        if line.target == "live" and not is_on:
            begun.append(line.at_ms)
            is_on = True
        elif line.target == "ended":
            # A room that was made on air, or whose start is further back than we look, has it in the line of its end.
            at_ms = begun[-1] if is_on else (line.before or {}).get("started_at_ms")
            if at_ms is not None:
                begun = begun if at_ms in begun else sorted([*begun, at_ms])
                ended.setdefault(at_ms, line.at_ms)
            is_on = False
        elif line.target == "preshow":
            is_on = False
    if room.started_at_ms is not None and room.started_at_ms not in begun:  # made on air, and still on
        begun = sorted([*begun, room.started_at_ms])
    return [
        Span(room, at_ms, ended.get(at_ms), begun[index + 1] if index + 1 < len(begun) else None)
        for index, at_ms in enumerate(begun)
    ]


async def last_before(c: AsyncConnection, room: Room, may_read: frozenset[str]) -> Span | None:
    """The same host's show before the room's own: in this room or in others that may be read; a rehearsal only beside rehearsals."""
    started_at_ms = room.started_at_ms
    others = [
        one
        for one in await rooms.list_all(c)
        if (one.host_name, one.rehearsal) == (room.host_name, room.rehearsal) and one.room_id in may_read
    ]
    found = [span for one in others[:MAX_ROOMS] for span in await spans(c, one)]
    earlier = [span for span in found if started_at_ms is None or span.started_at_ms < started_at_ms]
    return max(earlier, key=lambda span: span.started_at_ms, default=None)


async def numbers(c: AsyncConnection, redis: Redis, span: Span, now_ms: int) -> Numbers:
    """What came of a show."""
    until_ms = span.until_ms or now_ms + 1
    sold = await reports.show_totals(c, span.room.room_id, span.started_at_ms, until_ms)
    most, _ = await samples.most_watching(
        c, span.room.room_id, span.started_at_ms, span.ended_at_ms or until_ms
    )
    is_forgotten = span.started_at_ms < now_ms - samples.KEPT_FOR_MS
    counted = await views(redis, span.room.room_id, span.started_at_ms)
    return Numbers(
        # Whoever watched at once came in, also when Redis lost some of the count.
        views=max(counted, most) or None,
        watching_peak=None if is_forgotten else most,
        **sold,
    )


async def count_view(redis: Redis, room: Room, viewer_id: str) -> None:
    """Note that a viewer came in; before a show that counts for it. Never fails its caller: nobody stays out for a statistic."""
    if room.status == "ended":
        return
    key = _views_key(room.room_id, None if room.status == "preshow" else room.started_at_ms)
    try:
        async with asyncio.timeout(PATIENCE_S):
            if await redis.pfadd(key, viewer_id):
                await redis.expire(key, VIEWS_KEPT_S)
    except (RedisError, OSError, TimeoutError):
        log.warning("a view of room %s was not counted: redis does not answer", room.room_id)


async def begin_views(redis: Redis, room_id: str, started_at_ms: int) -> None:
    """Those who waited for the show are its first viewers. Raises what Redis raises."""
    waiting = _views_key(room_id, None)
    key = _views_key(room_id, started_at_ms)
    await redis.pfmerge(key, waiting)
    await redis.expire(key, VIEWS_KEPT_S)
    await redis.delete(waiting)


async def views(redis: Redis, room_id: str, started_at_ms: int) -> int:
    """How many viewers came in; 0 also when Redis can't say."""
    try:
        return int(await redis.pfcount(_views_key(room_id, started_at_ms)))
    except (RedisError, OSError):
        return 0


def _views_key(room_id: str, started_at_ms: int | None) -> str:
    return f"flashroom:views:{{{room_id}}}:{'next' if started_at_ms is None else started_at_ms}"
