"""Viewers who want to be told when an item goes on sale: kept in SQL, told by the worker once a sale of it is fired, then used up.

Told is who stands in the table while a sale counts down or is open, not who was there when it was fired: so a fire does no more than
before, a worker that comes late still tells, and who asked in that very moment is told too. An item that was sold out before anybody
could be told keeps its reminders for its next sale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, delete, func, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, upsert
from commerce.database import Database
from commerce.errors import NotFound, OutOfState
from commerce.schema import sale
from live.identity import GUEST_TTL_MS
from live.schema import reminder
from realtime.broker import Broker

MAX_PER_VIEWER: Final = 100
"""In all rooms together."""
KEPT_MS: Final = GUEST_TTL_MS
"""As long as a guest's cookie: then nobody is there to be told."""
TELLING: Final = ("countdown", "open")
"""From the countdown on: who hears of a sale when it opens comes too late for it."""


@dataclass(frozen=True, slots=True)
class Due:
    """A reminder, and the sale that it waited for."""

    product_id: str
    viewer_id: str
    asked_at_ms: int
    sale_id: str
    variant_id: str
    opens_at_ms: int

    def message(self, now_ms: int) -> dict[str, Any]:
        """The personal message `reminder`. Its id is of this asking: who asks again later is told again."""
        told = {name: getattr(self, name) for name in ("product_id", "variant_id", "sale_id", "opens_at_ms")}
        return {"id": f"{self.product_id}:{self.asked_at_ms}", **told, "at_ms": now_ms}


_IS_FIRED: Final = and_(
    sale.c.room_id == reminder.c.room_id,
    sale.c.product_id == reminder.c.product_id,
    sale.c.state.in_(TELLING),
)


async def ask(
    c: AsyncConnection, room_id: str, product_id: str, viewer_id: str, now_ms: int, *, ghost: bool
) -> None:
    """This viewer is to be told; nothing changes when that is known.

    Raises NotFound `not_in_run`, OutOfState `on_sale` and `too_many_reminders`.
    """
    on_sale = select(sale.c.sale_id).where(
        sale.c.room_id == room_id, sale.c.product_id == product_id, sale.c.state.in_(TELLING)
    )
    if (await c.execute(on_sale.limit(1))).first() is not None:
        raise OutOfState("on_sale", "It is on sale now.")
    new = upsert.insert_into(c, reminder).values(
        room_id=room_id, product_id=product_id, viewer_id=viewer_id, ghost=ghost, asked_at_ms=now_ms
    )
    try:
        is_new = await upsert.wrote(c, new.on_conflict_do_nothing())
    except IntegrityError:
        raise NotFound("not_in_run", "This product is not in the run of show.") from None
    theirs = select(func.count()).where(reminder.c.viewer_id == viewer_id)
    if is_new and (await c.execute(theirs)).scalar_one() > MAX_PER_VIEWER:
        raise OutOfState(
            "too_many_reminders", f"At most {MAX_PER_VIEWER} items at a time.", most=MAX_PER_VIEWER
        )


async def take_back(c: AsyncConnection, room_id: str, product_id: str, viewer_id: str) -> None:
    """This viewer need not be told any more."""
    await c.execute(
        delete(reminder).where(
            reminder.c.room_id == room_id,
            reminder.c.product_id == product_id,
            reminder.c.viewer_id == viewer_id,
        )
    )


async def of_viewer(c: AsyncConnection, room_id: str, viewer_id: str) -> list[str]:
    """The items of a room that the viewer is to be told of."""
    query = select(reminder.c.product_id).where(
        reminder.c.viewer_id == viewer_id, reminder.c.room_id == room_id
    )
    return list((await c.execute(query)).scalars())


async def counts(c: AsyncConnection, room_id: str) -> dict[str, int]:
    """How many people are to be told of each item, ghosts apart; items nobody waits for are left out."""
    query = (
        select(reminder.c.product_id, func.count())
        .where(reminder.c.room_id == room_id, reminder.c.ghost.is_(False))
        .group_by(reminder.c.product_id)
    )
    return {row.product_id: row[1] for row in await c.execute(query)}


async def rooms_to_tell(c: AsyncConnection) -> frozenset[str]:
    """Rooms where somebody waits for an item of which a sale was fired."""
    query = select(reminder.c.room_id).join(sale, _IS_FIRED).distinct()
    return frozenset((await c.execute(query)).scalars())


async def tell(database: Database, broker: Broker, room_id: str, limit: int, now_ms: int) -> int:
    """Tell up to `limit` of a room's viewers, who asked first before the others; how many. Raises RedisError, Unavailable.

    Marked after they were told: a process that dies in between tells them again, under the same id.
    """
    async with database.read() as c:
        due = await _due(c, room_id, limit)
    for one in due:
        message = one.message(now_ms)
        await broker.publish_personal(
            room_id, one.viewer_id, "reminder", message, once=f"reminder:{message['id']}"
        )
    if due:
        crash_points.reach("reminders.told")
        async with database.begin() as c:
            await _use_up(c, room_id, due)
    return len(due)


async def _due(c: AsyncConnection, room_id: str, limit: int) -> list[Due]:
    wanted = (reminder.c.product_id, reminder.c.viewer_id, reminder.c.asked_at_ms)
    query = (
        select(*wanted, sale.c.sale_id, sale.c.variant_id, sale.c.opens_at_ms)
        .join(sale, _IS_FIRED)
        .where(reminder.c.room_id == room_id)
        .order_by(reminder.c.asked_at_ms, sale.c.sale_id)
        .limit(limit)
    )
    return [Due(**row._mapping) for row in await c.execute(query)]


async def _use_up(c: AsyncConnection, room_id: str, told: Sequence[Due]) -> None:
    """Exactly those that were told: one taken back and asked for again meanwhile stays."""
    key = tuple_(reminder.c.product_id, reminder.c.viewer_id, reminder.c.asked_at_ms)
    done = [(one.product_id, one.viewer_id, one.asked_at_ms) for one in told]
    await c.execute(delete(reminder).where(reminder.c.room_id == room_id, key.in_(done)))


async def forget_old(c: AsyncConnection, now_ms: int) -> int:
    """Delete reminders older than 30 days; how many."""
    return (await c.execute(delete(reminder).where(reminder.c.asked_at_ms < now_ms - KEPT_MS))).rowcount
