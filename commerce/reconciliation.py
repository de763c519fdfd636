"""Keeps the hot ledger equal to SQL: versioned snapshots while Redis remembers, a new epoch and a rebuild when it has forgotten.

Every step can run twice, also in two workers at once: the epoch in SQL is raised by compare-and-set, and Redis refuses an older one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import allocation_log, sales
from commerce.database import Database
from commerce.errors import Unavailable
from commerce.hot_ledger import HotLedger, NotLoaded, Snapshot, SoftHold, StockNumbers
from commerce.sale_rules import OCCUPYING, Sale
from commerce.schema import buyer_quota, redis_incarnation, sale, stock

log = logging.getLogger("flashroom.reconciliation")

SHARD: Final = "default"
MAX_SALES: Final = 500
"""Sales looked at in one pass; more than that are never active at once."""
DROP_AFTER_MS: Final = 3_600_000
DROP_UNTIL_MS: Final = 24 * 3_600_000
PERSIST_PASSES: Final = 1000


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a pass found of one sale: its numbers in Redis now, and whether a new epoch had to begin."""

    room_id: str
    sale_id: str
    numbers: StockNumbers
    rebuilt: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """Soft holds of one sale that ended unbought, and the sale's numbers after it."""

    room_id: str
    sale_id: str
    expired: list[SoftHold]
    numbers: StockNumbers


async def active_sales(database: Database, states: tuple[str, ...] = OCCUPYING) -> list[tuple[str, str]]:
    """(room id, sale id) of every sale that holds units (armed until draining), or of those in other `states`."""
    query = select(sale.c.room_id, sale.c.sale_id).where(sale.c.state.in_(states)).limit(MAX_SALES)
    async with database.read() as c:
        return [(row.room_id, row.sale_id) for row in await c.execute(query)]


async def reconcile(
    database: Database, hot_ledger: HotLedger, clock_ms: Callable[[], int]
) -> list[Reconciled]:
    """One pass over the active sales. Raises Unavailable when Redis doesn't answer: nothing is half done, run it again."""
    run_id = await hot_ledger.run_id()
    async with database.read() as c:
        known_run_id = await _known_run_id(c)
    restarted = known_run_id is not None and known_run_id != run_id
    done = []
    for room_id, sale_id in await active_sales(database):
        numbers, rebuilt = await reconcile_sale(
            database, hot_ledger, room_id, sale_id, clock_ms, restarted=restarted
        )
        if numbers is not None:
            done.append(Reconciled(room_id, sale_id, numbers, rebuilt))
    if known_run_id != run_id:
        await _remember_run_id(database, run_id, clock_ms())
    return done


async def reconcile_sale(
    database: Database,
    hot_ledger: HotLedger,
    room_id: str,
    sale_id: str,
    clock_ms: Callable[[], int],
    *,
    restarted: bool = False,
) -> tuple[StockNumbers | None, bool]:
    """Bring one sale's hot ledger to what SQL says; gives its numbers and whether a new epoch began."""
    in_redis = await hot_ledger.numbers(room_id, sale_id)
    async with database.read() as c:
        current = await sales.get_sale(c, sale_id)
        used = await bound_units(c, sale_id)
        logged = await allocation_log.last_decided(c, sale_id, current.epoch)
        fresh = (await allocation_log.head(c, sale_id))[0] == 0
    forgotten = in_redis is None or restarted or in_redis.epoch != current.epoch or in_redis.seq < logged
    if not forgotten:
        try:
            return await hot_ledger.sync(Snapshot.of(current), bound_units=used), False
        except NotLoaded:
            pass  # lost between the two calls
    if in_redis is None and fresh and current.state == "armed":
        # Nothing was ever decided: this is the first load, not a loss.
        _, numbers = await hot_ledger.load(Snapshot.of(current), bound_units=used)
        return numbers, False
    return await _rebuild(database, hot_ledger, current, in_redis, clock_ms), True


async def _rebuild(
    database: Database,
    hot_ledger: HotLedger,
    seen: Sale,
    in_redis: StockNumbers | None,
    clock_ms: Callable[[], int],
) -> StockNumbers:
    """Begin the next epoch: what Redis still has of the log goes to SQL first, then everything is loaded from SQL."""
    for _ in range(PERSIST_PASSES):
        if not await allocation_log.persist(database, hot_ledger, seen.room_id, seen.sale_id):
            break
    epoch = max(seen.epoch, in_redis.epoch if in_redis else 0) + 1
    async with database.begin() as c:
        raised = await c.execute(
            update(stock)
            .where(stock.c.sale_id == seen.sale_id, stock.c.epoch == seen.epoch)
            .values(epoch=epoch, version=stock.c.version + 1)
        )
        current = await sales.get_sale(c, seen.sale_id)
        used = await bound_units(c, seen.sale_id)
        soft = await allocation_log.living_holds(c, current, clock_ms())
        last_seq = (await allocation_log.head(c, seen.sale_id))[0]
    if raised.rowcount:
        log.warning(
            "sale %s: Redis had forgotten; epoch %d begins with %d living holds",
            seen.sale_id,
            current.epoch,
            len(soft),
        )
    _, numbers = await hot_ledger.load(
        Snapshot.of(current), bound_units=used, soft_holds=soft, last_seq=last_seq
    )
    return numbers


async def bound_units(c: AsyncConnection, sale_id: str) -> dict[str, int]:
    """Units per buyer that SQL holds or has sold."""
    query = select(buyer_quota.c.buyer_id, buyer_quota.c.used).where(buyer_quota.c.sale_id == sale_id)
    return {row.buyer_id: row.used for row in await c.execute(query)}


async def sweep(database: Database, hot_ledger: HotLedger) -> list[Swept]:
    """Free the soft holds of every active sale whose expiry and grace have passed."""
    swept = []
    for room_id, sale_id in await active_sales(database):
        expired, numbers = await hot_ledger.sweep(room_id, sale_id)
        if expired and numbers is not None:
            swept.append(Swept(room_id, sale_id, expired, numbers))
    return swept


async def persist_logs(database: Database, hot_ledger: HotLedger) -> int:
    """Move what the hot ledger has logged of every sale not yet published into SQL; gives the number of new lines."""
    added = 0
    for room_id, sale_id in await active_sales(database, (*OCCUPYING, "settled")):
        added += await allocation_log.persist(database, hot_ledger, room_id, sale_id)
    return added


async def drop_finished(database: Database, hot_ledger: HotLedger, now_ms: int) -> int:
    """Forget sales in Redis an hour after they were published; gives how many were still there."""
    query = (
        select(sale.c.room_id, sale.c.sale_id)
        .where(
            sale.c.state == "published",
            sale.c.closed_at_ms < now_ms - DROP_AFTER_MS,
            sale.c.closed_at_ms > now_ms - DROP_UNTIL_MS,
        )
        .limit(MAX_SALES)
    )
    async with database.read() as c:
        finished = [(row.room_id, row.sale_id) for row in await c.execute(query)]
    dropped = 0
    for room_id, sale_id in finished:
        if await hot_ledger.numbers(room_id, sale_id) is not None:
            await allocation_log.persist(database, hot_ledger, room_id, sale_id)
            await hot_ledger.drop(room_id, sale_id)
            dropped += 1
    return dropped


async def _known_run_id(c: AsyncConnection) -> str | None:
    query = select(redis_incarnation.c.run_id).where(redis_incarnation.c.shard == SHARD)
    return (await c.execute(query)).scalar()


async def _remember_run_id(database: Database, run_id: str, now_ms: int) -> None:
    """Written after the rebuilds, so that a worker that dies before it makes the next one rebuild again."""
    try:
        async with database.begin() as c:
            changed = await c.execute(
                update(redis_incarnation)
                .where(redis_incarnation.c.shard == SHARD)
                .values(run_id=run_id, seen_at_ms=now_ms)
            )
            if not changed.rowcount:
                await c.execute(
                    insert(redis_incarnation).values(shard=SHARD, run_id=run_id, seen_at_ms=now_ms)
                )
    except IntegrityError:
        raise Unavailable("busy", "Another worker is noting the same restart.") from None
