"""Keeps the hot ledger equal to SQL: versioned snapshots while Redis remembers, a new epoch and a rebuild when it has forgotten.

Every step can run twice, also in two workers at once: the epoch in SQL is raised by compare-and-set, and Redis refuses an older one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import allocation_log, crash_points, sales
from commerce.database import Database
from commerce.errors import Unavailable
from commerce.hot_ledger import ONE_REDIS, HotLedger, Notice, NotLoaded, Snapshot, StockNumbers
from commerce.sale_rules import OCCUPYING, Sale
from commerce.schema import buyer_quota, hold, redis_incarnation, sale, stock

log = logging.getLogger("flashroom.reconciliation")

T = TypeVar("T")

MAX_SALES: Final = 500
"""Sales looked at in one pass; more than that are never active at once."""
DROP_AFTER_MS: Final = 3_600_000
DROP_UNTIL_MS: Final = 24 * 3_600_000
PERSIST_PASSES: Final = 1000
MAX_HOLDS: Final = 1000
"""Soft holds compared with SQL in one pass; those that end first, so each one is."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a pass found of one sale: its numbers in Redis now, and whether a new epoch had to begin."""

    room_id: str
    sale_id: str
    numbers: StockNumbers
    rebuilt: bool


@dataclass(frozen=True, slots=True)
class Swept:
    """Word for buyers of one sale (holds ended, places served, lots drawn), and the sale's numbers after it."""

    room_id: str
    sale_id: str
    notices: list[Notice]
    numbers: StockNumbers
    record_ids: list[bytes]


async def active_sales(database: Database, states: tuple[str, ...] = OCCUPYING) -> list[tuple[str, str]]:
    """(room id, sale id) of every sale that holds units (armed until draining), or of those in other `states`."""
    query = select(sale.c.room_id, sale.c.sale_id).where(sale.c.state.in_(states)).limit(MAX_SALES)
    async with database.read() as c:
        return [(row.room_id, row.sale_id) for row in await c.execute(query)]


async def reconcile(
    database: Database, hot_ledger: HotLedger, clock_ms: Callable[[], int]
) -> list[Reconciled]:
    """One pass over the active sales. Raises Unavailable when Redis doesn't answer: nothing is half done, run it again."""
    async with database.read() as c:
        known = await _known_run_ids(c)
    running: dict[str, str] = {}

    async def restarted(room_id: str) -> bool:
        shard = hot_ledger.shard(room_id)
        if shard not in running:
            running[shard] = await hot_ledger.run_id(room_id)
        return known.get(shard, running[shard]) != running[shard]

    async def work(room_id: str, sale_id: str) -> Reconciled | None:
        numbers, rebuilt = await reconcile_sale(
            database, hot_ledger, room_id, sale_id, clock_ms, restarted=await restarted(room_id)
        )
        return None if numbers is None else Reconciled(room_id, sale_id, numbers, rebuilt)

    async def drop(room_id: str, sale_id: str) -> None:
        # What Redis has of finished sales may be older than their end. They need nothing of it.
        if await restarted(room_id):
            await hot_ledger.drop(room_id, sale_id)

    unanswered: set[str] = set()
    active = await active_sales(database, (*OCCUPYING, "settled"))
    if not active and hot_ledger.shard("") == ONE_REDIS:
        await restarted(
            ""
        )  # Also an idle Redis is asked: whoever sells next is told whether it has forgotten.
    done = await _each(active, hot_ledger, work, unanswered)
    if any(known.get(shard, run_id) != run_id for shard, run_id in running.items()):
        await _each(await _finished(database, clock_ms(), 0), hot_ledger, drop, unanswered)
    left_out = {hot_ledger.shard(room_id) for room_id, _ in active if hot_ledger.node(room_id) in unanswered}
    for shard, run_id in running.items():
        if known.get(shard) != run_id and shard not in left_out:
            await _remember_run_id(database, shard, run_id, clock_ms())
    return [one for one in done if one is not None]


async def _each(
    sales_: Sequence[tuple[str, str]],
    hot_ledger: HotLedger,
    work: Callable[[str, str], Awaitable[T]],
    unanswered: set[str],
) -> list[T]:
    """`work(room_id, sale_id)` for each. A Redis that does not answer is asked once and gets into `unanswered`.

    In a cluster the sales on other nodes do not wait for it. Raises its Unavailable when there was nothing else to do.
    """
    done = []
    failure: Unavailable | None = None
    for room_id, sale_id in sales_:
        node = hot_ledger.node(room_id)
        if node in unanswered:
            continue
        try:
            done.append(await work(room_id, sale_id))
        except Unavailable as error:
            if error.code != "redis_unavailable":
                raise
            if node == ONE_REDIS:
                raise
            log.warning("%s does not answer: its sales wait", node)
            unanswered.add(node)
            failure = error
    if failure is not None and not done:
        raise failure
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
        logged = await allocation_log.last_decided(c, sale_id, current.epoch)
        fresh = (await allocation_log.head(c, sale_id))[0] == 0
    if in_redis is None and fresh and current.state == "armed":
        # Nothing was ever decided: this is the first load, not a loss.
        return (await hot_ledger.load(Snapshot.of(current)))[1], False
    if in_redis is None or restarted or in_redis.epoch != current.epoch or in_redis.seq < logged:
        return await _rebuild(database, hot_ledger, current, in_redis, clock_ms), True
    soft = await hot_ledger.oldest_soft_holds(room_id, sale_id, MAX_HOLDS) if in_redis.soft else []
    async with database.read() as c:
        # Bound holds before the sale, so that its version counts their units; quotas after it, so that they are never older.
        lingering = await _in_sql(c, soft)
        current = await sales.get_sale(c, sale_id)
        complete = in_redis.full_version < current.version
        used = await bound_units(c, sale_id) if complete else {}
        next_end_ms = await _next_bound_end(c, sale_id)
    try:
        numbers = await hot_ledger.sync(
            Snapshot.of(current),
            bound_units=used,
            bound_holds=lingering,
            complete=complete,
            next_bound_ends_at_ms=next_end_ms,
        )
    except NotLoaded:  # lost between the calls
        return await _rebuild(database, hot_ledger, current, None, clock_ms), True
    return numbers, False


async def _rebuild(
    database: Database,
    hot_ledger: HotLedger,
    seen: Sale,
    in_redis: StockNumbers | None,
    clock_ms: Callable[[], int],
) -> StockNumbers:
    """Begin the next epoch. What Redis still has of the log goes to SQL first, with the old epoch fenced so that nothing is added to it;
    then everything is loaded from SQL. One that dies half way leaves a sale that isn't loaded, and is done again."""
    if in_redis is not None:
        await hot_ledger.fence(seen.room_id, seen.sale_id, in_redis.epoch)
    crash_points.reach("rebuild.fenced")
    for _ in range(PERSIST_PASSES):
        if await hot_ledger.log_is_empty(seen.room_id, seen.sale_id):
            break
        await allocation_log.persist(database, hot_ledger, seen.room_id, seen.sale_id)
    epoch = max(seen.epoch, in_redis.epoch if in_redis else 0) + 1
    async with database.begin() as c:
        raised = await c.execute(
            update(stock)
            .where(stock.c.sale_id == seen.sale_id, stock.c.epoch == seen.epoch)
            .values(epoch=epoch, version=stock.c.version + 1)
        )
        current = await sales.get_sale(c, seen.sale_id)
        used = await bound_units(c, seen.sale_id)
        living = await allocation_log.living(c, current, clock_ms())
        last_seq = (await allocation_log.head(c, seen.sale_id))[0]
    crash_points.reach("rebuild.epoch_raised")
    if raised.rowcount:
        log.warning(
            "sale %s: Redis had forgotten; epoch %d begins with %d living holds",
            seen.sale_id,
            current.epoch,
            len(living.soft_holds),
        )
    _, numbers = await hot_ledger.load(
        Snapshot.of(current),
        bound_units=used,
        soft_holds=living.soft_holds,
        ended_holds=living.ended_holds,
        waiting=living.waiting if current.state in OCCUPYING else (),
        last_seq=last_seq,
    )
    return numbers


async def _in_sql(c: AsyncConnection, hold_ids: list[str]) -> list[str]:
    """Those soft holds that are orders by now: whoever bound them could not tell Redis."""
    if not hold_ids:
        return []
    query = select(hold.c.hold_id).where(hold.c.hold_id.in_(hold_ids))
    return list((await c.execute(query)).scalars())


async def _next_bound_end(c: AsyncConnection, sale_id: str) -> int:
    """When the next unpaid order of a sale may be let go; 0 when none waits."""
    query = select(func.min(hold.c.deadline_ms)).where(hold.c.sale_id == sale_id, hold.c.state == "bound")
    return int((await c.execute(query)).scalar() or 0)


async def bound_units(c: AsyncConnection, sale_id: str) -> dict[str, int]:
    """Units per buyer that SQL holds or has sold."""
    query = select(buyer_quota.c.buyer_id, buyer_quota.c.used).where(buyer_quota.c.sale_id == sale_id)
    return {row.buyer_id: row.used for row in await c.execute(query)}


async def sweep(database: Database, hot_ledger: HotLedger) -> list[Swept]:
    """Free soft holds past expiry and grace, serve wait lists, draw lots that are due; gives the sales where there is word for buyers.

    Tell the notices, then call `told`: until then the next sweep gives them again.
    """

    async def work(room_id: str, sale_id: str) -> Swept | None:
        numbers = await hot_ledger.sweep(room_id, sale_id)
        notices, record_ids = await hot_ledger.read_notices(room_id, sale_id)
        return (
            Swept(room_id, sale_id, notices, numbers, record_ids) if notices and numbers is not None else None
        )

    active = await active_sales(database, (*OCCUPYING, "settled"))
    return [one for one in await _each(active, hot_ledger, work, set()) if one is not None]


async def told(hot_ledger: HotLedger, swept: Swept) -> None:
    """Its notices have reached the room."""
    await hot_ledger.trim_notices(swept.room_id, swept.sale_id, swept.record_ids)


async def persist_logs(database: Database, hot_ledger: HotLedger) -> int:
    """Move what the hot ledger has logged of every sale not yet published into SQL; gives the number of new lines."""

    async def work(room_id: str, sale_id: str) -> int:
        return await allocation_log.persist(database, hot_ledger, room_id, sale_id)

    return sum(await _each(await active_sales(database, (*OCCUPYING, "settled")), hot_ledger, work, set()))


async def drop_finished(database: Database, hot_ledger: HotLedger, now_ms: int) -> int:
    """Forget sales in Redis an hour after they were published; gives how many were still there."""
    finished = await _finished(database, now_ms, DROP_AFTER_MS)
    dropped = 0
    for room_id, sale_id in finished:
        if await hot_ledger.numbers(room_id, sale_id) is not None:
            await allocation_log.persist(database, hot_ledger, room_id, sale_id)
            await hot_ledger.drop(room_id, sale_id)
            dropped += 1
    return dropped


async def _finished(database: Database, now_ms: int, since_ms: int) -> list[tuple[str, str]]:
    """(room id, sale id) of sales that were published and closed at least `since_ms` ago, of the last day."""
    query = (
        select(sale.c.room_id, sale.c.sale_id)
        .where(
            sale.c.state == "published",
            sale.c.closed_at_ms <= now_ms - since_ms,
            sale.c.closed_at_ms > now_ms - DROP_UNTIL_MS,
        )
        .limit(MAX_SALES)
    )
    async with database.read() as c:
        return [(row.room_id, row.sale_id) for row in await c.execute(query)]


async def _known_run_ids(c: AsyncConnection) -> dict[str, str]:
    query = select(redis_incarnation.c.shard, redis_incarnation.c.run_id)
    return {row.shard: row.run_id for row in await c.execute(query)}


async def _remember_run_id(database: Database, shard: str, run_id: str, now_ms: int) -> None:
    """Written after the rebuilds, so that a worker that dies before it makes the next one rebuild again."""
    try:
        async with database.begin() as c:
            changed = await c.execute(
                update(redis_incarnation)
                .where(redis_incarnation.c.shard == shard)
                .values(run_id=run_id, seen_at_ms=now_ms)
            )
            if not changed.rowcount:
                await c.execute(
                    insert(redis_incarnation).values(shard=shard, run_id=run_id, seen_at_ms=now_ms)
                )
    except IntegrityError:
        raise Unavailable("busy", "Another worker is noting the same restart.") from None
