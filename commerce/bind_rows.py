"""The rows that a bound hold becomes, and the rules that come before: plain functions, no I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from commerce import contacts
from commerce.errors import CommerceError, Invalid, Refused
from commerce.hold_tokens import HoldToken
from commerce.money import total_minor
from commerce.orders import Order
from commerce.sale_rules import BINDABLE, Sale, lengthened

MIN_TIME_TO_PAY_MS: Final = 30_000
"""However late the hold is bound, its buyer has this long to pay."""
MAX_NAME_CHARACTERS: Final = 100
ADDRESS_FIELDS: Final = {
    "contact": True,
    "line1": True,
    "line2": False,
    "city": True,
    "postcode": True,
    "country": True,
}
"""Field -> must be there."""
MAX_FIELD_CHARACTERS: Final = 200
_NUMBER_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U


@dataclass(frozen=True, slots=True)
class BindJob:
    """A verified hold and who is to receive what it holds."""

    hold: HoldToken
    name: str
    address: dict[str, str]
    buyer_name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The order of a hold, and the units its buyer has in orders of this sale."""

    order: Order
    used: int


def refusal(hold: HoldToken, sale: Sale | None, now_ms: int) -> CommerceError | None:
    """Why this hold cannot be bound now, as far as time and the sale's state say."""
    ends_at_ms = hold.expires_at_ms
    if sale is not None and sale.outages:
        # The token may be the one from before a payment outage, and Redis may have forgotten to give a new one.
        granted = hold.granted_at_ms
        ends_at_ms = max(ends_at_ms, lengthened(granted, granted + sale.hold_ms, sale.outages))
    if now_ms >= ends_at_ms:
        return Refused("hold_expired", "this hold has ended", expires_at_ms=ends_at_ms, now_ms=now_ms)
    if (
        sale is None
        or sale.state not in BINDABLE
        or (sale.room_id, sale.currency) != (hold.room_id, hold.currency)
    ):
        return Refused("sale_closed", "this sale is over", state=None if sale is None else sale.state)
    return None


def hold_released() -> Refused:
    """Its buyer has let it go, and somebody else may have the unit by now."""
    return Refused("hold_released", "you have let this hold go")


def limit_reached(sale: Sale) -> Refused:
    return Refused("limit_reached", "the limit per buyer is reached", limit_per_buyer=sale.limit_per_buyer)


def sold_out_late() -> Refused:
    return Refused("sold_out_late", "the last unit went to somebody else")


def hold_row(job: BindJob, now_ms: int) -> dict[str, Any]:
    hold = job.hold
    return {
        "hold_id": hold.hold_id,
        "sale_id": hold.sale_id,
        "order_id": order_id_of(hold.hold_id),
        "buyer_id": hold.buyer_id,
        "contact_key": contacts.key_of(job.address["contact"]),
        "quantity": hold.quantity,
        "state": "bound",
        "deadline_ms": max(hold.expires_at_ms, now_ms + MIN_TIME_TO_PAY_MS),
        "epoch": hold.epoch,
        "seq": hold.seq,
    }


def order_row(job: BindJob, sale: Sale, now_ms: int) -> dict[str, Any]:
    """A placed order at the hold's price: every column."""
    hold, order_id = job.hold, order_id_of(job.hold.hold_id)
    return {
        "order_id": order_id,
        "order_number": order_number_of(order_id),
        "room_id": hold.room_id,
        "sale_id": hold.sale_id,
        "hold_id": hold.hold_id,
        "buyer_id": hold.buyer_id,
        "buyer_name": job.buyer_name,
        "product_id": sale.product_id,
        "variant_id": sale.variant_id,
        "quantity": hold.quantity,
        "unit_price_minor": hold.price_minor,
        "total_minor": total_minor(hold.price_minor, hold.quantity),
        "currency": hold.currency,
        "state": "placed",
        "state_reason": None,
        "name": job.name,
        "address": job.address,
        "ghost": hold.ghost,
        "placed_at_ms": now_ms,
        "paid_at_ms": None,
        "changed_at_ms": now_ms,
        "refunded_minor": 0,
        "carrier": None,
        "tracking_number": None,
    }


def placed_order(row: dict[str, Any], deadline_ms: int) -> Order:
    """The order of a row that was just written."""
    return Order(**row, deadline_ms=deadline_ms, hold_state="bound")


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
    """The address with known fields only, trimmed; raises Invalid("bad_address" or "bad_contact") naming the field."""
    if not isinstance(address, dict):
        raise Invalid("bad_address", "an address is an object", field="address")
    checked: dict[str, str] = {}
    for field, required in ADDRESS_FIELDS.items():
        value = address.get(field)
        if value is not None and not isinstance(value, str):
            raise Invalid("bad_address", f"address.{field} is a text", field=f"address.{field}")
        text = (value or "").strip()
        if (required and not text) or len(text) > MAX_FIELD_CHARACTERS or not text.isprintable():
            message = f"address.{field} has {int(required)} to {MAX_FIELD_CHARACTERS} printable characters"
            raise Invalid("bad_address", message, field=f"address.{field}")
        if text:
            checked[field] = contacts.check(text) if field == "contact" else text
    return checked
