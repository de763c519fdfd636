"""Bind: a granted hold becomes an order in one SQL transaction (DESIGN.md 5.3). Only this makes a unit somebody's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, hold_tokens, ledger, orders, outbox, sale_rows, snapshots, stock, upsert
from commerce.database import Database
from commerce.errors import Forbidden, Invalid, Refused
from commerce.hold_tokens import HoldToken
from commerce.hot_ledger import HotLedger
from commerce.money import total_minor
from commerce.orders import Order
from commerce.sale_rules import BINDABLE
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table

MIN_TIME_TO_PAY_MS: Final = 30_000
"""However late the hold is bound, its buyer has this long to pay."""
MAX_NAME_CHARACTERS: Final = 100
ADDRESS_FIELDS: Final = {"line1": True, "line2": False, "city": True, "postcode": True, "country": True}
"""Field -> must be there."""
MAX_FIELD_CHARACTERS: Final = 200
_NUMBER_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U


class Checkout:
    """Turns hold tokens into orders."""

    def __init__(
        self,
        database: Database,
        hot_ledger: HotLedger,
        token_key: bytes,
        clock_ms: Callable[[], int],
        new_id: Callable[[str], str],
    ) -> None:
        self.database = database
        self.hot_ledger = hot_ledger
        self.token_key = token_key
        self.clock_ms = clock_ms
        self.new_id = new_id

    async def bind(
        self, token: str, buyer_id: str, name: str, address: dict[str, Any], buyer_name: str | None = None
    ) -> Order:
        """The order that this hold becomes; the same hold always gives the same order, also when called twice at once.

        `name` and `address` are the receiver's, `buyer_name` (default: `name`) is what the room may see, masked.
        Raises Refused: bad_token, hold_expired, sale_closed, sold_out_late, limit_reached; Forbidden: not_your_hold;
        Invalid: bad_name, bad_address.
        """
        hold = hold_tokens.verify(self.token_key, token)
        if hold.buyer_id != buyer_id:
            raise Forbidden("not_your_hold", "this hold was granted to somebody else")
        receiver = check_name(name)
        checked = check_address(address)
        shown = check_name(buyer_name or name)[:80]
        async with self.database.begin() as c:
            order, used = await self._bind(c, hold, receiver, checked, shown)
            sale = await sale_rows.get(c, hold.sale_id)
        crash_points.reach("bind.committed")
        await snapshots.tell_bound(self.hot_ledger, sale, hold.hold_id, hold.buyer_id, used)
        return order

    async def _bind(
        self, c: AsyncConnection, hold: HoldToken, name: str, address: dict[str, str], buyer_name: str
    ) -> tuple[Order, int]:
        """The order and the buyer's used quota, all or nothing."""
        found = await orders.find_by_hold(c, hold.hold_id)
        if found is not None:
            return found, await stock.used_quota(c, hold.sale_id, hold.buyer_id)
        now_ms = self.clock_ms()
        if now_ms >= hold.expires_at_ms:
            raise Refused(
                "hold_expired", "this hold has ended", expires_at_ms=hold.expires_at_ms, now_ms=now_ms
            )
        sale = await sale_rows.get(c, hold.sale_id)
        if sale.state not in BINDABLE or (sale.room_id, sale.currency) != (hold.room_id, hold.currency):
            raise Refused("sale_closed", "this sale is over", state=sale.state)
        order_id = order_id_of(hold.hold_id)
        row: dict[str, Any] = {
            "hold_id": hold.hold_id,
            "sale_id": hold.sale_id,
            "order_id": order_id,
            "buyer_id": hold.buyer_id,
        }
        row |= {"quantity": hold.quantity, "epoch": hold.epoch, "seq": hold.seq, "state": "bound"}
        row |= {"deadline_ms": max(hold.expires_at_ms, now_ms + MIN_TIME_TO_PAY_MS)}
        insert_hold = upsert.insert_into(c, hold_table).values(row)
        if not await upsert.wrote(c, insert_hold.on_conflict_do_nothing(index_elements=["hold_id"])):
            # Another call has bound this hold at this very moment; the primary key made us wait for it.
            order = await orders.find_by_hold(c, hold.hold_id)
            assert order is not None
            return order, await stock.used_quota(c, hold.sale_id, hold.buyer_id)
        used = await stock.use_quota(c, hold.sale_id, hold.buyer_id, hold.quantity, sale.limit_per_buyer)
        if used is None:
            raise Refused(
                "limit_reached", "the limit per buyer is reached", limit_per_buyer=sale.limit_per_buyer
            )
        crash_points.reach("bind.quota_used")
        if not await stock.reserve(c, hold.sale_id, hold.quantity):
            raise Refused("sold_out_late", "the last unit went to somebody else")
        crash_points.reach("bind.reserved")
        total = total_minor(hold.price_minor, hold.quantity)
        await c.execute(
            insert(order_table).values(
                order_id=order_id,
                order_number=order_number_of(order_id),
                room_id=hold.room_id,
                sale_id=hold.sale_id,
                hold_id=hold.hold_id,
                buyer_id=hold.buyer_id,
                buyer_name=buyer_name,
                product_id=sale.product_id,
                variant_id=sale.variant_id,
                quantity=hold.quantity,
                unit_price_minor=hold.price_minor,
                total_minor=total,
                currency=hold.currency,
                state="placed",
                name=name,
                address=address,
                ghost=hold.ghost,
                placed_at_ms=now_ms,
                changed_at_ms=now_ms,
                refunded_minor=0,
            )
        )
        await ledger.post(c, ledger.placed(order_id, total, hold.currency), now_ms)
        order = await orders.get(c, order_id)
        await outbox.record(c, order_id, "order_placed", orders.event_payload(order, now_ms))
        crash_points.reach("bind.before_commit")
        return order, used


def order_id_of(hold_id: str) -> str:
    """Derived, so that a retry can only ever make the same order."""
    return "or_" + hold_id.removeprefix("hd_")


def order_number_of(order_id: str) -> str:
    """What a person reads out: `FR-7K2M-9QXD-4T`, 50 bits that tell nothing of how many orders there are."""
    number = int.from_bytes(hashlib.sha256(order_id.encode()).digest()[:7], "big")
    letters = "".join(_NUMBER_LETTERS[number >> shift & 31] for shift in range(0, 50, 5))
    return f"FR-{letters[:4]}-{letters[4:8]}-{letters[8:]}"


def check_name(name: object) -> str:
    """The trimmed name; raises Invalid("bad_name")."""
    text = name.strip() if isinstance(name, str) else ""
    if not 0 < len(text) <= MAX_NAME_CHARACTERS or not text.isprintable():
        raise Invalid("bad_name", f"a name has 1 to {MAX_NAME_CHARACTERS} printable characters", field="name")
    return text


def check_address(address: object) -> dict[str, str]:
    """The address with known fields only, trimmed; raises Invalid("bad_address") naming the field."""
    if not isinstance(address, dict):
        raise Invalid("bad_address", "an address is an object", field="address")
    checked: dict[str, str] = {}
    for field, required in ADDRESS_FIELDS.items():
        value = address.get(field)
        text = value.strip() if isinstance(value, str) else ""
        if (required and not text) or len(text) > MAX_FIELD_CHARACTERS or not text.isprintable():
            message = f"address.{field} has {int(required)} to {MAX_FIELD_CHARACTERS} printable characters"
            raise Invalid("bad_address", message, field=f"address.{field}")
        if value is not None and not isinstance(value, str):
            raise Invalid("bad_address", f"address.{field} is a text", field=f"address.{field}")
        if text:
            checked[field] = text
    return checked
