"""A shop under random trade and random crashes: whatever the order of events, every sum holds after every step, and at the end
every unit is on the shelf, sold, or nowhere else, and every cent is earned or sent back.

The seed is in the test's name; the steps are printed when it fails.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from commerce import crash_points
from commerce.after_sales import AfterSales
from commerce.errors import CommerceError
from commerce.hold_tokens import HoldToken
from commerce.orders import Order
from commerce.payments.attempts import Attempt
from commerce.payments.provider import PaymentAnswer
from tests.commerce.world import (
    DECLINED_CARD,
    DISORDERLY_CARD,
    OK_CARD,
    SILENT_CARD,
    TWICE_CARD,
    World,
    new_id,
)

STEPS = 60
CARDS = (OK_CARD, OK_CARD, DECLINED_CARD, SILENT_CARD, TWICE_CARD, DISORDERLY_CARD)
POINTS = (
    "bind.quota_used",
    "bind.reserved",
    "bind.before_commit",
    "bind.committed",
    "bind_group.before_commit",
    "pay.attempt_committed",
    "sandbox.created",
    "pay.provider_answered",
    "settle.committed",
    "inbox.settled",
    "let_go.expiring",
    "let_go.provider_closed",
    "let_go.closed",
    "let_go.released",
    "refund.answered",
)


class RandomShop:
    """Buyers, sellers, workers and an unreliable world, all decided by one seeded generator."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.chance = random.Random(seed)
        self.after_sales = AfterSales(world.database, world.hot, world.clock, new_id)
        self.sale_id = ""
        self.holds: list[HoldToken] = []
        self.orders: list[Order] = []
        self.attempts: list[Attempt] = []
        self.diary: list[str] = []

    def moves(self) -> list[Callable[[], Awaitable[object]]]:
        cashier = self.world.cashier
        trade = [
            self.grant,
            self.bind,
            self.bind_again,
            self.pay,
            self.pay,
            self.cancel,
            self.refund,
            self.late_yes,
        ]
        work = [cashier.let_go, cashier.poll_open_attempts, cashier.process_inbox, cashier.send_refunds]
        return [*trade, *trade, *work, self.world.deliver_webhooks, self.wait, self.desk_move, self.tick]

    async def grant(self) -> None:
        """A hold out of thin air: a Redis that remembers nothing may grant far too many."""
        sale = await self.world.sale(self.sale_id)
        self.holds.append(
            self.world.hold(sale, f"gu_{self.chance.randrange(6)}", self.chance.choice((1, 1, 2)))
        )

    async def bind(self) -> None:
        if self.holds:
            self.orders.append(await self.world.bind(self.holds[-1]))

    async def bind_again(self) -> None:
        if self.holds:
            bind = self.chance.choice((self.world.bind, self.world.bind_apart))
            self.orders.append(await bind(self.chance.choice(self.holds)))

    async def pay(self) -> None:
        if self.orders:
            key = f"key-{self.chance.randrange(3)}"
            _, attempt = await self.world.pay(self.chance.choice(self.orders), self.chance.choice(CARDS), key)
            self.attempts.append(attempt)

    async def cancel(self) -> None:
        if self.orders:
            await self.world.cashier.cancel_order(self.chance.choice(self.orders).order_id, "buyer")

    async def refund(self) -> None:
        if self.orders:
            order, amount = self.chance.choice(self.orders), self.chance.choice((None, 100, 9_900))
            restock = self.chance.choice(("sale", "shelf", "none"))
            await self.after_sales.refund(
                order.order_id, f"r{self.chance.randrange(3)}", "x", amount, restock
            )

    async def late_yes(self) -> None:
        """A provider that had said no, or closed, says yes after all."""
        if not self.attempts:
            return
        attempt = self.chance.choice(self.attempts)
        async with self.world.database.begin() as c:
            await c.exec_driver_sql(
                "UPDATE sandbox_payment SET state = 'succeeded', amount_minor = "
                f"{attempt.amount_minor}, currency = 'CNY' WHERE attempt_id = '{attempt.attempt_id}'"
            )
        yes = PaymentAnswer(outcome="succeeded", amount_minor=attempt.amount_minor, currency=attempt.currency)
        await self.world.cashier.settle(attempt.attempt_id, yes, "webhook")

    async def wait(self) -> None:
        self.world.clock.pass_ms(self.chance.choice((10, 3_000, 40_000, 130_000)))

    async def tick(self) -> None:
        await self.world.desk.tick()
        if (await self.world.sale(self.sale_id)).state in ("settled", "published"):
            await self.open()

    async def desk_move(self) -> None:
        desk, sale_id, number = self.world.desk, self.sale_id, self.chance.randrange(1_000)
        await self.chance.choice(
            (
                lambda: desk.add_stock(sale_id, 2, f"m{number}"),
                lambda: desk.withdraw_stock(sale_id, 1, f"m{number}"),
                lambda: desk.pause(sale_id, self.chance.choice(("host", "payment_outage"))),
                lambda: desk.resume(sale_id),
                lambda: desk.extend(sale_id),
                lambda: desk.end_early(sale_id),
            )
        )()

    async def open(self) -> None:
        sale = await self.world.open_sale(
            quota=4, limit_per_buyer=3, duration_ms=600_000, extendable_ms=60_000, hold_ms=100_000
        )
        self.sale_id = sale.sale_id

    async def step(self) -> None:
        """One to three things at once; sometimes the process dies in the middle of one."""
        moves = self.chance.choices(self.moves(), k=self.chance.choice((1, 1, 2, 3)))
        points = self.chance.sample(POINTS, 2) if self.chance.random() < 0.3 else []
        self.diary.append(f"{[move.__name__ for move in moves]} {points}")
        with crash_points.armed(*points):
            answers = await asyncio.gather(*(move() for move in moves), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(
                answer, CommerceError | crash_points.Crashed
            ):
                raise answer

    async def wind_down(self) -> None:
        """Let everything come to rest: holds run out, providers answer, refunds are sent, the sale settles."""
        world = self.world
        for _ in range(12):
            world.clock.pass_ms(120_000)
            sale = await world.sale(self.sale_id)
            if sale.state == "paused":
                await world.desk.resume(sale.sale_id)
            await world.deliver_webhooks()
            await world.cashier.poll_open_attempts()
            await world.cashier.let_go()
            await world.cashier.send_refunds()
            await world.desk.tick()


@pytest.mark.parametrize("seed", range(4))
async def test_every_sum_holds_after_every_step_and_everything_comes_to_rest(world: World, seed: int) -> None:
    shop = RandomShop(world, seed)
    await shop.open()
    try:
        for _ in range(STEPS):
            await shop.step()
            await world.assert_sound(but=("nothing_is_stuck",))  # the workers come when chance says so
        await shop.wind_down()
        await world.assert_sound()
    except BaseException:
        print(f"seed {seed}:", *shop.diary, sep="\n")  # noqa: T201 - pytest shows it with the failure
        raise
    assert (await world.sale(shop.sale_id)).state == "published"
    rows = world.rows
    assert await rows("SELECT hold_id FROM hold WHERE state IN ('bound', 'expiring')") == []
    assert await rows("SELECT refund_id FROM refund WHERE state <> 'succeeded'") == []
    assert (
        await rows("SELECT attempt_id FROM payment_attempt WHERE state IN ('created', 'pending', 'unknown')")
        == []
    )
    (sold,) = await rows(
        "SELECT COALESCE(SUM(sold), 0) AS units, COALESCE(SUM(capacity), 0) AS capacity FROM stock"
    )
    assert await world.on_hand() + sold["units"] == 100
    assert sold["units"] == sold["capacity"]
    (provider,) = await rows(
        "SELECT COALESCE(SUM(amount_minor - refunded_minor), 0) AS kept FROM sandbox_payment WHERE state = 'succeeded'"
    )
    (books,) = await rows(
        "SELECT COALESCE(SUM(amount_minor), 0) AS kept FROM ledger_entry WHERE account LIKE 'provider:%'"
    )
    assert provider["kept"] == books["kept"]
