"""What a merchant's system is sent, and how it is signed (https://www.standardwebhooks.com, specification 1.0). No I/O.

A message is JSON `{type, timestamp, data}`. Its id stays the same however often it is sent, so the receiver can drop repeats. Messages
may overtake each other when one has to be repeated: `data.at_ms` tells the order of what happened.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

EVENT_TYPES: Final[Mapping[str, str]] = {
    "order.placed": "a hold became an order that waits for its payment",
    "order.paid": "an order was paid",
    "order.fulfilled": "the goods are on their way",
    "order.cancelled": "an unpaid order was cancelled by its buyer or seller",
    "order.expired": "an unpaid order's time was over",
    "order.refunded": "a paid order's money goes back, all of it or a part",
    "refund.succeeded": "the provider has sent money back",
    "refund.failed": "the provider could not send money back: somebody has to look",
    "payment.quarantined": "a payment of a wrong amount or currency waits for a person",
    "sale.opened": "a sale has opened",
    "sale.settled": "a sale is over and every order of it has ended as paid or not",
    "ping": "a test, asked for by the merchant",
}
"""Every type, and what it means."""

_ORDER_FACTS: Final = (
    "order_id",
    "order_number",
    "room_id",
    "sale_id",
    "product_id",
    "variant_id",
    "buyer_id",
    "buyer_name",
    "quantity",
    "total_minor",
    "amount_minor",
    "currency",
    "refund_id",
    "attempt_id",
    "carrier",
    "tracking_number",
    "reason",
    "at_ms",
)
_SALE_FACTS: Final = ("sale_id", "room_id", "state", "reason", "at_ms")
SECRET_PREFIX: Final = "whsec_"


def type_of(outbox_type: str, payload: Mapping[str, Any]) -> str | None:
    """The message's type for one of commerce's events; None for what is nobody's business outside, ghosts' orders among it."""
    if payload.get("ghost"):
        return None
    if outbox_type == "sale_changed":
        if payload.get("state") == "open" and payload.get("action") == "begin":
            return "sale.opened"
        return "sale.settled" if payload.get("state") == "settled" else None
    name = outbox_type.replace("_", ".", 1)
    return name if name in EVENT_TYPES and name != "ping" else None


def body(event_type: str, payload: Mapping[str, Any]) -> bytes:
    """The message of an event. Addresses are not in it: a merchant's system asks the API for what it needs."""
    facts = _SALE_FACTS if event_type.startswith("sale.") else _ORDER_FACTS
    at = datetime.fromtimestamp(payload["at_ms"] / 1000, UTC)
    message = {
        "type": event_type,
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {name: payload[name] for name in facts if payload.get(name) is not None},
    }
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def secret_of(key: bytes, endpoint_id: str, generation: int) -> str:
    """An endpoint's secret as its owner keeps it: derived, so that no database ever holds one."""
    derived = hmac.new(key, f"{endpoint_id}:{generation}".encode(), hashlib.sha256).digest()
    return SECRET_PREFIX + base64.b64encode(derived).decode()


def headers(secrets: Sequence[str], message_id: str, body: bytes, now_ms: int) -> dict[str, str]:
    """What is sent with a body: id, time, and one signature per secret that is good now."""
    time_s = now_ms // 1000
    return {
        "content-type": "application/json",
        "user-agent": "Flashroom-Webhooks/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(time_s),
        "webhook-signature": " ".join(signature(secret, message_id, time_s, body) for secret in secrets),
    }


def signature(secret: str, message_id: str, time_s: int, body: bytes) -> str:
    """`v1,BASE64` over `id.time.body` with HMAC-SHA256."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    mac = hmac.new(key, f"{message_id}.{time_s}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()
