"""What the console's plots are drawn from: who watched, and how stock stood, second by second.

Nothing decides by these numbers. The worker writes a sample only when something moved; two workers may both do it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import sale_rows, upsert
from commerce.database import Database
from commerce.errors import Unavailable
from commerce.hot_ledger import HotLedger
from commerce.sale_rules import OCCUPYING
from live import rooms, thinning
from live.schema import presence_sample, stock_sample
from live.thinning import thinned
from realtime.broker import Broker

STEP_MS: Final = 1_000
PRESENCE_EVERY_MS: Final = 5_000
KEPT_FOR_MS: Final = 30 * 86_400_000
MAX_SALES: Final = 500
MAX_POINTS: Final = thinning.MAX_POINTS


class Sampler:
    """The worker's part. `run` once a second; gives how many rows it wrote."""

    def __init__(
        self, database: Database, ledger: HotLedger, broker: Broker, clock_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._broker = broker
        self._clock_ms = clock_ms
        self._stock: dict[str, tuple[int, int, int]] = {}
        self._people: dict[str, tuple[int, int]] = {}
        self._people_at_ms = 0

    async def run(self) -> int:
        at_ms = self._clock_ms() // STEP_MS * STEP_MS
        rows = await self._stock_rows(at_ms)
        people = await self._presence_rows(at_ms)
        if rows or people:
            async with self._database.begin() as c:
                for table, found in ((stock_sample, rows), (presence_sample, people)):
                    for row in found:
                        await c.execute(upsert.insert_into(c, table).values(**row).on_conflict_do_nothing())
        return len(rows) + len(people)

    async def _stock_rows(self, at_ms: int) -> list[dict[str, Any]]:
        async with self._database.read() as c:
            active = await sale_rows.list_in_states(c, OCCUPYING, MAX_SALES)
        rows: list[dict[str, Any]] = []
        for sale in active:
            try:
                numbers = await self._ledger.numbers(sale.room_id, sale.sale_id)
            except Unavailable:
                continue
            now = None if numbers is None else (numbers.available, numbers.held, numbers.sold)
            if now is None or self._stock.get(sale.sale_id) == now:
                continue
            self._stock[sale.sale_id] = now
            names = ("available", "held", "sold")
            rows.append({"sale_id": sale.sale_id, "at_ms": at_ms, **dict(zip(names, now, strict=True))})
        self._stock = {
            sale.sale_id: self._stock[sale.sale_id] for sale in active if sale.sale_id in self._stock
        }
        return rows

    async def _presence_rows(self, at_ms: int) -> list[dict[str, Any]]:
        if at_ms - self._people_at_ms < PRESENCE_EVERY_MS:
            return []
        self._people_at_ms = at_ms
        async with self._database.read() as c:
            found = await rooms.list_all(c)
        rows: list[dict[str, Any]] = []
        for room in found:
            try:
                presence = await self._broker.presence(room.room_id)
            except RedisError:
                continue
            now = (presence.count, presence.ghosts)
            if self._people.get(room.room_id, (0, 0)) == now:
                continue
            self._people[room.room_id] = now
            rows.append({"room_id": room.room_id, "at_ms": at_ms, "people": now[0], "ghosts": now[1]})
        return rows


async def forget_old(c: AsyncConnection, now_ms: int) -> int:
    """Drop samples older than 30 days; gives how many."""
    done = 0
    for table in (presence_sample, stock_sample):
        done += (await c.execute(delete(table).where(table.c.at_ms < now_ms - KEPT_FOR_MS))).rowcount
    return done


@dataclass(frozen=True, slots=True)
class Watching:
    at_ms: int
    people: int
    ghosts: int


@dataclass(frozen=True, slots=True)
class StockAt:
    at_ms: int
    available: int
    held: int
    sold: int


async def watching(c: AsyncConnection, room_id: str, since_ms: int) -> list[Watching]:
    """How many watched since then, at most 600 points; the last one before it comes first."""
    columns = presence_sample.c
    before = (
        select(columns.at_ms, columns.people, columns.ghosts)
        .where(columns.room_id == room_id, columns.at_ms < since_ms)
        .order_by(columns.at_ms.desc())
        .limit(1)
    )
    query = (
        select(columns.at_ms, columns.people, columns.ghosts)
        .where(columns.room_id == room_id, columns.at_ms >= since_ms)
        .order_by(columns.at_ms)
    )
    found = [Watching(*row) for row in (*await c.execute(before), *await c.execute(query))]
    return thinned(found)


async def most_watching(c: AsyncConnection, room_id: str, from_ms: int, until_ms: int) -> tuple[int, int]:
    """(people, ghosts): the most who watched at once in that time, as far as samples tell."""
    columns = presence_sample.c
    inside = select(func.max(columns.people), func.max(columns.ghosts)).where(
        columns.room_id == room_id, columns.at_ms >= from_ms, columns.at_ms <= until_ms
    )
    at_start = (
        select(columns.people, columns.ghosts)
        .where(columns.room_id == room_id, columns.at_ms < from_ms)
        .order_by(columns.at_ms.desc())
        .limit(1)
    )
    most = (await c.execute(inside)).one()
    first = (await c.execute(at_start)).first() or (0, 0)
    return max(most[0] or 0, first[0]), max(most[1] or 0, first[1])


async def stock(c: AsyncConnection, sale_id: str) -> list[StockAt]:
    """How a sale's units stood, at most 600 points."""
    columns = stock_sample.c
    query = (
        select(columns.at_ms, columns.available, columns.held, columns.sold)
        .where(columns.sale_id == sale_id)
        .order_by(columns.at_ms)
    )
    return thinned([StockAt(*row) for row in await c.execute(query)])


async def stock_between(
    c: AsyncConnection, sale_id: str, from_ms: int, until_ms: int, steps: int
) -> list[StockAt]:
    """How a sale's units stood in that time: the last sample before it, then the last one of each of `steps` steps in which it moved."""
    columns = stock_sample.c
    of_sale = select(columns.at_ms, columns.available, columns.held, columns.sold).where(
        columns.sale_id == sale_id
    )
    before = of_sale.where(columns.at_ms < from_ms).order_by(columns.at_ms.desc()).limit(1)
    inside = (columns.sale_id == sale_id, columns.at_ms >= from_ms, columns.at_ms <= until_ms)
    first_ms, last_ms = (
        await c.execute(select(func.min(columns.at_ms), func.max(columns.at_ms)).where(*inside))
    ).one()
    if first_ms is None:
        return [StockAt(*row) for row in await c.execute(before)]
    step_ms = max(STEP_MS, -(-(last_ms - first_ms + 1) // steps))
    # Thinned by the database: a sale of a day has 86,400 samples at most.
    lasts = select(func.max(columns.at_ms)).where(*inside).group_by((columns.at_ms - first_ms) // step_ms)
    within = of_sale.where(columns.at_ms.in_(lasts)).order_by(columns.at_ms)
    return [StockAt(*row) for row in (*await c.execute(before), *await c.execute(within))]
