"""Letting an unpaid order go, in order and resumable: BOUND -> EXPIRING -> the provider has closed -> RELEASED (DESIGN.md 5.5).

Each arrow is its own committed step. EXPIRING allows no new attempt; as long as a provider has not said that an attempt can never
become money, the unit stays held.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, ledger, orders, outbox, stock
from commerce.database import Database
from commerce.errors import CommerceError
from commerce.payments import attempts
from commerce.payments.attempts import Attempt
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table
from commerce.schema import sale as sale_table

logger = logging.getLogger(__name__)

CANCELLED_BY: Final = "cancelled_by_"
"""How an order's `state_reason` says, while its hold is EXPIRING, that it is to end as cancelled and not as expired."""


@dataclass(frozen=True, slots=True)
class Released:
    """A hold whose units are free again."""

    order_id: str
    sale_id: str
    buyer_id: str
    buyer_used: int


async def list_overdue(c: AsyncConnection, now_ms: int, limit: int) -> list[str]:
    """Orders whose time to pay is over, oldest first; those of sales paused for a payment outage wait."""
    outage = and_(sale_table.c.state == "paused", sale_table.c.state_reason == "payment_outage")
    query = (
        select(hold_table.c.order_id)
        .join(sale_table, sale_table.c.sale_id == hold_table.c.sale_id)
        .where(hold_table.c.state == "bound", hold_table.c.deadline_ms <= now_ms, ~outage)
        .order_by(hold_table.c.deadline_ms)
        .limit(limit)
    )
    return list((await c.execute(query)).scalars())


async def list_expiring(c: AsyncConnection, limit: int) -> list[str]:
    """Orders on their way out: also those whose worker died half way."""
    query = select(hold_table.c.order_id).where(hold_table.c.state == "expiring")
    return list((await c.execute(query.order_by(hold_table.c.deadline_ms).limit(limit))).scalars())


async def begin(c: AsyncConnection, order_id: str, now_ms: int, cancelled_by: str | None = None) -> bool:
    """BOUND -> EXPIRING, if it is overdue or its buyer or seller cancels; False when it is not bound (any more)."""
    hold = await attempts.lock_order(c, order_id)
    if hold.state != "bound" or (cancelled_by is None and hold.deadline_ms > now_ms):
        return False
    cas = update(hold_table).where(hold_table.c.hold_id == hold.hold_id, hold_table.c.state == "bound")
    if (await c.execute(cas.values(state="expiring"))).rowcount != 1:
        return False
    if cancelled_by is not None:
        mine = update(order_table).where(order_table.c.order_id == order_id)
        await c.execute(mine.values(state_reason=f"{CANCELLED_BY}{cancelled_by}", changed_at_ms=now_ms))
    return True


async def release(c: AsyncConnection, order_id: str, now_ms: int) -> Released | None:
    """EXPIRING -> RELEASED, once no attempt may become money; None when it may not be released (yet, or any more)."""
    hold = await attempts.lock_order(c, order_id)
    if hold.state != "expiring":
        return None
    if any(attempt.state in attempts.LIVE for attempt in await attempts.list_for_order(c, order_id)):
        return None
    cas = update(hold_table).where(hold_table.c.hold_id == hold.hold_id, hold_table.c.state == "expiring")
    if (await c.execute(cas.values(state="released"))).rowcount != 1:
        return None
    order = await orders.get(c, order_id)
    cancelled = (order.state_reason or "").startswith(CANCELLED_BY)
    state = orders.next_state(order.state, "cancel" if cancelled else "expire")
    mine = update(order_table).where(order_table.c.order_id == order_id, order_table.c.state == order.state)
    values: dict[str, Any] = {"state": state, "changed_at_ms": now_ms}
    if (await c.execute(mine.values(values))).rowcount != 1:
        raise CommerceError(
            "order_changed", "the order changed although its hold was locked", order_id=order_id
        )
    used = await stock.free_quota(c, hold.sale_id, hold.buyer_id, hold.quantity)
    await stock.release_reserved(c, hold.sale_id, hold.quantity)
    await ledger.post(c, ledger.let_go(order_id, order.total_minor, order.currency), now_ms)
    payload = orders.event_payload(order, now_ms, reason=order.state_reason)
    await outbox.record(c, order_id, f"order_{state}", payload)
    return Released(order_id, hold.sale_id, hold.buyer_id, used)


async def finish(
    database: Database,
    order_id: str,
    close: Callable[[Attempt], Awaitable[None]],
    clock_ms: Callable[[], int],
) -> Released | None:
    """Take an EXPIRING order to its end: `close` each live attempt at its provider (and settle what it answers), then release.

    None when a provider has not answered (tried again later) or its answer was "paid".
    """
    async with database.read() as c:
        live = [one for one in await attempts.list_for_order(c, order_id) if one.state in attempts.LIVE]
    for attempt in live:
        await close(attempt)
    crash_points.reach("let_go.closed")
    async with database.begin() as c:
        return await release(c, order_id, clock_ms())
