"""What merchants are sent, and how they can be sure that it is from us."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from commerce.merchant_webhooks import messages

PAYLOAD = {
    "order_id": "or_1",
    "room_id": "rm_1",
    "buyer_name": "林",
    "total_minor": 9900,
    "currency": "CNY",
    "hold_id": "hd_1",
    "at_ms": 1_795_588_000_123,
    "ghost": False,
}


@pytest.mark.parametrize(
    ("event", "payload", "expected"),
    [
        ("order_paid", PAYLOAD, "order.paid"),
        ("refund_failed", PAYLOAD, "refund.failed"),
        ("payment_quarantined", PAYLOAD, "payment.quarantined"),
        ("payment_declined", PAYLOAD, None),
        ("order_paid", PAYLOAD | {"ghost": True}, None),
        ("sale_changed", {"state": "open", "action": "begin"}, "sale.opened"),
        ("sale_changed", {"state": "open", "action": "add_stock"}, None),
        ("sale_changed", {"state": "settled", "action": "settle"}, "sale.settled"),
        ("sale_changed", {"state": "armed", "action": "arm"}, None),
    ],
)
def test_only_what_concerns_a_merchant_becomes_a_message(
    event: str, payload: dict[str, object], expected: str | None
) -> None:
    assert messages.type_of(event, payload) == expected


def test_a_message_has_type_time_and_facts_and_no_more() -> None:
    message = json.loads(messages.body("order.paid", PAYLOAD | {"address": {"line1": "secret"}}))
    assert message["type"] == "order.paid"
    assert message["timestamp"] == "2026-11-25T06:26:40.123Z"
    assert message["data"]["buyer_name"] == "林"
    assert message["data"].keys() == {"order_id", "room_id", "buyer_name", "total_minor", "currency", "at_ms"}


def test_the_signature_is_the_specifications() -> None:
    """The example of the Standard Webhooks reference libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = messages.signature(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_both_secrets_sign_while_one_is_replaced() -> None:
    secrets = [messages.secret_of(b"k" * 32, "we_1", generation) for generation in (2, 1)]
    assert len(set(secrets)) == 2
    headers = messages.headers(secrets, "evt_1", b"{}", 1_000_000)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("evt_1", "1000")
    for secret, one in zip(secrets, headers["webhook-signature"].split(), strict=True):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        mac = hmac.new(key, b"evt_1.1000.{}", hashlib.sha256).digest()
        assert one == "v1," + base64.b64encode(mac).decode()
