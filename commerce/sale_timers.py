"""Timers of sales: opening, closing, settling and publishing, from server time, safe to run twice and from several workers."""

from __future__ import annotations

import logging
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import allocation_log, sale_rows, snapshots, stock
from commerce.database import Database
from commerce.errors import CommerceError, Unavailable
from commerce.hot_ledger import HotLedger, StockNumbers
from commerce.sale_rules import Sale, due_action

logger = logging.getLogger(__name__)

TIMED: Final = ("countdown", "open", "draining", "settled")
MAX_SALES: Final = 500
MAX_STEPS: Final = 5  # a sale that slept through its whole life catches up in one call


async def tick(database: Database, hot: HotLedger, now_ms: int) -> list[Sale]:
    """Take every due action; the sales that changed, as committed. A sale whose step fails does not hold up the others."""
    async with database.read() as c:
        waiting = await sale_rows.list_in_states(c, TIMED, MAX_SALES)
    changed: list[Sale] = []
    for sale in waiting:
        try:
            done = await _advance(database, hot, sale, now_ms)
        except CommerceError as error:
            logger.warning("timer of sale %s: %r", sale.sale_id, error)
            continue
        if done is not None:
            changed.append(done)
    return changed


async def _advance(database: Database, hot: HotLedger, sale: Sale, now_ms: int) -> Sale | None:
    last: Sale | None = None
    for _ in range(MAX_STEPS):
        # Told, not only asked: numbers that come back with this version know of the closing, so no grant can follow them.
        numbers = await snapshots.tell(hot, sale) if sale.state in ("draining", "settled") else None
        action = due_action(sale, now_ms, _soft_holds(sale, numbers))
        if action is None:
            break
        if action == "publish" and not await _is_quiet(hot, sale):
            break
        async with database.begin() as c:
            await _take(c, sale, action, now_ms)
            sale = last = await sale_rows.get(c, sale.sale_id)
        await snapshots.tell(hot, sale)
    return last


def _soft_holds(sale: Sale, numbers: StockNumbers | None) -> bool | None:
    """False only when the hot ledger is sure: same epoch, and the first one: nothing was ever lost."""
    if numbers is None or numbers.epoch != sale.epoch or sale.epoch != 1:
        return None
    return numbers.soft > 0 or numbers.undrawn > 0


async def _take(c: AsyncConnection, sale: Sale, action: str, now_ms: int) -> None:
    values: dict[str, Any] = {}
    if action == "begin":
        values = {"opened_at_ms": sale.opened_at_ms or sale.opens_at_ms}
    elif action == "time_up":
        values = {"closed_at_ms": sale.closes_at_ms, "state_reason": "time_up"}
    elif action == "sold_out":
        values = {"closed_at_ms": now_ms, "state_reason": "sold_out"}
    elif action == "publish":
        values = {"log_root": await allocation_log.root(c, sale.sale_id)}
    await sale_rows.change(c, sale, action, now_ms, **values)
    if action == "settle":
        await _return_leftover(c, sale, now_ms)


async def _return_leftover(c: AsyncConnection, sale: Sale, now_ms: int) -> None:
    """Units nobody bought go back to the shelf. A bind that was faster makes the move fail, and the sale drains on."""
    now = await sale_rows.get(c, sale.sale_id)  # the row is ours since the compare-and-set raised its version
    if now.reserved:
        raise CommerceError("sale_still_drains", "a hold was bound meanwhile", sale_id=sale.sale_id)
    if now.base:
        await stock.move(
            c,
            movement_id=f"settle:{sale.sale_id}",
            variant_id=sale.variant_id,
            sale_id=sale.sale_id,
            units=-now.base,
            reason="settle",
            at_ms=now_ms,
        )


async def _is_quiet(hot: HotLedger, sale: Sale) -> bool:
    """Whether Redis has nothing more to bring: holds that were never bought are swept, and every line of the log is in SQL.

    A Redis that has forgotten the sale is quiet too; one that does not answer is not.
    """
    try:
        numbers = await hot.numbers(sale.room_id, sale.sale_id)
        current = numbers if numbers is not None and numbers.epoch == sale.epoch else None
        if current is not None and (current.soft or current.waiting or current.undrawn):
            return False
        if current is not None and current.version < sale.version:
            return False  # it may still log: it does not know that the sale is settled
        return await hot.log_is_empty(sale.room_id, sale.sale_id)
    except Unavailable:
        return False
