"""Money of a wrong amount waits for a person; what they decide is done once and nothing of it is lost."""

from __future__ import annotations

import pytest

from commerce.errors import NotFound, OutOfState, Refused
from commerce.orders import Order
from commerce.payments import attempts, quarantine
from commerce.payments.provider import PaymentAnswer
from tests.commerce.world import SILENT_CARD, World


async def wrong_payment(world: World, amount: int = 1, currency: str = "CNY") -> tuple[Order, str]:
    order = await world.placed_order(await world.open_sale())
    _, attempt = await world.pay(order, SILENT_CARD)
    answer = PaymentAnswer(outcome="succeeded", amount_minor=amount, currency=currency)
    await world.cashier.settle(attempt.attempt_id, answer, "webhook")
    return order, attempt.attempt_id


async def test_what_came_is_sent_back_and_the_order_can_be_paid_rightly(world: World) -> None:
    order, attempt_id = await wrong_payment(world)
    async with world.database.read() as c:
        (waiting,) = await attempts.list_quarantined(c, order.room_id, 10)
    assert (waiting.received_minor, waiting.received_currency) == (1, "CNY")
    async with world.database.begin() as c:
        sent = await quarantine.send_back(c, order.room_id, attempt_id, world.clock())
    assert (sent.state, sent.captured_minor, sent.refunded_minor) == ("succeeded", 1, 1)
    with pytest.raises(OutOfState):
        async with world.database.begin() as c:
            await quarantine.send_back(c, order.room_id, attempt_id, world.clock())
    (refund,) = await world.rows("SELECT refund_id, amount_minor, state FROM refund")
    assert refund == {"refund_id": f"rf_{attempt_id}_wrong", "amount_minor": 1, "state": "pending"}
    paid, _ = await world.pay(order)
    assert paid.state == "paid"
    await world.assert_sound()


async def test_money_of_another_currency_is_seen_to_by_hand(world: World) -> None:
    order, attempt_id = await wrong_payment(world, 9_900, "USD")
    async with world.database.begin() as c:
        with pytest.raises(Refused) as other:
            await quarantine.send_back(c, order.room_id, attempt_id, world.clock())
        assert other.value.code == "other_currency"
        done = await quarantine.handled(c, order.room_id, attempt_id, "returned at the bank", world.clock())
    assert (done.state, done.reason) == ("closed", "by hand: returned at the bank")
    again = PaymentAnswer(outcome="succeeded", amount_minor=9_900, currency="USD")
    assert (
        await world.cashier.settle(attempt_id, again, "webhook")
    ) == done  # a repeated message changes nothing
    await world.assert_sound()


async def test_other_rooms_and_other_payments_are_none_of_it(world: World) -> None:
    order, attempt_id = await wrong_payment(world)
    for room_id, attempt, error in (
        ("rm_other", attempt_id, NotFound),
        (order.room_id, "pa_none", NotFound),
    ):
        with pytest.raises(error):
            async with world.database.begin() as c:
                await quarantine.handled(c, room_id, attempt, "x", world.clock())
    paid, attempt = await world.pay(order)
    assert paid.state == "paid"
    with pytest.raises(OutOfState):
        async with world.database.begin() as c:
            await quarantine.handled(c, order.room_id, attempt.attempt_id, "x", world.clock())
