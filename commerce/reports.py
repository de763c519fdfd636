"""A show in numbers: money over time, where buyers fell out of each sale, what each product brought. People and ghosts are never added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, case, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.schema import allocation_entry, payment_attempt, refund
from commerce.schema import order as order_table
from commerce.schema import sale as sale_table
from commerce.schema import stock as stock_table

MAX_SALES: Final = 200
_GHOST_LINE: Final = '"ghost":true'  # as the canonical line of the allocation log has it


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyStep:
    """What was placed, paid and refunded in one step of time (not summed up)."""

    at_ms: int
    ghost: bool
    placed_minor: int = 0
    paid_minor: int = 0
    refunded_minor: int = 0


async def money_steps(c: AsyncConnection, room_id: str, since_ms: int, step_ms: int) -> list[MoneyStep]:
    """Amounts of a room's orders in steps of `step_ms` from `since_ms`, each kind in the step in which it happened."""
    orders = order_table.c
    back = select(refund.c.changed_at_ms.label("at_ms"), orders.ghost, refund.c.amount_minor.label("minor"))
    back = back.join_from(refund, order_table, refund.c.order_id == orders.order_id)
    queries: dict[str, Select[Any]] = {
        "placed_minor": select(
            orders.placed_at_ms.label("at_ms"), orders.ghost, orders.total_minor.label("minor")
        ),
        "paid_minor": select(
            orders.paid_at_ms.label("at_ms"), orders.ghost, orders.total_minor.label("minor")
        ).where(orders.paid_at_ms.is_not(None)),
        "refunded_minor": back.where(refund.c.state == "succeeded"),
    }
    found: dict[tuple[int, bool], dict[str, int]] = {}
    for name, query in queries.items():
        rows = query.where(orders.room_id == room_id).subquery()
        step = (rows.c.at_ms - since_ms) // step_ms
        sums = (
            select(step.label("step"), rows.c.ghost, func.sum(rows.c.minor).label("minor"))
            .where(rows.c.at_ms >= since_ms)
            .group_by("step", rows.c.ghost)
        )
        for row in await c.execute(sums):
            found.setdefault((int(row.step), bool(row.ghost)), {})[name] = int(row.minor)
    return [
        MoneyStep(at_ms=since_ms + step * step_ms, ghost=ghost, **amounts)
        for (step, ghost), amounts in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyers:
    """How many different buyers (orders, from `placed` on) came how far in one sale."""

    tapped: int = 0
    held: int = 0
    placed: int = 0
    paid: int = 0
    expired: int = 0
    declined: int = 0
    cancelled: int = 0
    refunded: int = 0
    units_paid: int = 0
    paid_minor: int = 0
    refunded_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleReport:
    """One sale that has opened: its terms in short, and how far people and ghosts came."""

    sale_id: str
    product_id: str
    variant_id: str
    round: int
    state: str
    currency: str
    price_minor: int
    units: int
    sold: int
    opened_at_ms: int
    closed_at_ms: int | None
    people: Buyers
    ghosts: Buyers


async def sale_reports(c: AsyncConnection, room_id: str) -> list[SaleReport]:
    """The room's sales that have opened, newest first (at most 200)."""
    sales = sale_table.c
    query = (
        select(sale_table, stock_table.c.capacity, stock_table.c.sold)
        .join_from(sale_table, stock_table, sales.sale_id == stock_table.c.sale_id)
        .where(sales.room_id == room_id, sales.opened_at_ms.is_not(None))
        .order_by(sales.opened_at_ms.desc(), sales.sale_id)
        .limit(MAX_SALES)
    )
    rows = list(await c.execute(query))
    counts = await _buyers(c, [row.sale_id for row in rows])
    return [
        SaleReport(
            sale_id=row.sale_id,
            product_id=row.product_id,
            variant_id=row.variant_id,
            round=row.round,
            state=row.state,
            currency=row.currency,
            price_minor=row.price_minor,
            units=max(row.quota, row.sold)
            if row.state in ("settled", "published")
            else row.capacity,  # settling takes back the rest
            sold=row.sold,
            opened_at_ms=row.opened_at_ms,
            closed_at_ms=row.closed_at_ms,
            people=Buyers(**counts.get((row.sale_id, False), {})),
            ghosts=Buyers(**counts.get((row.sale_id, True), {})),
        )
        for row in rows
    ]


async def show_totals(c: AsyncConnection, room_id: str, from_ms: int, until_ms: int) -> dict[str, int]:
    """Of people's orders placed in that time, whenever they were paid: buyers, placed, paid, units_paid, paid_minor, refunded_minor."""
    orders = order_table.c
    is_paid = orders.paid_at_ms.is_not(None)
    query = select(
        func.count(distinct(case((is_paid, orders.buyer_id)))).label("buyers"),
        func.count().label("placed"),
        func.count(orders.paid_at_ms).label("paid"),
        func.coalesce(func.sum(case((is_paid, orders.quantity), else_=0)), 0).label("units_paid"),
        func.coalesce(func.sum(case((is_paid, orders.total_minor), else_=0)), 0).label("paid_minor"),
        func.coalesce(func.sum(orders.refunded_minor), 0).label("refunded_minor"),
    ).where(
        orders.room_id == room_id,
        orders.ghost.is_(False),
        orders.placed_at_ms >= from_ms,
        orders.placed_at_ms < until_ms,
    )
    row = (await c.execute(query)).one()
    return {name: int(value) for name, value in row._mapping.items()}


async def _buyers(c: AsyncConnection, sale_ids: Sequence[str]) -> dict[tuple[str, bool], dict[str, int]]:
    log, orders = allocation_entry.c, order_table.c
    counts: dict[tuple[str, bool], dict[str, int]] = {}
    is_ghost = case((log.entry.contains(_GHOST_LINE, autoescape=True), 1), else_=0)
    taps = (
        select(
            log.sale_id,
            is_ghost.label("ghost"),
            func.count(distinct(log.buyer_id)).label("tapped"),
            func.count(distinct(case((log.decision == "granted", log.buyer_id)))).label("held"),
        )
        .where(log.sale_id.in_(sale_ids))
        .group_by(log.sale_id, "ghost")
    )
    for row in await c.execute(taps):
        counts[row.sale_id, bool(row.ghost)] = {"tapped": row.tapped, "held": row.held}
    was_declined = (
        select(payment_attempt.c.attempt_id)
        .where(payment_attempt.c.order_id == orders.order_id, payment_attempt.c.state == "declined")
        .exists()
    )
    is_paid = orders.paid_at_ms.is_not(None)

    def number(condition: Any, column: Any = 1) -> Any:
        return func.coalesce(func.sum(case((condition, column), else_=0)), 0)

    placed = (
        select(
            orders.sale_id,
            orders.ghost,
            func.count().label("placed"),
            number(is_paid).label("paid"),
            number(orders.state == "expired").label("expired"),
            number(~is_paid & was_declined).label("declined"),
            number(orders.state == "cancelled").label("cancelled"),
            number(orders.refunded_minor > 0).label("refunded"),
            number(is_paid, orders.quantity).label("units_paid"),
            number(is_paid, orders.total_minor).label("paid_minor"),
            number(orders.refunded_minor > 0, orders.refunded_minor).label("refunded_minor"),
        )
        .where(orders.sale_id.in_(sale_ids))
        .group_by(orders.sale_id, orders.ghost)
    )
    for row in await c.execute(placed):
        known = counts.setdefault((row.sale_id, bool(row.ghost)), {})
        known |= {
            name: int(value) for name, value in row._mapping.items() if name not in ("sale_id", "ghost")
        }
    return counts
