"""Paying: one attempt at a time, one settle for every way of hearing of money, and nothing lost when anything dies in between."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from commerce import crash_points
from commerce.errors import Invalid, NotFound, OutOfState, Refused, Unavailable
from commerce.hot_ledger import HotLedger, connect_redis
from commerce.payments import attempts
from commerce.payments.attempts import Attempt
from commerce.payments.provider import NewPayment, PaymentAnswer
from commerce.payments.sandbox import LATE_MS, Sandbox
from tests.commerce.world import (
    DECLINED_CARD,
    DISORDERLY_CARD,
    OK_CARD,
    POOR_CARD,
    SILENT_CARD,
    TWICE_CARD,
    WEBHOOK_KEY,
    World,
)
from tests.services import free_port


async def test_a_paid_order_is_sold_and_balanced_and_told(world: World) -> None:
    sale = await world.open_sale()
    order, attempt = await world.pay(await world.placed_order(sale))
    assert (order.state, order.hold_state, attempt.answer, attempt.card_last4) == (
        "paid",
        "sold",
        "succeeded",
        "4242",
    )
    after = await world.sale(sale.sale_id)
    assert (after.reserved, after.sold) == (0, 1)
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert (numbers.available, numbers.held, numbers.sold) == (2, 0, 1)
    assert await world.events(order.order_id) == ["order_placed", "order_paid"]
    await world.assert_sound()


@pytest.mark.parametrize(
    ("card", "reason"), [(DECLINED_CARD, "card_declined"), (POOR_CARD, "insufficient_funds")]
)
async def test_a_declined_card_keeps_the_hold_to_its_end_and_another_card_may_pay(
    world: World, card: str, reason: str
) -> None:
    order = await world.placed_order(await world.open_sale())
    after, attempt = await world.pay(order, card)
    assert (after.state, after.deadline_ms, attempt.answer, attempt.reason) == (
        "placed",
        order.deadline_ms,
        "declined",
        reason,
    )
    paid, second = await world.pay(order)
    assert (paid.state, second.number) == ("paid", 2)
    await world.assert_sound()


async def test_the_same_request_key_is_the_same_attempt(world: World) -> None:
    order = await world.placed_order(await world.open_sale())
    first = await world.pay(order, key="key-1")
    again = await world.pay(order, key="key-1")
    assert first[1].attempt_id == again[1].attempt_id
    assert len(await world.rows("SELECT * FROM payment_attempt")) == 1
    declined = await world.placed_order(await world.open_sale_again())
    _, no = await world.pay(declined, DECLINED_CARD, key="key-1")
    _, still_no = await world.pay(declined, OK_CARD, key="key-1")
    assert (no.answer, still_no.attempt_id) == ("declined", no.attempt_id)


async def test_two_cards_at_once_charge_once(world: World) -> None:
    order = await world.placed_order(await world.open_sale())
    answers = await asyncio.gather(*(world.pay(order) for _ in range(6)), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} == {OutOfState}
    charged = await world.rows("SELECT attempt_id FROM sandbox_payment WHERE state = 'succeeded'")
    assert len(charged) == 1
    await world.assert_sound()


async def test_a_provider_that_does_not_answer_leaves_the_unit_held_until_it_has(world: World) -> None:
    sale = await world.open_sale()
    order, attempt = await world.pay(await world.placed_order(sale), SILENT_CARD)
    assert (order.state, attempt.state, attempt.answer) == ("placed", "unknown", "pending")
    with pytest.raises(OutOfState) as busy:
        await world.pay(order)
    assert busy.value.code == "payment_in_progress"
    world.clock.pass_ms(LATE_MS)
    assert await world.cashier.poll_open_attempts() == 1
    assert (await world.order(order.order_id)).state == "paid"
    assert await world.deliver_webhooks() == 1  # the webhook comes too: old news
    assert (await world.sale(sale.sale_id)).sold == 1
    await world.assert_sound()


async def test_late_success_is_heard_by_webhook_alone(world: World) -> None:
    order, _ = await world.pay(await world.placed_order(await world.open_sale()), SILENT_CARD)
    world.clock.pass_ms(LATE_MS)
    assert await world.deliver_webhooks() == 1
    assert (await world.order(order.order_id)).state == "paid"
    await world.assert_sound()


async def test_a_message_that_comes_twice_counts_once(world: World) -> None:
    order, _ = await world.pay(await world.placed_order(await world.open_sale()), TWICE_CARD)
    assert await world.deliver_webhooks() == 2
    assert len(await world.rows("SELECT * FROM inbox")) == 1
    assert await world.events(order.order_id) == ["order_placed", "order_paid"]
    await world.assert_sound()


async def test_messages_out_of_order_end_in_paid(world: World) -> None:
    order, attempt = await world.pay(await world.placed_order(await world.open_sale()), DISORDERLY_CARD)
    assert (order.state, attempt.answer) == ("placed", "pending")
    assert await world.deliver_webhooks() == 1
    assert (await world.order(order.order_id)).state == "paid"
    world.clock.pass_ms(1_000)
    assert await world.deliver_webhooks() == 1  # "pending" arrives after "succeeded"
    assert (await world.order(order.order_id)).state == "paid"
    await world.assert_sound()


async def test_a_no_after_a_yes_is_old_news_and_a_yes_after_a_no_counts(world: World) -> None:
    sale = await world.open_sale(limit_per_buyer=2)
    order, attempt = await world.pay(await world.placed_order(sale))
    await world.cashier.settle(attempt.attempt_id, PaymentAnswer(outcome="declined"), "webhook")
    assert (await world.order(order.order_id)).state == "paid"
    other, declined = await world.pay(await world.placed_order(sale), DECLINED_CARD)
    await world.cashier.settle(declined.attempt_id, _yes(declined), "webhook")
    assert (await world.order(other.order_id)).state == "paid"
    await world.assert_sound()


def _yes(attempt: Attempt, **changes: object) -> PaymentAnswer:
    values = {"outcome": "succeeded", "amount_minor": attempt.amount_minor, "currency": attempt.currency}
    return PaymentAnswer(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"amount_minor": 1}, {"currency": "USD"}, {"amount_minor": None}])
async def test_a_wrong_amount_or_currency_is_quarantined_and_pays_nothing(
    world: World, wrong: dict[str, object]
) -> None:
    sale = await world.open_sale()
    order, attempt = await world.pay(await world.placed_order(sale), SILENT_CARD)
    after = await world.cashier.settle(attempt.attempt_id, _yes(attempt, **wrong), "webhook")
    assert (after.state, after.captured_minor) == ("quarantined", 0)
    assert (await world.order(order.order_id)).state == "placed"
    assert (await world.sale(sale.sale_id)).sold == 0
    assert "payment_quarantined" in await world.events(order.order_id)
    with pytest.raises(AssertionError):
        await world.assert_sound()  # a person is called


async def test_settling_many_times_at_once_sells_once(world: World) -> None:
    sale = await world.open_sale()
    order, attempt = await world.pay(await world.placed_order(sale), SILENT_CARD)
    sources = ("webhook", "poll", "close", "operator", "create")
    await asyncio.gather(
        *(world.cashier.settle(attempt.attempt_id, _yes(attempt), source) for source in sources * 2)
    )
    assert (await world.sale(sale.sale_id)).sold == 1
    assert (await world.events(order.order_id)).count("order_paid") == 1
    await world.assert_sound()


async def test_positive_control_without_the_compare_and_set_money_counts_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await world.open_sale()
    order, attempt = await world.pay(await world.placed_order(sale))

    async def always(*_: object, **__: object) -> bool:
        return True

    monkeypatch.setattr(attempts, "change", always)
    with pytest.raises(Exception, match=r"UNIQUE|duplicate key"):  # the ledger's own id is the last guard
        await world.cashier.settle(attempt.attempt_id, _yes(attempt), "webhook")
    assert (await world.order(order.order_id)).state == "paid"


async def test_money_after_release_takes_a_unit_again_when_there_is_one(world: World) -> None:
    sale = await world.open_sale()
    order, attempt = await world.pay(await world.placed_order(sale), DECLINED_CARD)
    world.clock.now_ms = order.deadline_ms
    await world.cashier.let_go()
    assert (await world.order(order.order_id)).state == "expired"
    await world.assert_sound()
    await world.cashier.settle(attempt.attempt_id, _yes(attempt), "webhook")
    paid = await world.order(order.order_id)
    assert (paid.state, paid.hold_state) == ("paid", "sold")
    assert (await world.sale(sale.sale_id)).sold == 1
    await world.assert_sound()


async def test_money_after_release_is_refunded_when_no_unit_is_left(world: World) -> None:
    sale = await world.open_sale(quota=1)
    late, attempt = await world.pay(await world.placed_order(sale), DECLINED_CARD)
    world.clock.now_ms = late.deadline_ms
    await world.cashier.let_go()
    winner, _ = await world.pay(await world.placed_order(sale, "gu_bo"))
    assert winner.state == "paid"
    async with world.database.begin() as c:
        await c.exec_driver_sql("UPDATE sandbox_payment SET state = 'succeeded'")
    await world.cashier.settle(attempt.attempt_id, _yes(attempt), "webhook")
    assert (await world.order(late.order_id)).state == "expired"
    await world.assert_sound()
    assert await world.cashier.send_refunds() == 1
    assert await world.cashier.send_refunds() == 0
    refunds = await world.rows("SELECT refund_id, state, reason FROM refund")
    assert refunds == [
        {"refund_id": f"rf_{attempt.attempt_id}_vain", "state": "succeeded", "reason": "paid_too_late"}
    ]
    assert (await world.sale(sale.sale_id)).sold == 1
    await world.assert_sound()


async def test_a_second_payment_of_one_order_goes_back(world: World) -> None:
    order, declined = await world.pay(await world.placed_order(await world.open_sale()), DECLINED_CARD)
    await world.pay(order)
    async with world.database.begin() as c:
        await c.exec_driver_sql("UPDATE sandbox_payment SET state = 'succeeded'")
    await world.cashier.settle(declined.attempt_id, _yes(declined), "webhook")
    assert await world.cashier.send_refunds() == 1
    assert (await world.order(order.order_id)).state == "paid"
    assert "payment_returned" in await world.events(order.order_id)
    await world.assert_sound()


async def test_nothing_is_charged_after_the_deadline(world: World) -> None:
    order = await world.placed_order(await world.open_sale())
    world.clock.now_ms = order.deadline_ms
    with pytest.raises(Refused) as late:
        await world.pay(order)
    assert late.value.code == "hold_expired"
    assert await world.rows("SELECT * FROM sandbox_payment") == []


async def test_wrong_callers_cards_and_providers_are_refused_before_anything_is_written(world: World) -> None:
    order = await world.placed_order(await world.open_sale())
    pay = world.cashier.pay
    with pytest.raises(NotFound):
        await pay(order.order_id, "gu_bo", "sandbox", {"card_number": OK_CARD}, "k")
    with pytest.raises(NotFound):
        await pay(order.order_id, order.buyer_id, "nobody", {"card_number": OK_CARD}, "k")
    for number in ("4242424242424241", "", None, 42, "4" * 30, "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"):
        with pytest.raises(Invalid):
            await pay(order.order_id, order.buyer_id, "sandbox", {"card_number": number}, "k")
    with pytest.raises(Invalid):
        await pay(order.order_id, order.buyer_id, "sandbox", {"card_number": OK_CARD}, "k" * 256)
    assert await world.rows("SELECT * FROM payment_attempt") == []


@pytest.mark.parametrize(
    "point", ["pay.attempt_committed", "sandbox.created", "pay.provider_answered", "settle.committed"]
)
async def test_a_crash_between_any_two_steps_of_paying_ends_in_one_paid_order(
    world: World, point: str
) -> None:
    sale = await world.open_sale()
    order = await world.placed_order(sale)
    with crash_points.armed(point) as reached, pytest.raises(crash_points.Crashed):
        await world.pay(order, key="tap-1")
    assert reached == [point]
    paid, _ = await world.pay(order, key="tap-1")  # the browser tries again
    assert paid.state == "paid"
    assert len(await world.rows("SELECT * FROM sandbox_payment")) == 1
    await world.deliver_webhooks()
    await world.assert_sound()


@pytest.mark.parametrize("point", ["sandbox.created", "pay.provider_answered", "settle.committed"])
async def test_after_a_crash_the_worker_alone_finds_the_money(world: World, point: str) -> None:
    order = await world.placed_order(await world.open_sale())
    with crash_points.armed(point), pytest.raises(crash_points.Crashed):
        await world.pay(order)
    world.clock.pass_ms(5_000)
    await world.cashier.poll_open_attempts()
    assert (await world.order(order.order_id)).state == "paid"
    await world.assert_sound()


async def test_an_attempt_that_never_reached_the_provider_is_closed_there_and_here(world: World) -> None:
    order = await world.placed_order(await world.open_sale())
    with crash_points.armed("pay.attempt_committed"), pytest.raises(crash_points.Crashed):
        await world.pay(order, key="tap-1")
    world.clock.pass_ms(30_000)
    await world.cashier.poll_open_attempts()
    _, attempt = await world.pay(order, key="tap-1")
    assert (attempt.state, attempt.answer) == ("closed", "declined")
    late = NewPayment(
        attempt_id=attempt.attempt_id,
        order_id=order.order_id,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        method={"card_number": OK_CARD},
        expires_at_ms=2**52,
    )
    assert (await world.sandbox.create(late)).outcome == "closed"  # the dead process' call comes after all
    paid, _ = await world.pay(order, key="tap-2")
    assert paid.state == "paid"
    await world.assert_sound()


async def test_polls_of_a_silent_provider_grow_rare(world: World) -> None:
    class Silent(Sandbox):
        asked = 0

        async def query(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
            self.asked += 1
            raise Unavailable("provider_down")

    silent = Silent(world.database, WEBHOOK_KEY, world.clock)
    world.cashier.providers["sandbox"] = silent
    await world.pay(await world.placed_order(await world.open_sale(hold_ms=3_600_000)), SILENT_CARD)
    for _ in range(600):
        world.clock.pass_ms(1_000)
        if world.clock.now_ms % 5 == 0 or silent.asked < 3:
            await world.cashier.poll_open_attempts()
    assert 3 <= silent.asked < 20


async def test_payment_works_when_redis_is_gone(world: World) -> None:
    unreachable = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    order = await world.placed_order(await world.open_sale())
    world.cashier.hot_ledger = HotLedger(unreachable)
    assert (await world.pay(order))[0].state == "paid"
    await unreachable.aclose()


async def test_a_message_about_an_unknown_attempt_is_set_aside(world: World) -> None:
    with pytest.raises(NotFound):
        await world.cashier.settle(f"pa_{uuid.uuid4().hex}", PaymentAnswer(outcome="declined"), "webhook")
