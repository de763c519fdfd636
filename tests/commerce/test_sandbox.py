"""The sandbox plays the outside world: idempotent by reference, honest about late money, with signed messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable

import pytest

from commerce import crash_points
from commerce.errors import Invalid, NotFound, Refused, Unavailable
from commerce.payments import sandbox_webhooks, webhook_inbox
from commerce.payments.provider import NewPayment, NewRefund, PaymentAnswer, RefundAnswer
from commerce.payments.sandbox import LATE_MS, MAX_TRIES
from tests.commerce.world import OK_CARD, SILENT_CARD, WEBHOOK_KEY, World


def refund(refund_id: str, attempt_id: str, amount_minor: int, currency: str) -> NewRefund:
    return NewRefund(
        refund_id=refund_id,
        attempt_id=attempt_id,
        provider_ref=None,
        amount_minor=amount_minor,
        total_minor=100,
        currency=currency,
    )


def payment(card: str = OK_CARD, attempt_id: str = "pa_1") -> NewPayment:
    return NewPayment(
        attempt_id=attempt_id,
        order_id="or_1",
        amount_minor=100,
        currency="CNY",
        method={"card_number": card},
        expires_at_ms=2**52,
    )


async def test_creating_twice_is_one_payment(world: World) -> None:
    first = await world.sandbox.create(payment())
    assert await world.sandbox.create(payment()) == first
    assert (first.outcome, first.amount_minor, first.currency) == ("succeeded", 100, "CNY")
    assert await world.sandbox.capture("pa_1", None) == first


async def test_money_that_comes_late_is_seen_by_every_question(world: World) -> None:
    with pytest.raises(Unavailable):
        await world.sandbox.create(payment(SILENT_CARD))
    assert (await world.sandbox.query("pa_1", None)).outcome == "pending"
    world.clock.pass_ms(LATE_MS)
    assert (await world.sandbox.cancel("pa_1", None)).outcome == "succeeded"
    assert (await world.sandbox.query("pa_1", None)).outcome == "succeeded"


async def test_a_cancelled_payment_never_succeeds_and_never_says_so(world: World) -> None:
    with pytest.raises(Unavailable):
        await world.sandbox.create(payment(SILENT_CARD))
    assert (await world.sandbox.cancel("pa_1", None)).outcome == "closed"
    world.clock.pass_ms(10 * LATE_MS)
    assert (await world.sandbox.query("pa_1", None)).outcome == "closed"
    assert await world.rows("SELECT * FROM sandbox_delivery") == []


async def test_a_refund_is_paid_once_per_id_and_never_above_what_came(world: World) -> None:
    await world.sandbox.create(payment())
    for _ in range(2):
        assert (await world.sandbox.refund(refund("rf_1", "pa_1", 60, "CNY"))).state == "succeeded"
    assert (await world.sandbox.refund(refund("rf_2", "pa_1", 41, "CNY"))).state == "failed"
    assert (await world.sandbox.refund(refund("rf_3", "pa_1", 40, "USD"))).state == "failed"
    assert (await world.sandbox.refund(refund("rf_4", "pa_1", 40, "CNY"))).state == "succeeded"
    assert (await world.sandbox.refund(refund("rf_5", "pa_none", 1, "CNY"))).state == "failed"


async def test_calls_that_come_twice_at_once_count_once(world: World) -> None:
    """Two workers, or a browser and its retry: the second is answered, or told that nobody knows yet."""

    async def tolerant(call: Awaitable[object]) -> object:
        try:
            return await call
        except Unavailable as error:
            return error.code

    created = await asyncio.gather(*(tolerant(world.sandbox.create(payment())) for _ in range(6)))
    assert {type(answer) for answer in created} <= {PaymentAnswer, str}
    refunded = await asyncio.gather(
        *(tolerant(world.sandbox.refund(refund("rf_1", "pa_1", 60, "CNY"))) for _ in range(6))
    )
    assert any(isinstance(answer, RefundAnswer) for answer in refunded)
    assert not [
        answer for answer in refunded if isinstance(answer, RefundAnswer) and answer.state == "failed"
    ]
    books = await world.rows("SELECT amount_minor, refunded_minor FROM sandbox_payment")
    assert books == [{"amount_minor": 100, "refunded_minor": 60}]


async def test_deliveries_are_tried_again_with_growing_pauses_and_not_for_ever(world: World) -> None:
    await world.sandbox.create(payment())
    calls: list[int] = []

    async def fail(headers: dict[str, str], body: bytes) -> int:
        calls.append(world.clock.now_ms)
        if len(calls) % 2:
            raise OSError("connection refused")
        return 500

    for _ in range(2 * MAX_TRIES):
        assert await world.sandbox.deliver_due(fail) == 0
        world.clock.pass_ms(60_000)
    assert len(calls) == MAX_TRIES


async def test_a_message_is_verified_stored_and_processed_once(world: World) -> None:
    order, _ = await world.pay(await world.placed_order(await world.open_sale()), SILENT_CARD)
    world.clock.pass_ms(LATE_MS)
    sent: list[tuple[dict[str, str], bytes]] = []

    async def keep(headers: dict[str, str], body: bytes) -> int:
        sent.append((headers, body))
        return 204

    await world.sandbox.deliver_due(keep)
    headers, body = sent[0]
    receive = world.cashier.receive_webhook
    assert await receive("sandbox", headers, body)
    assert not await receive("sandbox", headers, body)
    assert (await world.order(order.order_id)).state == "placed"  # stored only
    assert await world.cashier.process_inbox() == 1
    assert await world.cashier.process_inbox() == 0
    assert (await world.order(order.order_id)).state == "paid"
    async with world.database.begin() as c:
        await webhook_inbox.replay(c, "sandbox", json.loads(body)["id"], world.clock.now_ms)
        with pytest.raises(NotFound):
            await webhook_inbox.replay(c, "sandbox", "ev_none", world.clock.now_ms)
    assert await world.cashier.process_inbox() == 1
    outcomes = await world.rows("SELECT outcome FROM inbox")
    assert outcomes == [{"outcome": "old_news"}]
    await world.assert_sound()


@pytest.mark.parametrize("change", ["body", "key", "missing", "old", "future", "junk"])
async def test_a_message_that_is_forged_or_old_is_refused_and_not_stored(world: World, change: str) -> None:
    body = b'{"id":"ev_1"}'
    now_ms = world.clock.now_ms
    signed_at = {"old": now_ms - 301_000, "future": now_ms + 301_000}.get(change, now_ms)
    key = b"x" * 32 if change == "key" else WEBHOOK_KEY
    headers = sandbox_webhooks.sign(key, body, signed_at)
    if change == "missing":
        headers = {}
    if change == "junk":
        headers = {"sandbox-signature": "t=١٢٣,v1=" + "é" * 70}
    with pytest.raises(Refused) as refused:
        await world.cashier.receive_webhook("sandbox", headers, body + b" " * (change == "body"))
    assert refused.value.code == "bad_signature"
    assert await world.rows("SELECT * FROM inbox") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"id":1,"type":"x","data":{}}', b"\xff", b'{"id":"e","type":"t","data":null}'],
)
async def test_a_signed_message_that_cannot_be_read_is_refused(world: World, body: bytes) -> None:
    headers = sandbox_webhooks.sign(WEBHOOK_KEY, body, world.clock.now_ms)
    with pytest.raises(Invalid):
        await world.cashier.receive_webhook("sandbox", headers, body)


async def test_a_message_about_an_attempt_we_do_not_know_is_set_aside_with_its_reason(world: World) -> None:
    await world.sandbox.create(payment())
    await world.deliver_webhooks()
    assert await world.rows("SELECT outcome FROM inbox") == [{"outcome": "unknown_attempt"}]


async def test_a_message_whose_worker_died_is_processed_by_the_next(world: World) -> None:
    order, _ = await world.pay(await world.placed_order(await world.open_sale()), SILENT_CARD)
    world.clock.pass_ms(LATE_MS)
    with crash_points.armed("inbox.settled"), pytest.raises(crash_points.Crashed):
        await world.deliver_webhooks()
    assert await world.cashier.process_inbox() == 1
    assert (await world.events(order.order_id)).count("order_paid") == 1
    await world.assert_sound()
