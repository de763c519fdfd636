"""Sales as rows: reading them, and changing a state by compare-and-set with its event in the same transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import outbox, stock
from commerce.errors import NotFound, OutOfState
from commerce.pages import after_cursor, encode_cursor, page_size
from commerce.sale_rules import OCCUPYING, Sale, next_state
from commerce.schema import sale as sale_table
from commerce.schema import stock as stock_table

_STOCK_NAMES: Final = ("capacity", "reserved", "sold", "version", "epoch")
_NAMES: Final = tuple(field.name for field in fields(Sale))


def _sales() -> Select[Any]:
    columns = [(stock_table if name in _STOCK_NAMES else sale_table).c[name] for name in _NAMES]
    return select(*columns).join_from(sale_table, stock_table)


def _sale(row: Row[Any]) -> Sale:
    values = dict(row._mapping)
    values["outages"] = tuple((began, length) for began, length in values["outages"])
    return Sale(**values)


async def find(c: AsyncConnection, sale_id: str) -> Sale | None:
    """The sale, or None."""
    row = (await c.execute(_sales().where(sale_table.c.sale_id == sale_id))).first()
    return None if row is None else _sale(row)


async def get(c: AsyncConnection, sale_id: str) -> Sale:
    """The sale; raises NotFound("unknown_sale")."""
    sale = await find(c, sale_id)
    if sale is None:
        raise NotFound("unknown_sale", "there is no such sale", sale_id=sale_id)
    return sale


async def get_many(c: AsyncConnection, sale_ids: set[str]) -> dict[str, Sale]:
    """Those of the sales that exist, by id."""
    rows = await c.execute(_sales().where(sale_table.c.sale_id.in_(sorted(sale_ids))))
    return {row.sale_id: _sale(row) for row in rows}


async def list_for_room(
    c: AsyncConnection,
    room_id: str,
    limit: int = 50,
    cursor: str | None = None,
    states: Collection[str] | None = None,
) -> tuple[list[Sale], str | None]:
    """A room's sales, of any state or of these, newest first, and the cursor of the next page or None."""
    size = page_size(limit)
    query = _sales().where(
        sale_table.c.room_id == room_id,
        *after_cursor(cursor, sale_table.c.created_at_ms, sale_table.c.sale_id),
    )
    if states is not None:
        query = query.where(sale_table.c.state.in_(states))
    query = query.order_by(sale_table.c.created_at_ms.desc(), sale_table.c.sale_id.desc()).limit(size + 1)
    found = [_sale(row) for row in await c.execute(query)]
    more = len(found) > size
    return found[:size], encode_cursor(
        found[size - 1].created_at_ms, found[size - 1].sale_id
    ) if more else None


async def open_between(
    c: AsyncConnection, room_id: str, from_ms: int, until_ms: int, limit: int
) -> list[Sale]:
    """A room's sales that took taps at some moment of that time, newest first, at most `limit`."""
    columns = sale_table.c
    query = (
        _sales()
        .where(
            columns.room_id == room_id,
            columns.opened_at_ms <= until_ms,
            or_(columns.closed_at_ms.is_(None), columns.closed_at_ms >= from_ms),
        )
        .order_by(columns.opened_at_ms.desc(), columns.sale_id)
        .limit(limit)
    )
    return [_sale(row) for row in await c.execute(query)]


async def list_in_states(c: AsyncConnection, states: tuple[str, ...], limit: int) -> list[Sale]:
    """Sales of all rooms in these states, oldest first, at most `limit`."""
    query = _sales().where(sale_table.c.state.in_(states)).order_by(sale_table.c.created_at_ms).limit(limit)
    return [_sale(row) for row in await c.execute(query)]


async def is_occupied(c: AsyncConnection, variant_id: str, but_sale_id: str) -> bool:
    """Whether another sale holds units of this variant."""
    query = select(sale_table.c.sale_id).where(
        sale_table.c.variant_id == variant_id,
        sale_table.c.state.in_(OCCUPYING),
        sale_table.c.sale_id != but_sale_id,
    )
    return (await c.execute(query.limit(1))).first() is not None


async def next_round(c: AsyncConnection, variant_id: str) -> int:
    """The number the variant's next offer carries: one above its fired rounds."""
    fired = sale_table.c.opens_at_ms.is_not(None)
    query = select(func.coalesce(func.max(sale_table.c.round), 0)).where(
        sale_table.c.variant_id == variant_id, fired
    )
    return int((await c.execute(query)).scalar_one()) + 1


async def add(c: AsyncConnection, values: dict[str, Any]) -> None:
    """A new sale with an empty stock row under epoch 1."""
    await c.execute(insert(sale_table).values(values))
    await c.execute(
        insert(stock_table).values(
            sale_id=values["sale_id"], capacity=0, reserved=0, sold=0, version=1, epoch=1
        )
    )


async def change(
    c: AsyncConnection,
    sale: Sale,
    action: str,
    now_ms: int,
    *conditions: ColumnElement[bool],
    **values: Any,
) -> None:
    """Take `action` on the sale if it is still in the state it was read in, with a higher version and a `sale_changed` event.

    Raises OutOfState("sale_state") when the table does not allow it, OutOfState("sale_changed_meanwhile") when somebody was faster.
    """
    state = next_state(sale.state, action)
    cas = update(sale_table).where(
        sale_table.c.sale_id == sale.sale_id, sale_table.c.state == sale.state, *conditions
    )
    if (await c.execute(cas.values(state=state, **values))).rowcount != 1:
        raise OutOfState(
            "sale_changed_meanwhile", "the sale has just changed; look again", sale_id=sale.sale_id
        )
    await stock.touch(c, sale.sale_id)
    payload = {
        "sale_id": sale.sale_id,
        "room_id": sale.room_id,
        "state": state,
        "reason": values.get("state_reason", sale.state_reason),
        "action": action,
        "at_ms": now_ms,
    }
    await outbox.record(c, sale.sale_id, "sale_changed", payload)
