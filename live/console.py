"""The console's tools in the hands of a person: what a call changes leaves its line in the audit log, in the same transaction. What it
spends beyond the room's set value is rolled back unless a second person has approved it (`second_person`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import orders, sale_rows
from commerce.after_sales import AfterSales
from commerce.database import Database
from commerce.payments import attempts
from commerce.sale_rules import Sale
from commerce.sales import SaleDesk
from live import approvals, audit, cool_down, second_person
from live.approvals import Approved, Spending
from live.identity import Caller

AUDITED: Final = (
    "state",
    "state_reason",
    "variant_id",
    "price_minor",
    "quota",
    "limit_per_buyer",
    "hold_ms",
    "duration_ms",
    "countdown_ms",
    "extendable_ms",
    "capacity",
    "reserved",
    "sold",
    "opens_at_ms",
    "closes_at_ms",
)
AUDITED_ORDER: Final = ("state", "state_reason", "refunded_minor", "carrier", "tracking_number")
AUDITED_PAYMENT: Final = ("state", "reason", "received_minor")


@dataclass(frozen=True, slots=True)
class Action:
    """One call at the console: who, what, when. `call_id` is the same when the call is repeated.

    `cool_down_ms`: so long the caller can't move money again. With `approved` it is done in one transaction, or not at all.
    `may_spend` is False where units only come back: what such a call has to undo is never kept waiting for anybody.
    """

    caller: Caller
    name: str
    call_id: str
    at_ms: int
    cool_down_ms: int = 0
    approved: Approved | None = None
    may_spend: bool = True


def shown(sale: Sale) -> dict[str, Any]:
    """What the log keeps of a sale."""
    return {name: getattr(sale, name) for name in AUDITED}


def audited_desk(desk: SaleDesk, action: Action, sale_id: str | None = None) -> SaleDesk:
    """The desk for this one action on this sale, or on the one it makes."""
    if sale_id is not None:
        database = _Audited(desk.database, action, partial(_look_at_sale, sale_id))
        return SaleDesk(database, desk.hot_ledger, desk.clock_ms, desk.new_id, lights=desk.lights)
    made_id = desk.new_id("sl")
    database = _Audited(desk.database, action, partial(_look_at_sale, made_id))
    return SaleDesk(
        database, desk.hot_ledger, desk.clock_ms, _first(made_id, desk.new_id), lights=desk.lights
    )


def _first(made_id: str, new_id: Callable[[str], str]) -> Callable[[str], str]:
    return lambda prefix: made_id if prefix == "sl" else new_id(prefix)


def audited_after_sales(desk: AfterSales, action: Action, order_id: str) -> AfterSales:
    """What sellers do with a paid order, for this one action on this order."""
    database = _Audited(desk.database, action, partial(_look_at_order, order_id))
    return AfterSales(database, desk.hot_ledger, desk.clock_ms, desk.new_id)


def audited_payment(database: Database, action: Action, attempt_id: str) -> Database:
    """The database for this one action on this payment."""
    return _Audited(database, action, partial(_look_at_payment, attempt_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A thing as the log shows it; `mark` differs after every change.

    `total_minor` is what the thing has cost so far: all refunds of an order, all units of a sale at its price. `outcome` is what a
    second person sees of it.
    """

    room_id: str
    target: str
    mark: str
    shown: dict[str, Any]
    total_minor: int
    currency: str
    outcome: dict[str, Any]


async def _look_at_sale(sale_id: str, c: AsyncConnection) -> _Look | None:
    sale = await sale_rows.find(c, sale_id)
    if sale is None:
        return None
    outcome = {"units": sale.capacity}
    outcome |= {
        name: getattr(sale, name) for name in ("product_id", "variant_id", "price_minor", "terms_hash")
    }
    return _Look(
        room_id=sale.room_id,
        target=sale_id,
        mark=str(sale.version),
        shown=shown(sale),
        total_minor=sale.capacity * sale.price_minor,
        currency=sale.currency,
        outcome=outcome,
    )


async def _look_at_order(order_id: str, c: AsyncConnection) -> _Look | None:
    order = await orders.find(c, order_id)
    if order is None:
        return None
    return _Look(
        room_id=order.room_id,
        target=order_id,
        mark=f"{order.state}:{order.refunded_minor}",
        shown={name: getattr(order, name) for name in AUDITED_ORDER},
        total_minor=order.refunded_minor,
        currency=order.currency,
        outcome={name: getattr(order, name) for name in ("order_number", "total_minor", "refunded_minor")},
    )


async def _look_at_payment(attempt_id: str, c: AsyncConnection) -> _Look | None:
    attempt = await attempts.find(c, attempt_id)
    if attempt is None:
        return None
    order = await orders.get(c, attempt.order_id)
    # What came in a wrong amount counts as captured from the moment that it is sent back.
    sent_back_minor = 0 if attempt.state == "quarantined" else attempt.captured_minor
    return _Look(
        room_id=order.room_id,
        target=attempt_id,
        mark=attempt.state,
        shown={name: getattr(attempt, name) for name in AUDITED_PAYMENT},
        total_minor=sent_back_minor,
        currency=attempt.currency,
        outcome={"order_number": order.order_number, "received_minor": attempt.received_minor},
    )


class _Audited(Database):
    """The same database; each write transaction that changes the thing also writes the line that says so."""

    def __init__(
        self, inner: Database, action: Action, look: Callable[[AsyncConnection], Awaitable[_Look | None]]
    ) -> None:
        self.url = inner.url
        self._inner = inner
        self._action = action
        self._look = look

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        approved = self._action.approved
        async with self._inner.begin() as c:
            if approved is not None:
                await approvals.use(c, approved)
            before = await self._look(c)
            yield c
            after = await self._look(c)
            if after is not None and (before is None or after.mark != before.mark):
                await self._allow(c, before, after)
                await self._record(c, before, after)

    async def _allow(self, c: AsyncConnection, before: _Look | None, after: _Look) -> None:
        action = self._action
        spent_minor = after.total_minor - (0 if before is None else before.total_minor)
        if action.approved is None and (spent_minor <= 0 or not action.may_spend):
            return
        spending = Spending(
            room_id=after.room_id,
            amount_minor=spent_minor,
            total_minor=after.total_minor,
            currency=after.currency,
            outcome=after.outcome,
        )
        await second_person.check(c, spending, action.approved)
        if action.cool_down_ms:
            await cool_down.begin(
                c, after.room_id, action.caller.principal, action.call_id, action.at_ms, action.cool_down_ms
            )

    async def _record(self, c: AsyncConnection, before: _Look | None, after: _Look) -> None:
        action = self._action
        await audit.record(
            c,
            action.caller,
            after.room_id,
            action.name,
            after.target,
            at_ms=action.at_ms,
            # A call may need a second transaction (a unit that goes back): each has its line.
            call_id=f"{action.call_id}:{after.mark}",
            before=None if before is None else before.shown,
            after=after.shown | ({} if action.approved is None else {"approved_by": action.approved.by.name}),
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.read() as c:
            yield c
