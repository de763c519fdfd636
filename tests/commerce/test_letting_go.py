"""Unpaid orders go in order: BOUND -> EXPIRING -> the provider has closed -> RELEASED, resumable between any two steps."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from commerce import crash_points
from commerce.errors import NotFound, OutOfState, Refused, Unavailable
from commerce.payments.provider import PaymentAnswer
from commerce.payments.sandbox import Sandbox
from tests.commerce.world import DECLINED_CARD, OK_CARD, SILENT_CARD, WEBHOOK_KEY, World


async def test_an_unpaid_order_expires_at_its_deadline_and_not_before(world: World) -> None:
    sale = await world.open_sale(limit_per_buyer=1)
    order = await world.placed_order(sale)
    world.clock.now_ms = order.deadline_ms - 1
    assert await world.cashier.let_go() == 0
    world.clock.pass_ms(1)
    assert await world.cashier.let_go() == 1
    assert await world.cashier.let_go() == 0
    gone = await world.order(order.order_id)
    assert (gone.state, gone.hold_state) == ("expired", "released")
    after = await world.sale(sale.sale_id)
    assert (after.reserved, after.sold, after.base) == (0, 0, 3)
    assert await world.events(order.order_id) == ["order_placed", "order_expired"]
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert numbers.available == 3
    await world.assert_sound()


async def test_a_buyer_whose_order_expired_may_buy_again_within_the_limit(world: World) -> None:
    sale = await world.open_sale(limit_per_buyer=1)
    order = await world.placed_order(sale)
    world.clock.now_ms = order.deadline_ms
    await world.cashier.let_go()
    again = await world.bind(await world.granted_hold(sale, order.buyer_id))
    assert again.state == "placed"
    await world.assert_sound()


async def test_a_payment_under_way_at_the_deadline_is_closed_before_the_unit_is_released(
    world: World,
) -> None:
    sale = await world.open_sale()
    placed = await world.placed_order(sale)
    world.clock.now_ms = placed.deadline_ms - 1
    order, attempt = await world.pay(placed, SILENT_CARD)
    world.clock.pass_ms(1)
    assert await world.cashier.let_go() == 1
    assert (await world.order(order.order_id)).state == "expired"
    closed = await world.rows("SELECT state FROM sandbox_payment")
    assert closed == [{"state": "closed"}]
    world.clock.pass_ms(60_000)
    await world.deliver_webhooks()
    assert (
        await world.cashier.settle(
            attempt.attempt_id, await world.sandbox.query(attempt.attempt_id, None), "poll"
        )
    ).state == "closed"
    await world.assert_sound()


async def test_a_provider_that_says_paid_when_asked_to_close_ends_in_a_paid_order(world: World) -> None:
    sale = await world.open_sale()
    placed = await world.placed_order(sale)
    order, _ = await world.pay(placed, SILENT_CARD)
    world.clock.now_ms = order.deadline_ms
    assert await world.cashier.let_go() == 0
    assert (await world.order(order.order_id)).state == "paid"
    assert (await world.sale(sale.sale_id)).sold == 1
    await world.assert_sound()


async def test_a_provider_that_does_not_answer_keeps_the_unit_held(world: World) -> None:
    class Deaf(Sandbox):
        async def cancel(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
            raise Unavailable("provider_down")

    sale = await world.open_sale()
    world.cashier.providers["sandbox"] = Deaf(world.database, WEBHOOK_KEY, world.clock, late_ms=10**9)
    order, _ = await world.pay(await world.placed_order(sale), SILENT_CARD)
    world.clock.now_ms = order.deadline_ms
    for _ in range(3):
        assert await world.cashier.let_go() == 0
    held = await world.order(order.order_id)
    assert (held.state, held.hold_state, (await world.sale(sale.sale_id)).reserved) == (
        "placed",
        "expiring",
        1,
    )
    with pytest.raises(OutOfState):
        await world.pay(order)  # no new attempt while it is on its way out
    world.cashier.providers["sandbox"] = world.sandbox
    assert await world.cashier.let_go() == 1
    assert (await world.sale(sale.sale_id)).reserved == 0
    await world.assert_sound()


@pytest.mark.parametrize(
    "point",
    ["let_go.expiring", "let_go.provider_closed", "settle.committed", "let_go.closed", "let_go.released"],
)
async def test_a_crash_between_any_two_steps_of_letting_go_is_resumed(world: World, point: str) -> None:
    sale = await world.open_sale()
    placed = await world.placed_order(sale)
    world.clock.now_ms = placed.deadline_ms - 1
    order, _ = await world.pay(placed, SILENT_CARD)
    world.clock.pass_ms(1)
    with crash_points.armed(point) as reached, pytest.raises(crash_points.Crashed):
        await world.cashier.let_go()
    assert reached == [point]
    await world.assert_sound()
    await world.cashier.let_go()
    assert (await world.order(order.order_id)).state == "expired"
    assert (await world.sale(sale.sale_id)).reserved == 0
    assert (await world.events(order.order_id)).count("order_expired") == 1
    await world.assert_sound()


async def test_paying_races_with_letting_go_and_the_order_ends_one_way(world: World) -> None:
    sale = await world.open_sale(quota=12, limit_per_buyer=12)
    placed = [await world.placed_order(sale) for _ in range(6)]
    world.clock.now_ms = placed[-1].deadline_ms - 1
    await world.placed_order(sale, "gu_bystander", 6)  # whose units a second end of an order would take

    async def pay_or_not(number: int) -> None:
        with suppress(Refused, OutOfState):
            await world.pay(placed[number])

    async def let_go() -> None:
        begun = False
        while not begun:
            begun = bool(await world.rows("SELECT attempt_id FROM payment_attempt"))
        world.clock.pass_ms(1)
        await world.cashier.let_go()

    await asyncio.gather(*(pay_or_not(n) for n in range(6)), let_go(), let_go())
    await world.cashier.let_go()
    states = {(await world.order(order.order_id)).state for order in placed}
    assert states <= {"paid", "expired"}
    await world.assert_sound()


async def test_two_workers_at_once_release_once(world: World) -> None:
    sale = await world.open_sale(limit_per_buyer=3)
    order = await world.placed_order(sale)
    world.clock.pass_ms(1_000)
    await world.placed_order(sale, quantity=2)  # units that a second release would take
    world.clock.now_ms = order.deadline_ms
    ended = await asyncio.gather(*(world.cashier.let_go() for _ in range(4)))
    assert sum(ended) == 1
    assert (await world.sale(sale.sale_id)).reserved == 2
    await world.assert_sound()


async def test_a_buyer_cancels_an_unpaid_order_and_the_unit_is_free_at_once(world: World) -> None:
    sale = await world.open_sale()
    order = await world.placed_order(sale)
    with pytest.raises(NotFound):
        await world.cashier.cancel_order(order.order_id, "buyer", buyer_id="gu_bo")
    gone = await world.cashier.cancel_order(order.order_id, "buyer", buyer_id=order.buyer_id)
    assert (gone.state, gone.state_reason) == ("cancelled", "cancelled_by_buyer")
    assert (await world.sale(sale.sale_id)).base == 3
    again = await world.cashier.cancel_order(order.order_id, "buyer", buyer_id=order.buyer_id)
    assert again.state == "cancelled"
    assert (await world.events(order.order_id))[-1] == "order_cancelled"
    await world.assert_sound()


async def test_a_cancel_that_died_half_way_still_ends_as_cancelled(world: World) -> None:
    order = await world.placed_order(await world.open_sale())
    with crash_points.armed("let_go.expiring"), pytest.raises(crash_points.Crashed):
        await world.cashier.cancel_order(order.order_id, "seller")
    await world.cashier.let_go()
    assert (await world.order(order.order_id)).state == "cancelled"
    await world.assert_sound()


async def test_a_paid_order_is_not_cancelled_here(world: World) -> None:
    order, _ = await world.pay(await world.placed_order(await world.open_sale()))
    with pytest.raises(OutOfState):
        await world.cashier.cancel_order(order.order_id, "buyer")


async def test_money_for_a_cancelled_order_goes_back_although_units_are_free(world: World) -> None:
    order, attempt = await world.pay(await world.placed_order(await world.open_sale()), DECLINED_CARD)
    await world.cashier.cancel_order(order.order_id, "buyer")
    yes = PaymentAnswer(outcome="succeeded", amount_minor=attempt.amount_minor, currency=attempt.currency)
    await world.cashier.settle(attempt.attempt_id, yes, "webhook")
    assert (await world.order(order.order_id)).state == "cancelled"
    refunds = await world.rows("SELECT state, amount_minor FROM refund")
    assert refunds == [{"state": "pending", "amount_minor": order.total_minor}]
    await world.assert_sound()


async def test_cancelling_while_the_money_comes_ends_as_paid_or_cancelled_never_both(world: World) -> None:
    sale = await world.open_sale(quota=8, limit_per_buyer=8)
    await world.placed_order(sale, "gu_bystander")  # whose unit a second end of an order would take
    for _ in range(4):
        order = await world.placed_order(sale)
        await asyncio.gather(
            world.pay(order, OK_CARD),
            world.cashier.cancel_order(order.order_id, "buyer"),
            return_exceptions=True,
        )
        await world.cashier.let_go()
        assert (await world.order(order.order_id)).state in ("paid", "cancelled")
    await world.assert_sound()
