"""The console's tools in the hands of a person: what a call changes leaves its line in the audit log, in the same transaction."""

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
from commerce.sale_rules import Sale
from commerce.sales import SaleDesk
from live import audit
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


@dataclass(frozen=True, slots=True)
class Action:
    """One call at the console: who, what, when. `call_id` is the same when the call is repeated."""

    caller: Caller
    name: str
    call_id: str
    at_ms: int


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


@dataclass(frozen=True, slots=True)
class _Look:
    """A thing as the log shows it; `mark` differs after every change."""

    room_id: str
    target: str
    mark: str
    shown: dict[str, Any]


async def _look_at_sale(sale_id: str, c: AsyncConnection) -> _Look | None:
    sale = await sale_rows.find(c, sale_id)
    return None if sale is None else _Look(sale.room_id, sale_id, str(sale.version), shown(sale))


async def _look_at_order(order_id: str, c: AsyncConnection) -> _Look | None:
    order = await orders.find(c, order_id)
    if order is None:
        return None
    seen = {name: getattr(order, name) for name in AUDITED_ORDER}
    return _Look(order.room_id, order_id, f"{order.state}:{order.refunded_minor}", seen)


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
        async with self._inner.begin() as c:
            before = await self._look(c)
            yield c
            after = await self._look(c)
            if after is not None and (before is None or after.mark != before.mark):
                await self._record(c, before, after)

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
            after=after.shown,
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.read() as c:
            yield c
