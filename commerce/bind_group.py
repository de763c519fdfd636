"""Many binds in one transaction: everything is read first, decided in order of arrival, and written in a few statements.

What was read may have changed before it is written (another process binds too), so every write carries its condition. When one does
not hold, `GroupConflict` rolls the whole group back and the caller binds one by one, where each condition has its own answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import allocation_log, crash_points, ledger, orders, outbox, sale_rows, stock
from commerce.bind_rows import (
    BindJob,
    Bound,
    hold_released,
    hold_row,
    limit_reached,
    order_row,
    placed_order,
    refusal,
    sold_out_late,
)
from commerce.errors import CommerceError
from commerce.orders import Order
from commerce.sale_rules import Sale
from commerce.schema import buyer_quota
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table


class GroupConflict(Exception):
    """Somebody else changed what this group had read: bind its jobs one by one."""


@dataclass
class _Seen:
    """What the group has read, and what it has decided so far."""

    sales: dict[str, Sale]
    orders: dict[str, Order]
    used: dict[tuple[str, str], int]
    free: dict[str, int]
    quota_rows: set[tuple[str, str]]
    released: set[str]
    taken: dict[str, int] = field(default_factory=dict)
    added: dict[tuple[str, str], int] = field(default_factory=dict)
    hold_rows: list[dict[str, Any]] = field(default_factory=list)
    order_rows: list[dict[str, Any]] = field(default_factory=list)


async def bind_group(c: AsyncConnection, jobs: list[BindJob], now_ms: int) -> list[Bound | CommerceError]:
    """One answer per job, in order. Raises GroupConflict; nothing of the group is kept then."""
    seen = await _read(c, jobs)
    answers = [_decide(seen, job, now_ms) for job in jobs]
    if seen.hold_rows:
        try:
            await _write(c, seen, now_ms)
        except IntegrityError as error:
            raise GroupConflict from error
    crash_points.reach("bind_group.before_commit")
    return answers


async def _read(c: AsyncConnection, jobs: list[BindJob]) -> _Seen:
    sales = await sale_rows.get_many(c, {job.hold.sale_id for job in jobs})
    query = select(buyer_quota.c.sale_id, buyer_quota.c.buyer_id, buyer_quota.c.used).where(
        buyer_quota.c.sale_id.in_(list(sales)),
        buyer_quota.c.buyer_id.in_({job.hold.buyer_id for job in jobs}),
    )
    used = {(row.sale_id, row.buyer_id): row.used for row in await c.execute(query)}
    return _Seen(
        sales=sales,
        orders=await orders.find_by_holds(c, [job.hold.hold_id for job in jobs]),
        used=used,
        free={sale_id: sale.base for sale_id, sale in sales.items()},
        quota_rows=set(used),
        released=await allocation_log.was_released(c, [job.hold.hold_id for job in jobs]),
    )


def _decide(seen: _Seen, job: BindJob, now_ms: int) -> Bound | CommerceError:
    hold = job.hold
    key = (hold.sale_id, hold.buyer_id)
    known = seen.orders.get(hold.hold_id)
    if known is not None:  # bound before, or earlier in this very group
        return Bound(known, seen.used.get(key, 0))
    sale = seen.sales.get(hold.sale_id)
    refused = refusal(hold, sale, now_ms)
    if refused is not None or sale is None:
        return refused or sold_out_late()
    if hold.hold_id in seen.released:
        return hold_released()
    if seen.used.get(key, 0) + hold.quantity > sale.limit_per_buyer:
        return limit_reached(sale)
    if hold.quantity > seen.free[hold.sale_id]:
        return sold_out_late()
    seen.free[hold.sale_id] -= hold.quantity
    seen.taken[hold.sale_id] = seen.taken.get(hold.sale_id, 0) + hold.quantity
    seen.used[key] = seen.used.get(key, 0) + hold.quantity
    seen.added[key] = seen.added.get(key, 0) + hold.quantity
    row, ordered = hold_row(job, now_ms), order_row(job, sale, now_ms)
    seen.hold_rows.append(row)
    seen.order_rows.append(ordered)
    order = seen.orders[hold.hold_id] = placed_order(ordered, row["deadline_ms"])
    return Bound(order, seen.used[key])


async def _write(c: AsyncConnection, seen: _Seen, now_ms: int) -> None:
    """Locks are taken in the order of `commerce.stock`, rows of a kind by their key."""
    await c.execute(insert(hold_table), sorted(seen.hold_rows, key=lambda row: row["hold_id"]))
    await _use_quotas(c, seen)
    for sale_id, units in sorted(seen.taken.items()):
        if not await stock.reserve(c, sale_id, units):
            raise GroupConflict
        contacts = [row["contact_key"] for row in seen.hold_rows if row["sale_id"] == sale_id]
        if await stock.contacts_over_limit(c, sale_id, contacts):
            raise GroupConflict  # one by one each of them has its own answer
    await c.execute(insert(order_table), seen.order_rows)
    await ledger.post_all(
        c,
        [ledger.placed(row["order_id"], row["total_minor"], row["currency"]) for row in seen.order_rows],
        now_ms,
    )
    written = [seen.orders[row["hold_id"]] for row in seen.order_rows]
    await outbox.record_all(
        c, [(order.order_id, "order_placed", orders.event_payload(order, now_ms)) for order in written]
    )


async def _use_quotas(c: AsyncConnection, seen: _Seen) -> None:
    new, more = [], []
    for (sale_id, buyer_id), units in sorted(seen.added.items()):
        if (sale_id, buyer_id) in seen.quota_rows:
            more.append({"sale": sale_id, "buyer": buyer_id, "units": units})
        else:
            limit = seen.sales[sale_id].limit_per_buyer
            new.append({"sale_id": sale_id, "buyer_id": buyer_id, "used": units, "limit_units": limit})
    if new:
        await c.execute(insert(buyer_quota), new)
    if more:
        counted = update(buyer_quota).where(
            buyer_quota.c.sale_id == bindparam("sale"),
            buyer_quota.c.buyer_id == bindparam("buyer"),
            buyer_quota.c.used + bindparam("units") <= buyer_quota.c.limit_units,
        )
        done = await c.execute(counted.values(used=buyer_quota.c.used + bindparam("units")), more)
        if done.rowcount != len(more):
            raise GroupConflict
