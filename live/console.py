"""The sale desk in the hands of a person: whatever a call changes leaves its line in the audit log, in the change's own transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import sale_rows
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


@dataclass(frozen=True, slots=True)
class Action:
    """One call at the console: who, what, when. `call_id` is the same when the call is repeated."""

    caller: Caller
    name: str
    call_id: str
    at_ms: int


def shown(sale: Sale | None) -> dict[str, Any] | None:
    """What the log keeps of a sale."""
    return None if sale is None else {name: getattr(sale, name) for name in AUDITED}


def audited_desk(desk: SaleDesk, action: Action, sale_id: str | None = None) -> SaleDesk:
    """The desk for this one action on this sale, or on the one it makes."""
    if sale_id is not None:
        return SaleDesk(_Audited(desk.database, action, sale_id), desk.hot_ledger, desk.clock_ms, desk.new_id)
    made_id = desk.new_id("sl")
    database = _Audited(desk.database, action, made_id)
    return SaleDesk(database, desk.hot_ledger, desk.clock_ms, _first(made_id, desk.new_id))


def _first(made_id: str, new_id: Callable[[str], str]) -> Callable[[str], str]:
    return lambda prefix: made_id if prefix == "sl" else new_id(prefix)


class _Audited(Database):
    """The same database; each write transaction that changes the sale also writes the line that says so."""

    def __init__(self, inner: Database, action: Action, sale_id: str) -> None:
        self.url = inner.url
        self._inner = inner
        self._action = action
        self._sale_id = sale_id

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.begin() as c:
            before = await sale_rows.find(c, self._sale_id)
            yield c
            after = await sale_rows.find(c, self._sale_id)
            if after is not None and (before is None or after.version != before.version):
                await self._record(c, before, after)

    async def _record(self, c: AsyncConnection, before: Sale | None, after: Sale) -> None:
        action = self._action
        await audit.record(
            c,
            action.caller,
            after.room_id,
            action.name,
            after.sale_id,
            at_ms=action.at_ms,
            # A call may need a second transaction (a unit that goes back): each has its line.
            call_id=f"{action.call_id}:{after.version}",
            before=shown(before),
            after=shown(after),
        )

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._inner.read() as c:
            yield c
