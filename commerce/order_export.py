"""A room's orders as CSV (RFC 4180), page by page, so that memory does not grow with the show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from commerce import orders
from commerce.csv_lines import csv_lines, iso_time
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


async def export_csv(
    database: Database, room_id: str, state: str | None = None, query: str | None = None
) -> AsyncIterator[str]:
    """The header, then pages of rows, newest order first. Each page is its own look at the database."""
    yield csv_lines([COLUMNS])
    cursor: str | None = None
    while True:
        async with database.read() as c:
            page, cursor = await orders.list_for_room(c, room_id, state, query, MAX_PAGE, cursor)
        if page:
            yield csv_lines([_row(order) for order in page])
        if cursor is None:
            return


def _row(order: Order) -> tuple[str, ...]:
    address = order.address
    return (
        *(order.order_number, order.state, iso_time(order.placed_at_ms), iso_time(order.paid_at_ms)),
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


def _decimal(amount_minor: int, currency: str) -> str:
    digits = MINOR_DIGITS[currency]
    whole, part = divmod(amount_minor, 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)
