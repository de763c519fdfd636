"""Orders: their states as a table, and what buyers and sellers see of them.

placed -> paid -> (fulfilled) -> refunded | cancelled | expired
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import Invalid, NotFound, OutOfState
from commerce.pages import after_cursor, encode_cursor, page_size
from commerce.schema import LIVE_ATTEMPTS, payment_attempt
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table

TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    ("placed", "pay"): "paid",
    ("placed", "cancel"): "cancelled",
    ("placed", "expire"): "expired",
    # Money that came late, after the unit was given back, and a unit was still there.
    ("cancelled", "pay"): "paid",
    ("expired", "pay"): "paid",
    ("paid", "fulfil"): "fulfilled",
    ("paid", "refund"): "refunded",
    ("fulfilled", "refund"): "refunded",
}
"""(state, action) -> next state. What is not here is refused."""

STATES: Final = ("placed", "paid", "fulfilled", "refunded", "cancelled", "expired")
BY_PAYMENT: Final = ("paying", "failed", "unpaid")
"""Orders by their payment: the last try is under way; it was declined, without another since; no money ever came."""
MAX_QUERY_CHARACTERS: Final = 80
_EVENT_NAMES: Final = (
    *("order_id", "order_number", "room_id", "buyer_id", "buyer_name", "sale_id", "hold_id", "product_id"),
    *("variant_id", "quantity", "total_minor", "currency", "ghost"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One buyer's order of one variant at the price of the hold. An unpaid one lets go of its units after `deadline_ms`."""

    order_id: str
    order_number: str
    room_id: str
    sale_id: str
    hold_id: str
    buyer_id: str
    buyer_name: str
    product_id: str
    variant_id: str
    quantity: int
    unit_price_minor: int
    total_minor: int
    currency: str
    state: str
    state_reason: str | None
    placed_at_ms: int
    deadline_ms: int
    paid_at_ms: int | None
    changed_at_ms: int
    refunded_minor: int
    carrier: str | None
    tracking_number: str | None
    ghost: bool
    name: str
    address: dict[str, Any]
    hold_state: str


def next_state(state: str, action: str) -> str:
    """The state that `action` leads to; raises OutOfState("order_state") naming the states where it is allowed."""
    found = TRANSITIONS.get((state, action))
    if found is None:
        allowed = sorted({before for before, name in TRANSITIONS if name == action})
        raise OutOfState(
            "order_state",
            f"{action} is not possible in state {state}",
            state=state,
            action=action,
            allowed_in=allowed,
        )
    return found


def event_payload(order: Order, at_ms: int, **more: Any) -> dict[str, Any]:
    """What every order event carries (JSON): who, what, how many; no address."""
    return {name: getattr(order, name) for name in _EVENT_NAMES} | {"at_ms": at_ms} | more


def _orders() -> Select[Any]:
    return select(order_table, hold_table.c.deadline_ms, hold_table.c.state.label("hold_state")).join_from(
        order_table, hold_table, hold_table.c.hold_id == order_table.c.hold_id
    )


def _order(row: Row[Any]) -> Order:
    return Order(**row._mapping)


async def find(c: AsyncConnection, order_id: str) -> Order | None:
    """The order, or None."""
    row = (await c.execute(_orders().where(order_table.c.order_id == order_id))).first()
    return None if row is None else _order(row)


async def get(c: AsyncConnection, order_id: str, buyer_id: str | None = None) -> Order:
    """The order; raises NotFound("unknown_order"), also when `buyer_id` is given and it is somebody else's."""
    order = await find(c, order_id)
    if order is None or (buyer_id is not None and order.buyer_id != buyer_id):
        raise NotFound("unknown_order", "there is no such order", order_id=order_id)
    return order


async def find_by_hold(c: AsyncConnection, hold_id: str) -> Order | None:
    """The order that a hold became, or None."""
    row = (await c.execute(_orders().where(order_table.c.hold_id == hold_id))).first()
    return None if row is None else _order(row)


async def find_by_holds(c: AsyncConnection, hold_ids: list[str]) -> dict[str, Order]:
    """The orders that these holds became, by hold id."""
    rows = await c.execute(_orders().where(order_table.c.hold_id.in_(hold_ids)))
    return {row.hold_id: _order(row) for row in rows}


async def bound_hold_ids(c: AsyncConnection, buyer_id: str, hold_ids: list[str]) -> set[str]:
    """Which of these holds are orders of this buyer already (at most 200 are looked at)."""
    query = select(order_table.c.hold_id).where(
        order_table.c.buyer_id == buyer_id, order_table.c.hold_id.in_(hold_ids[:200])
    )
    return set((await c.execute(query)).scalars())


async def list_for_buyer(
    c: AsyncConnection, buyer_id: str, room_id: str | None = None, limit: int = 50, cursor: str | None = None
) -> tuple[list[Order], str | None]:
    """A buyer's orders, newest first, and the cursor of the next page or None."""
    query = _orders().where(order_table.c.buyer_id == buyer_id)
    if room_id is not None:
        query = query.where(order_table.c.room_id == room_id)
    return await _page(c, query, limit, cursor)


async def list_for_room(
    c: AsyncConnection,
    room_id: str,
    state: str | None = None,
    query: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> tuple[list[Order], str | None]:
    """A room's orders, newest first, ghosts' included; `query` matches number, buyer's name and receiver's name.

    `state` is one of STATES or BY_PAYMENT.
    """
    return await _page(c, _room_query(room_id, state, query), limit, cursor)


def _room_query(room_id: str, state: str | None, query: str | None) -> Select[Any]:
    statement = _orders().where(order_table.c.room_id == room_id)
    if state in BY_PAYMENT:
        statement = statement.where(*_by_payment(state or ""))
    elif state is not None:
        if state not in STATES:
            allowed = ", ".join((*STATES, *BY_PAYMENT))
            raise Invalid("bad_state", f"state is one of {allowed}", field="state")
        statement = statement.where(order_table.c.state == state)
    if query:
        if len(query) > MAX_QUERY_CHARACTERS:
            raise Invalid("bad_query", f"a query has at most {MAX_QUERY_CHARACTERS} characters", field="q")
        columns = (order_table.c.order_number, order_table.c.buyer_name, order_table.c.name)
        statement = statement.where(or_(*(column.icontains(query, autoescape=True) for column in columns)))
    return statement


def _by_payment(how: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions on the newest attempt; one that failed and was paid after all is no failure."""
    if how == "unpaid":
        return (order_table.c.paid_at_ms.is_(None),)
    newest = (
        select(payment_attempt.c.state)
        .where(payment_attempt.c.order_id == order_table.c.order_id)
        .order_by(payment_attempt.c.number.desc())
        .limit(1)
        .scalar_subquery()
    )
    if how == "paying":
        return order_table.c.state == "placed", newest.in_(LIVE_ATTEMPTS)
    return order_table.c.state.in_(("placed", "expired", "cancelled")), newest == "declined"


async def _page(
    c: AsyncConnection, query: Select[Any], limit: int, cursor: str | None
) -> tuple[list[Order], str | None]:
    size = page_size(limit)
    query = query.where(*after_cursor(cursor, order_table.c.placed_at_ms, order_table.c.order_id))
    query = query.order_by(order_table.c.placed_at_ms.desc(), order_table.c.order_id.desc()).limit(size + 1)
    found = [_order(row) for row in await c.execute(query)]
    more = len(found) > size
    last = found[size - 1] if more else None
    return found[:size], None if last is None else encode_cursor(last.placed_at_ms, last.order_id)


async def counts(c: AsyncConnection, room_id: str) -> dict[str, int]:
    """How many orders of people were ever placed, paid and refunded in a room, and for how much; ghosts count apart.

    The three are never mixed: a paid order stays counted as paid after its refund, and the refund is counted beside it.
    """
    people, ghosts = order_table.c.ghost.is_(False), order_table.c.ghost.is_(True)
    paid, refunded = order_table.c.paid_at_ms.is_not(None), order_table.c.refunded_minor > 0

    def number(*conditions: Any) -> Any:
        return func.coalesce(func.sum(case((conditions[0] & conditions[1], 1), else_=0)), 0)

    def amount(column: Any, *conditions: Any) -> Any:
        return func.coalesce(func.sum(case((conditions[0] & conditions[1], column), else_=0)), 0)

    total = order_table.c.total_minor
    placed = order_table.c.placed_at_ms > 0
    query = select(
        number(people, placed).label("placed"),
        number(people, paid).label("paid"),
        number(people, refunded).label("refunded"),
        amount(total, people, placed).label("placed_minor"),
        amount(total, people, paid).label("paid_minor"),
        amount(order_table.c.refunded_minor, people, refunded).label("refunded_minor"),
        number(ghosts, placed).label("ghost_placed"),
        number(ghosts, paid).label("ghost_paid"),
    ).where(order_table.c.room_id == room_id)
    row = (await c.execute(query)).one()
    return {name: int(value) for name, value in row._mapping.items()}
