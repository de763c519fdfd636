"""Stripe through its official library: hosted Checkout, so that no card number and no foreign script ever comes near our pages.

An attempt is a Checkout Session (https://docs.stripe.com/api/checkout/sessions); its id is our `provider_ref`. The attempt id is the
idempotency key, so a repeated call finds the same session.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Mapping
from typing import Any, Final, TypeVar

import stripe

from commerce.errors import Invalid, Refused, Unavailable
from commerce.payments.provider import (
    NewPayment,
    NewRefund,
    PaymentAnswer,
    Provider,
    RefundAnswer,
    WebhookEvent,
)

SIGNATURE_HEADER: Final = "stripe-signature"
TOLERANCE_S: Final = 300
TIMEOUT_S: Final = 15.0
SESSION_AFTER_DEADLINE_S: Final = 31 * 60
"""Stripe keeps a session open for half an hour at least; `cancel` closes it when the order's time is over."""
MAX_BODY_BYTES: Final = 262_144
EVENTS: Final = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "checkout.session.expired",
    }
)
_REFUND_STATES: Final = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}
_FEE: Final = "payment_intent.latest_charge.balance_transaction"
_T = TypeVar("_T")


class Stripe(Provider):
    """A Provider. `return_url` is where the buyer comes back to; `api_url` is another server for tests."""

    def __init__(
        self, secret_key: str, webhook_secret: str, return_url: str, *, api_url: str | None = None
    ) -> None:
        addresses: Any = {} if api_url is None else {"base_addresses": {"api": api_url}}
        self._client = stripe.StripeClient(
            secret_key, max_network_retries=2, http_client=stripe.HTTPXClient(timeout=TIMEOUT_S), **addresses
        )
        self._webhook_secret = webhook_secret
        self._return_url = return_url

    @property
    def name(self) -> str:
        return "stripe"

    @property
    def asks_back(self) -> bool:
        """The answer tells the fee, the message does not."""
        return True

    def check_method(self, method: Mapping[str, Any], currency: str) -> str | None:
        """Stripe's own page asks for the card."""
        return None

    async def create(self, payment: NewPayment) -> PaymentAnswer:
        """A page to pay on. Its parameters depend on the payment alone, or Stripe would refuse the repeated key."""
        metadata = {"attempt_id": payment.attempt_id, "order_id": payment.order_id}
        price = {
            "currency": payment.currency.lower(),
            "unit_amount": payment.amount_minor,
            "product_data": {"name": payment.description},
        }
        params: Any = {
            "mode": "payment",
            "client_reference_id": payment.attempt_id,
            "line_items": [{"quantity": 1, "price_data": price}],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "success_url": self._return_url,
            "cancel_url": self._return_url,
            "expires_at": payment.expires_at_ms // 1000 + SESSION_AFTER_DEADLINE_S,
        }
        options: Any = {"idempotency_key": payment.attempt_id}
        try:
            session = await _asked(self._client.v1.checkout.sessions.create_async(params, options))
        except stripe.StripeError as error:
            return PaymentAnswer(outcome="declined", reason=_reason(error))
        return _answer(_plain(session))

    async def ping(self) -> None:
        try:
            await _asked(self._client.v1.balance.retrieve_async())
        except stripe.StripeError as error:
            raise _unavailable(error) from None

    async def query(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        if provider_ref is None:
            return PaymentAnswer(outcome="not_found")
        params: Any = {"expand": [_FEE]}
        try:
            session = await _asked(self._client.v1.checkout.sessions.retrieve_async(provider_ref, params))
        except stripe.InvalidRequestError:
            return PaymentAnswer(outcome="not_found")
        except stripe.StripeError as error:
            raise _unavailable(error) from None
        return _answer(_plain(session))

    async def cancel(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        """Expire the session. One whose creation was never answered was never shown to anybody, so nobody can pay it."""
        if provider_ref is None:
            return PaymentAnswer(outcome="closed")
        try:
            session = await _asked(self._client.v1.checkout.sessions.expire_async(provider_ref))
        except stripe.InvalidRequestError:  # it is not open any more: paid, or expired by itself
            return await self.query(attempt_id, provider_ref)
        except stripe.StripeError as error:
            raise _unavailable(error) from None
        return _answer(_plain(session))

    async def refund(self, refund: NewRefund) -> RefundAnswer:
        if refund.provider_ref is None:
            return RefundAnswer(state="failed", reason="no_reference")
        options: Any = {"idempotency_key": refund.refund_id}
        try:
            sessions = self._client.v1.checkout.sessions
            session = _plain(await _asked(sessions.retrieve_async(refund.provider_ref)))
            params: Any = {
                "payment_intent": session["payment_intent"],
                "amount": refund.amount_minor,
                "metadata": {"refund_id": refund.refund_id},
            }
            done = _plain(await _asked(self._client.v1.refunds.create_async(params, options)))
        except stripe.InvalidRequestError as error:
            return RefundAnswer(state="failed", reason=_reason(error))
        except stripe.StripeError as error:
            raise _unavailable(error) from None
        state = _REFUND_STATES.get(str(done["status"]), "pending")
        return RefundAnswer(state=state, provider_ref=done["id"], reason=done.get("failure_reason"))

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> WebhookEvent:
        if len(body) > MAX_BODY_BYTES:
            raise Invalid("bad_webhook", f"a message has at most {MAX_BODY_BYTES} bytes")
        header = headers.get(SIGNATURE_HEADER, "")
        try:
            stripe.WebhookSignature.verify_header(body, header, self._webhook_secret)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            raise Refused("bad_signature", "the signature does not match") from None
        sent_at = re.search(r"t=(\d{1,12})", header)
        if sent_at is None or abs(now_ms // 1000 - int(sent_at[1])) > TOLERANCE_S:
            raise Refused("bad_signature", "the signature is too old")
        return self.read_webhook(body)

    def read_webhook(self, body: bytes) -> WebhookEvent:
        try:
            event = json.loads(body)
            session = event["data"]["object"]
            if event["type"] not in EVENTS:
                raise Invalid("unknown_event_type", "this kind of message is none of ours")
            answer = _answer(session)
            if event["type"] == "checkout.session.async_payment_failed":
                answer = PaymentAnswer(
                    outcome="declined", provider_ref=session["id"], reason="payment_failed"
                )
            return WebhookEvent(
                event_id=str(event["id"]),
                type=str(event["type"]),
                attempt_id=str(session["client_reference_id"]),
                answer=answer,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid("bad_webhook", "the message cannot be read") from error


async def _asked(call: Awaitable[_T]) -> _T:
    """The answer; raises Unavailable when there was none in time, so that the outcome stays unknown."""
    try:
        async with asyncio.timeout(TIMEOUT_S * 2):
            return await call
    except (stripe.APIConnectionError, stripe.RateLimitError, TimeoutError):
        raise Unavailable("provider_unavailable", "Stripe did not answer") from None
    except stripe.StripeError as error:
        if error.http_status is None or error.http_status >= 500 or error.http_status in (401, 403, 409):
            raise _unavailable(error) from None
        raise


def _unavailable(error: stripe.StripeError) -> Unavailable:
    return Unavailable("provider_unavailable", f"Stripe answered {error.http_status} {_reason(error)}")


def _reason(error: stripe.StripeError) -> str:
    """Stripe's code: its message may repeat what the buyer typed."""
    return str(error.code or type(error).__name__)[:80]


def _plain(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.to_dict()
    return found


def _answer(session: Mapping[str, Any]) -> PaymentAnswer:
    """What a session says."""
    if session["status"] == "expired":
        return PaymentAnswer(outcome="closed", provider_ref=session["id"])
    if session["status"] == "complete" and session["payment_status"] == "paid":
        return PaymentAnswer(
            outcome="succeeded",
            provider_ref=session["id"],
            amount_minor=int(session["amount_total"]),
            currency=str(session["currency"]).upper(),
            fee_minor=_fee(session),
        )
    page = session.get("url")
    action = {"type": "redirect", "url": str(page)} if page else None
    return PaymentAnswer(outcome="pending", provider_ref=session["id"], next_action=action)


def _fee(session: Mapping[str, Any]) -> int | None:
    """What Stripe keeps, where the answer was expanded that far and it is in the currency of the payment."""
    found: Any = session
    for name in _FEE.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or found.get("currency") != session["currency"]:
        return None
    return int(found["fee"])
