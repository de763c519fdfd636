"""Units: from the shelf to a sale and back, and inside a sale from free to reserved to sold.

Every change is one conditional update whose row count is looked at, and raises the row's version; the table's CHECK constraints
stand behind it. Order of locks inside a transaction: hold, order, buyer's quota, sale, stock, variant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import Quarantined, Refused
from commerce.schema import buyer_quota, hold, sale, stock, stock_movement, variant

FREE: Final = stock.c.capacity - stock.c.reserved - stock.c.sold
"""Units of a sale that no order holds."""


async def _change(c: AsyncConnection, sale_id: str, condition: ColumnElement[bool], **changes: Any) -> bool:
    statement = update(stock).where(stock.c.sale_id == sale_id, condition)
    done = await c.execute(statement.values(version=stock.c.version + 1, **changes))
    return done.rowcount == 1


async def reserve(c: AsyncConnection, sale_id: str, units: int) -> bool:
    """Set free units aside for an order that is to be paid; False when there are not enough."""
    return await _change(c, sale_id, units <= FREE, reserved=stock.c.reserved + units)


async def sell_reserved(c: AsyncConnection, sale_id: str, units: int) -> None:
    """Reserved units are paid for. Raises Quarantined when the sums say they were never reserved."""
    changes = {"reserved": stock.c.reserved - units, "sold": stock.c.sold + units}
    if not await _change(c, sale_id, stock.c.reserved >= units, **changes):
        raise Quarantined(
            "stock_does_not_add_up", "fewer units are reserved than this order holds", sale_id=sale_id
        )


async def sell_free(c: AsyncConnection, sale_id: str, units: int) -> bool:
    """Free units go straight to an order whose money came late; False when there are not enough."""
    return await _change(c, sale_id, units <= FREE, sold=stock.c.sold + units)


async def release_reserved(c: AsyncConnection, sale_id: str, units: int) -> None:
    """Reserved units are free again. Raises Quarantined when the sums say they were never reserved."""
    if not await _change(c, sale_id, stock.c.reserved >= units, reserved=stock.c.reserved - units):
        raise Quarantined(
            "stock_does_not_add_up", "fewer units are reserved than this order holds", sale_id=sale_id
        )


async def unsell(c: AsyncConnection, sale_id: str, units: int) -> None:
    """Sold units come back to the sale as free ones (a refunded order). Raises Quarantined when they were never sold."""
    if not await _change(c, sale_id, stock.c.sold >= units, sold=stock.c.sold - units):
        raise Quarantined("stock_does_not_add_up", "fewer units are sold than come back", sale_id=sale_id)


async def touch(c: AsyncConnection, sale_id: str) -> None:
    """Raise the version only: something of the sale besides its numbers changed."""
    await _change(c, sale_id, stock.c.sale_id == sale_id)


async def free_units(c: AsyncConnection, sale_id: str) -> int:
    """Units that no order holds, at this moment."""
    return int((await c.execute(select(FREE).where(stock.c.sale_id == sale_id))).scalar_one())


async def move(
    c: AsyncConnection,
    *,
    movement_id: str,
    variant_id: str,
    sale_id: str,
    units: int,
    reason: str,
    at_ms: int,
) -> bool:
    """Move units from the shelf to a sale, or back when negative; False when this movement was made before.

    Only free units come back. Raises Refused("stock_short") when the shelf or the sale has too few.
    """
    if not await _note_movement(c, movement_id, variant_id, sale_id, units, reason, at_ms):
        return False
    if not await _change(c, sale_id, FREE + units >= 0, capacity=stock.c.capacity + units):
        free = await free_units(c, sale_id)
        raise Refused("stock_short", f"only {free} can be withdrawn", withdrawable=free)
    shelf = update(variant).where(variant.c.variant_id == variant_id, variant.c.on_hand >= units)
    if (await c.execute(shelf.values(on_hand=variant.c.on_hand - units))).rowcount != 1:
        found = select(variant.c.on_hand).where(variant.c.variant_id == variant_id)
        on_hand = (await c.execute(found)).scalar_one_or_none() or 0
        raise Refused("stock_short", f"only {on_hand} are in stock", on_hand=on_hand)
    return True


async def _note_movement(
    c: AsyncConnection, movement_id: str, variant_id: str, sale_id: str, units: int, reason: str, at_ms: int
) -> bool:
    statement = upsert.insert_into(c, stock_movement).values(
        movement_id=movement_id,
        variant_id=variant_id,
        sale_id=sale_id,
        units=units,
        reason=reason,
        at_ms=at_ms,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["movement_id"])
    return await upsert.wrote(c, statement)


async def use_quota(c: AsyncConnection, sale_id: str, buyer_id: str, units: int, limit: int) -> int | None:
    """Count units towards a buyer's limit in this sale: units used now, or None when the limit does not allow them."""
    if units > limit:
        return None
    statement = upsert.insert_into(c, buyer_quota).values(
        sale_id=sale_id, buyer_id=buyer_id, used=units, limit_units=limit
    )
    statement = statement.on_conflict_do_update(
        index_elements=["sale_id", "buyer_id"],
        set_={"used": buyer_quota.c.used + units},
        where=buyer_quota.c.used + units <= buyer_quota.c.limit_units,
    ).returning(buyer_quota.c.used)
    used: int | None = (await c.execute(statement)).scalar_one_or_none()
    return used


async def free_quota(c: AsyncConnection, sale_id: str, buyer_id: str, units: int) -> int:
    """Give units back to a buyer's limit: units used now. Raises Quarantined when they were never counted."""
    statement = (
        update(buyer_quota)
        .where(
            buyer_quota.c.sale_id == sale_id, buyer_quota.c.buyer_id == buyer_id, buyer_quota.c.used >= units
        )
        .values(used=buyer_quota.c.used - units)
        .returning(buyer_quota.c.used)
    )
    used: int | None = (await c.execute(statement)).scalar_one_or_none()
    if used is None:
        raise Quarantined("quota_does_not_add_up", "more units come back than were counted", sale_id=sale_id)
    return used


async def used_quota(c: AsyncConnection, sale_id: str, buyer_id: str) -> int:
    """Units this buyer has in orders of this sale, unpaid ones included."""
    query = select(buyer_quota.c.used).where(
        buyer_quota.c.sale_id == sale_id, buyer_quota.c.buyer_id == buyer_id
    )
    return int((await c.execute(query)).scalar_one_or_none() or 0)


async def contacts_over_limit(c: AsyncConnection, sale_id: str, contact_keys: Iterable[str]) -> set[str]:
    """Those who have more living units of a sale than its limit per buyer, under whichever name they came.

    Asked after the sale's row was changed in the same transaction: the row's lock lets one binder at a time look and write.
    """
    units = func.sum(hold.c.quantity)
    query = (
        select(hold.c.contact_key)
        .join(sale, sale.c.sale_id == hold.c.sale_id)
        .where(
            hold.c.sale_id == sale_id,
            hold.c.contact_key.in_(set(contact_keys)),
            hold.c.state.in_(("bound", "expiring", "sold")),
        )
        .group_by(hold.c.contact_key, sale.c.limit_per_buyer)
        .having(units > sale.c.limit_per_buyer)
    )
    return set((await c.execute(query)).scalars())


async def quota_limit(c: AsyncConnection, sale_id: str, buyer_id: str) -> int:
    """The limit a buyer had when they first bound a hold of this sale; 0 when they never did."""
    query = select(buyer_quota.c.limit_units).where(
        buyer_quota.c.sale_id == sale_id, buyer_quota.c.buyer_id == buyer_id
    )
    return int((await c.execute(query)).scalar_one_or_none() or 0)
