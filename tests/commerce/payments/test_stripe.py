"""Stripe by its official library against a server of ours that answers as Stripe documents; messages are signed locally."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from commerce.errors import Invalid, Refused, Unavailable
from commerce.payments.provider import NewPayment, NewRefund
from commerce.payments.stripe import Stripe
from tests.commerce.payments.provider_server import Answer, Asked, ProviderServer
from tests.commerce.world import World

SECRET = "whsec_test"
NOW_MS = time.time_ns() // 1_000_000
SESSION: dict[str, Any] = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "client_reference_id": "pa_1",
    "status": "open",
    "payment_status": "unpaid",
    "amount_total": 9900,
    "currency": "cny",
    "payment_intent": "pi_1",
    "url": "https://checkout.stripe.com/c/pay/cs_test_1",
}
PAYMENT = NewPayment(
    attempt_id="pa_1",
    order_id="or_1",
    amount_minor=9_900,
    currency="CNY",
    method={},
    expires_at_ms=NOW_MS + 60_000,
)


def ok(body: dict[str, Any], status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json", "Request-Id": "req_1"}, json.dumps(body).encode()


@pytest.fixture
def provider(server: ProviderServer) -> Stripe:
    return Stripe("sk_test_1", SECRET, "https://shop.example", api_url=server.url)


async def test_a_payment_is_a_page_to_go_to_asked_for_under_the_attempts_id(
    server: ProviderServer, provider: Stripe
) -> None:
    server.answer = lambda asked: ok(SESSION)
    answer = await provider.create(PAYMENT)
    assert (answer.outcome, answer.provider_ref) == ("pending", "cs_test_1")
    assert answer.next_action == {"type": "redirect", "url": SESSION["url"]}
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/checkout/sessions")
    assert asked.headers["idempotency-key"] == "pa_1"
    form = asked.form
    assert form["line_items[0][price_data][unit_amount]"] == "9900"
    assert form["line_items[0][price_data][currency]"] == "cny"
    assert form["client_reference_id"] == "pa_1"
    assert int(form["expires_at"]) >= NOW_MS // 1000 + 1800


@pytest.mark.parametrize("status", [500, 503, 429, 401])
async def test_no_answer_and_trouble_at_stripe_leave_the_outcome_unknown(
    server: ProviderServer, provider: Stripe, status: int
) -> None:
    server.answer = lambda asked: ok({"error": {"type": "api_error", "message": "secret text"}}, status)
    with pytest.raises(Unavailable) as unknown:
        await provider.create(PAYMENT)
    assert "secret text" not in str(unknown.value)
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {"pa_1"}


async def test_a_refused_request_is_declined(server: ProviderServer, provider: Stripe) -> None:
    error = {"error": {"type": "invalid_request_error", "code": "amount_too_small", "message": "x"}}
    server.answer = lambda asked: ok(error, 400)
    answer = await provider.create(PAYMENT)
    assert (answer.outcome, answer.reason) == ("declined", "amount_too_small")


async def test_asking_tells_the_captured_amount_and_the_fee(server: ProviderServer, provider: Stripe) -> None:
    charge = {"latest_charge": {"balance_transaction": {"fee": 330, "currency": "cny"}}}
    paid = SESSION | {"status": "complete", "payment_status": "paid", "payment_intent": charge}
    server.answer = lambda asked: ok(paid)
    answer = await provider.query("pa_1", "cs_test_1")
    assert (answer.outcome, answer.amount_minor, answer.currency, answer.fee_minor) == (
        "succeeded",
        9900,
        "CNY",
        330,
    )


async def test_a_ping_is_answered_or_tells_that_nobody_takes_our_key(
    server: ProviderServer, provider: Stripe
) -> None:
    server.answer = lambda asked: ok({"object": "balance", "available": []})
    await provider.ping()
    assert server.asked[-1].path == "/v1/balance"
    server.answer = lambda asked: ok({"error": {"type": "invalid_request_error", "message": "x"}}, 401)
    with pytest.raises(Unavailable):
        await provider.ping()


async def test_closing_expires_the_session_or_hears_that_it_was_paid(
    server: ProviderServer, provider: Stripe
) -> None:
    server.answer = lambda asked: ok(SESSION | {"status": "expired", "url": None})
    assert (await provider.cancel("pa_1", "cs_test_1")).outcome == "closed"
    assert server.asked[-1].path == "/v1/checkout/sessions/cs_test_1/expire"
    assert (await provider.cancel("pa_1", None)).outcome == "closed"  # nobody ever saw it
    paid = SESSION | {"status": "complete", "payment_status": "paid"}

    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("/expire"):
            return ok({"error": {"type": "invalid_request_error", "message": "not open"}}, 400)
        return ok(paid)

    server.answer = answer
    assert (await provider.cancel("pa_1", "cs_test_1")).outcome == "succeeded"


@pytest.mark.parametrize(
    ("status", "state"), [("succeeded", "succeeded"), ("pending", "pending"), ("failed", "failed")]
)
async def test_a_refund_goes_to_the_payment_behind_the_session_once(
    server: ProviderServer, provider: Stripe, status: str, state: str
) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path == "/v1/refunds":
            return ok({"id": "re_1", "object": "refund", "status": status})
        return ok(SESSION)

    server.answer = answer
    refund = NewRefund(
        refund_id="rf_1",
        attempt_id="pa_1",
        provider_ref="cs_test_1",
        amount_minor=500,
        total_minor=9_900,
        currency="CNY",
    )
    done = await provider.refund(refund)
    assert (done.state, done.provider_ref) == (state, "re_1")
    asked = server.asked[-1]
    assert (asked.form["payment_intent"], asked.form["amount"]) == ("pi_1", "500")
    assert asked.headers["idempotency-key"] == "rf_1"
    assert (await provider.refund(replace(refund, provider_ref=None))).state == "failed"


def message(event_type: str = "checkout.session.completed", **session: Any) -> bytes:
    paid = SESSION | {"status": "complete", "payment_status": "paid"} | session
    return json.dumps(
        {"id": "evt_1", "object": "event", "type": event_type, "data": {"object": paid}}
    ).encode()


def signed(body: bytes, secret: str = SECRET, at_s: int = NOW_MS // 1000) -> dict[str, str]:
    mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at_s},v1={mac}"}


def test_a_signed_message_tells_of_an_attempt(provider: Stripe) -> None:
    body = message()
    event = provider.verify_webhook(signed(body), body, NOW_MS)
    assert (event.event_id, event.attempt_id, event.answer.outcome, event.answer.amount_minor) == (
        "evt_1",
        "pa_1",
        "succeeded",
        9900,
    )
    failed = message("checkout.session.async_payment_failed")
    assert provider.read_webhook(failed).answer.outcome == "declined"
    expired = message("checkout.session.expired", status="expired")
    assert provider.read_webhook(expired).answer.outcome == "closed"


def test_a_message_that_is_forged_old_or_changed_is_refused(provider: Stripe) -> None:
    body = message()
    for headers in (
        {},
        {"stripe-signature": "nonsense"},
        signed(body, "whsec_other"),
        signed(body + b" "),
        signed(body, at_s=NOW_MS // 1000 - 301),
    ):
        with pytest.raises(Refused) as refused:
            provider.verify_webhook(headers, body, NOW_MS)
        assert refused.value.code == "bad_signature"
    other = json.dumps({"id": "evt_2", "type": "customer.created", "data": {"object": {}}}).encode()
    with pytest.raises(Invalid):
        provider.verify_webhook(signed(other), other, NOW_MS)


async def test_an_order_is_paid_through_stripe_with_its_fee_in_the_ledger(
    world: World, server: ProviderServer, provider: Stripe
) -> None:
    world.cashier.providers["stripe"] = provider
    order = await world.placed_order(await world.open_sale())
    server.answer = lambda asked: ok(SESSION)
    _, attempt = await world.cashier.pay(order.order_id, order.buyer_id, "stripe", {}, "key-1")
    assert (attempt.answer, attempt.next_action) == ("pending", {"type": "redirect", "url": SESSION["url"]})
    again = await world.cashier.pay(order.order_id, order.buyer_id, "stripe", {}, "key-1")
    assert again[1].next_action == attempt.next_action
    charge = {"latest_charge": {"balance_transaction": {"fee": 330, "currency": "cny"}}}
    paid = SESSION | {
        "client_reference_id": attempt.attempt_id,
        "status": "complete",
        "payment_status": "paid",
    }
    server.answer = lambda asked: ok(paid | {"payment_intent": charge})
    body = message(client_reference_id=attempt.attempt_id)
    headers = signed(body, at_s=world.clock() // 1000)
    assert await world.cashier.receive_webhook("stripe", headers, body)
    assert not await world.cashier.receive_webhook("stripe", headers, body)
    assert await world.cashier.process_inbox() == 1
    assert (await world.order(order.order_id)).state == "paid"
    fees = await world.rows(
        "SELECT account, amount_minor FROM ledger_entry WHERE account LIKE 'fees%' ORDER BY account"
    )
    assert fees == [
        {"account": "fees", "amount_minor": 330},
        {"account": "fees_due:stripe", "amount_minor": -330},
    ]
    await world.assert_sound()
