"""A room's orders as CSV (RFC 4180), page by page, so that memory does not grow with the show."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from commerce import orders
from commerce.database import Database
from commerce.money import MINOR_DIGITS
from commerce.orders import Order
from commerce.pages import MAX_PAGE

COLUMNS: Final = (
    *("order_number", "state", "placed_at", "paid_at", "product_id", "variant_id", "quantity"),
    *(
        "unit_price",
        "total",
        "refunded",
        "currency",
        "buyer_name",
        "name",
        "contact",
        "line1",
        "line2",
        "city",
        "postcode",
    ),
    *("country", "carrier", "tracking_number", "ghost", "order_id", "sale_id"),
)
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


async def export_csv(
    database: Database, room_id: str, state: str | None = None, query: str | None = None
) -> AsyncIterator[str]:
    """The header, then pages of rows, newest order first. Each page is its own look at the database."""
    yield _lines([COLUMNS])
    cursor: str | None = None
    while True:
        async with database.read() as c:
            page, cursor = await orders.list_for_room(c, room_id, state, query, MAX_PAGE, cursor)
        if page:
            yield _lines([_row(order) for order in page])
        if cursor is None:
            return


def _row(order: Order) -> tuple[str, ...]:
    address = order.address
    return (
        *(order.order_number, order.state, _time(order.placed_at_ms), _time(order.paid_at_ms)),
        *(order.product_id, order.variant_id, str(order.quantity)),
        *(
            _decimal(amount, order.currency)
            for amount in (order.unit_price_minor, order.total_minor, order.refunded_minor)
        ),
        *(order.currency, order.buyer_name, order.name),
        *(
            str(address.get(field, ""))
            for field in ("contact", "line1", "line2", "city", "postcode", "country")
        ),
        *(
            order.carrier or "",
            order.tracking_number or "",
            str(order.ghost).lower(),
            order.order_id,
            order.sale_id,
        ),
    )


def _lines(rows: list[tuple[str, ...]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[_harmless(cell) for cell in row] for row in rows])
    return buffer.getvalue()


def _harmless(cell: str) -> str:
    """A cell that spreadsheets do not take for a formula: buyers choose their names."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _time(at_ms: int | None) -> str:
    return (
        "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    )


def _decimal(amount_minor: int, currency: str) -> str:
    digits = MINOR_DIGITS[currency]
    whole, part = divmod(amount_minor, 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)
