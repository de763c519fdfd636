"""The sandbox's messages: JSON, signed like a real provider's (HMAC-SHA256 over time and body, five minutes of tolerance)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from commerce.errors import Invalid, Refused
from commerce.payments.provider import PaymentAnswer, WebhookEvent

SIGNATURE_HEADER: Final = "sandbox-signature"
TOLERANCE_S: Final = 300
MAX_BODY_BYTES: Final = 65_536


def encode(payment: Mapping[str, Any], state: str) -> tuple[str, bytes]:
    """Event id and body that say a payment is in `state`. The same news has the same id, however often it is sent."""
    event_id = f"ev_{payment['attempt_id']}_{state}"
    data = {
        name: payment[name] for name in ("attempt_id", "provider_ref", "amount_minor", "currency", "reason")
    }
    event = {"id": event_id, "type": f"payment.{state}", "data": data | {"state": state}}
    return event_id, json.dumps(event, separators=(",", ":"), sort_keys=True).encode()


def sign(key: bytes, body: bytes, now_ms: int) -> dict[str, str]:
    """The headers to send with a body."""
    time_s = now_ms // 1000
    return {"content-type": "application/json", SIGNATURE_HEADER: f"t={time_s},v1={_mac(key, time_s, body)}"}


def _mac(key: bytes, time_s: int, body: bytes) -> str:
    return hmac.new(key, str(time_s).encode() + b"." + body, hashlib.sha256).hexdigest()


def verify(key: bytes, headers: Mapping[str, str], body: bytes, now_ms: int) -> None:
    """Raise Refused("bad_signature") unless the body was signed with the key within the last five minutes."""
    if len(body) > MAX_BODY_BYTES:
        raise Invalid("bad_webhook", f"a message has at most {MAX_BODY_BYTES} bytes")
    parts = dict(
        part.split("=", 1) for part in headers.get(SIGNATURE_HEADER, "").split(",")[:8] if "=" in part
    )
    sent_at, mac = parts.get("t", ""), parts.get("v1", "")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
        raise Refused("bad_signature", "the message carries no signature")
    if not hmac.compare_digest(_mac(key, int(sent_at), body).encode(), mac.encode()):
        raise Refused("bad_signature", "the signature does not match")
    if abs(now_ms // 1000 - int(sent_at)) > TOLERANCE_S:
        raise Refused("bad_signature", "the signature is too old")


def decode(body: bytes) -> WebhookEvent:
    """The event of a verified body; raises Invalid("bad_webhook")."""
    try:
        event = json.loads(body)
        data = event["data"]
        state, captured = data["state"], data["state"] == "succeeded"
        answer = PaymentAnswer(
            outcome=state if state in ("pending", "succeeded", "declined", "closed") else "unknown",
            provider_ref=str(data["provider_ref"]),
            amount_minor=int(data["amount_minor"]) if captured else None,
            currency=str(data["currency"]) if captured else None,
            reason=data.get("reason"),
        )
        return WebhookEvent(
            event_id=str(event["id"]),
            type=str(event["type"]),
            attempt_id=str(data["attempt_id"]),
            answer=answer,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid("bad_webhook", "the message cannot be read") from error
