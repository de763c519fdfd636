"""A whole sale with everything that can go wrong, as a world that a model test drives: buyers, host, jobs, time, crashes, Redis' memory.

Steps are methods; each one is safe to call at any moment. `check` says what must hold after each, `drain` brings the sale to its end
and says what must hold then.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from redis.asyncio import Redis

from commerce import allocation_log, crash_points, invariants, outbox, reconciliation
from commerce.crash_points import Crashed
from commerce.database import Database
from commerce.errors import CommerceError, Unavailable
from commerce.hold_tokens import HoldToken
from commerce.hot_ledger import Decision, HoldRequest, HotLedger
from commerce.log_verification import verify_export
from commerce.orders import Order
from commerce.outbox import OutboxEvent
from commerce.sale_rules import Sale
from tests.commerce.world import Clock, World

SHELF: Final = 100
BUYERS: Final = ("ana", "bo", "cai", "dan", "eve")
CRASH_POINTS: Final = (
    "bind.quota_used",
    "bind.reserved",
    "bind.before_commit",
    "bind_group.before_commit",
    "bind.committed",
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
    "rebuild.fenced",
    "rebuild.epoch_raised",
)
ACTIVE: Final = ("countdown", "open", "paused", "draining")


class RunningClock(Clock):
    """The wall clock plus what the test has let pass: Redis' clock and ours stay the same."""

    def __init__(self) -> None:
        self.moved_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.moved_ms

    @property
    def now_ms(self) -> int:  # type: ignore[override]
        return self()

    def pass_ms(self, milliseconds: int) -> None:
        self.moved_ms += milliseconds


class FaultyLedger(HotLedger):
    """A hot ledger whose Redis can be away, whose replies can be lost, and which can be another incarnation."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.away = False
        self.lose_next_reply = False
        self.incarnation = uuid.uuid4().hex

    async def run_id(self, room_id: str) -> str:
        if self.away:
            raise Unavailable("redis_unavailable")
        return self.incarnation

    async def _call(self, command: Any) -> Any:
        if self.away:
            command.close()
            raise Unavailable("redis_unavailable")
        answer = await super()._call(command)
        if self.lose_next_reply:
            self.lose_next_reply = False
            raise Unavailable("redis_unavailable")
        return answer


class SaleMachine:
    """One sale under test. Every step swallows refusals and crashes, as the outside world does, and keeps what it learned."""

    def __init__(self, database: Database, redis: Redis) -> None:
        self.hot = FaultyLedger(redis)
        self.eyes = HotLedger(redis)  # what the test looks with: never at fault
        self.world = World(database, self.hot, RunningClock())
        self.sale_id = ""
        self.room_id = self.world.room_id
        self.requests: list[HoldRequest] = []
        self.answers: dict[str, tuple[int, Decision]] = {}  # hold id -> (life of Redis, last answer)
        self.grants: list[Decision] = []
        self.orders: list[Order] = []
        self.capacities: set[int] = set()
        self.life = 0  # grows whenever Redis has lost something
        self.copy: tuple[int, dict[bytes, bytes]] | None = None
        self.armed: str | None = None
        self.seen: Counter[str] = Counter()

    # What happens at each step

    async def attempt(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result, or None when it was refused or its process died: at the armed place, which then is spent."""
        try:
            with crash_points.armed(*([self.armed] if self.armed else [])) as fired:
                return await work
        except (CommerceError, Crashed) as error:
            self.seen[error.code if isinstance(error, CommerceError) else "crashed"] += 1
            return None
        finally:
            self.seen.update(fired)
            if self.armed in fired:
                self.armed = None

    async def begin(self, **terms: Any) -> None:
        await self.world.stock_shelf(SHELF)
        sale = await self.world.open_sale(**terms)
        self.sale_id = sale.sale_id
        await self.reconcile()

    async def sale(self) -> Sale:
        return await self.world.sale(self.sale_id)

    async def tap(self, buyer: str, quantity: int, *, wait: bool) -> None:
        self.requests.append(HoldRequest(uuid.uuid4().hex, buyer, quantity, wait=wait))
        await self.ask(len(self.requests) - 1)

    async def ask(self, number: int) -> None:
        """Send a request, perhaps again: one that was decided stays decided as long as Redis remembers."""
        if not self.requests:
            return
        request = self.requests[number % len(self.requests)]
        answered = await self.attempt(self.hot.decide(self.room_id, self.sale_id, [request]))
        if answered is None:
            return
        (decision,), numbers = answered
        self.seen[decision.reason] += 1
        if decision.reason == "not_loaded":
            return
        assert numbers.available + numbers.held + numbers.sold == numbers.quota
        hold_id = request.hold_id(self.sale_id)
        life, known = self.answers.get(hold_id, (-1, decision))
        if life == self.life and known.decision not in ("waiting", "pending"):
            assert decision == known, "the same request was answered differently"
        self.answers[hold_id] = (self.life, decision)
        if decision.decision == "granted" and decision not in self.grants:
            self.grants.append(decision)

    async def release(self, number: int) -> None:
        if self.grants:
            hold = self.grants[number % len(self.grants)]
            assert hold.hold_id
            assert hold.buyer_id
            await self.attempt(self.hot.release(self.room_id, self.sale_id, hold.hold_id, hold.buyer_id))

    async def leave(self, buyer: str) -> None:
        await self.attempt(self.hot.leave(self.room_id, self.sale_id, buyer))

    async def bind(self, number: int) -> None:
        bound = {order.hold_id for order in self.orders}
        fresh = [one for one in self.grants if one.hold_id not in bound]
        fresh = [one for one in fresh if (one.expires_at_ms or 0) > self.world.clock()]
        choice = fresh if fresh and number % 5 else self.grants  # mostly one that can still be bound
        if not choice:
            return
        decision = choice[number % len(choice)]
        names = ("hold_id", "seq", "epoch", "granted_at_ms", "expires_at_ms", "quantity")
        sale = await self.sale()
        hold: HoldToken = self.world.hold(
            sale, decision.buyer_id or "", **{name: getattr(decision, name) for name in names}
        )
        order = await self.attempt(self.world.bind(hold))
        if order is not None:
            known = [one for one in self.orders if one.hold_id == order.hold_id]
            assert all(one.order_id == order.order_id for one in known), "one hold became two orders"
            if not known:
                self.orders.append(order)

    async def pay(self, number: int, card: str) -> None:
        order_id = await self._some_order(number)
        if order_id is not None:
            await self.attempt(self.world.pay(await self.world.order(order_id), card))

    async def cancel(self, number: int) -> None:
        order_id = await self._some_order(number)
        if order_id is not None:
            await self.attempt(self.world.cashier.cancel_order(order_id, "buyer"))

    async def _some_order(self, number: int) -> str | None:
        """Mostly one that waits to be paid."""
        rows = await self.world.rows(
            "SELECT order_id, state FROM orders ORDER BY placed_at_ms DESC, order_id"
        )
        placed = [row for row in rows if row["state"] == "placed"]
        choice = placed if placed and number % 5 else rows
        return str(choice[number % len(choice)]["order_id"]) if choice else None

    async def add_stock(self, units: int) -> None:
        await self.attempt(self.world.desk.add_stock(self.sale_id, units, uuid.uuid4().hex))

    async def withdraw_stock(self, units: int) -> None:
        await self.attempt(self.world.desk.withdraw_stock(self.sale_id, units, uuid.uuid4().hex))

    async def pause(self, reason: str) -> None:
        await self.attempt(self.world.desk.pause(self.sale_id, reason))

    async def resume(self) -> None:
        await self.attempt(self.world.desk.resume(self.sale_id))

    async def end_early(self) -> None:
        await self.attempt(self.world.desk.end_early(self.sale_id))

    def pass_ms(self, milliseconds: int) -> None:
        self.world.clock.pass_ms(milliseconds)
        self.hot.clock_offset_ms += milliseconds
        self.eyes.clock_offset_ms += milliseconds

    # What the worker does

    async def reconcile(self) -> None:
        before = await self.eyes.numbers(self.room_id, self.sale_id)
        await self.attempt(reconciliation.reconcile(self.world.database, self.hot, self.world.clock))
        after = await self.eyes.numbers(self.room_id, self.sale_id)
        if before is None or after is None or before.epoch != after.epoch:
            self.seen["rebuilt"] += 1
            self.life += 1  # only what had been persisted is remembered

    async def sweep(self) -> None:
        async def work() -> None:
            for swept in await reconciliation.sweep(self.world.database, self.hot):
                for notice in swept.notices:
                    self.seen[f"told {notice.kind}"] += 1
                    if notice.kind in ("promoted", "granted") and notice.decision not in self.grants:
                        self.grants.append(notice.decision)
                await reconciliation.told(self.hot, swept)

        await self.attempt(work())

    async def persist(self) -> None:
        await self.attempt(reconciliation.persist_logs(self.world.database, self.hot))

    async def relay(self) -> None:
        async def take(_: OutboxEvent) -> None:
            pass

        await self.attempt(outbox.relay(self.world.database, take, 1_000, clock_ms=self.world.clock))

    def jobs(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """Everything that happens without anybody asking."""
        world = self.world
        return {
            "timers": lambda: self.attempt(world.desk.tick()),
            "sweep": self.sweep,
            "log": self.persist,
            "webhooks": lambda: self.attempt(world.deliver_webhooks()),
            "inbox": lambda: self.attempt(world.cashier.process_inbox()),
            "polls": lambda: self.attempt(world.cashier.poll_open_attempts()),
            "let go": lambda: self.attempt(world.cashier.let_go()),
            "refunds": lambda: self.attempt(world.cashier.send_refunds()),
            "reconcile": self.reconcile,
            "relay": self.relay,
        }

    async def run_job(self, name: str, *, twice: bool) -> None:
        job = self.jobs()[name]
        await job()
        if twice:
            await asyncio.gather(job(), job())

    # What happens to Redis

    async def empty_redis(self) -> None:
        await self.hot.redis.flushall()
        self.life += 1

    async def copy_redis(self) -> None:
        keys: Any = await self.hot.redis.keys("*")
        self.copy = (self.life, {key: await self.hot.redis.dump(key) or b"" for key in keys})

    async def restore_redis(self) -> None:
        """Redis starts anew from what it had a while ago."""
        if self.copy is None:
            return
        await self.hot.redis.flushall()
        for key, value in self.copy[1].items():
            await self.hot.redis.restore(key, 0, value)
        self.hot.incarnation = uuid.uuid4().hex
        self.life += 1

    # What must hold

    async def check(self) -> None:
        """After every step: the record in SQL is sound, and Redis' own sums agree with each other."""
        async with self.world.database.read() as c:
            broken = [
                one
                for one in await invariants.check(c, self.world.clock())
                if one.name != "nothing_is_stuck"  # the worker may not have run for hours here; see `drain`
            ]
        assert broken == []
        sale = await self.sale()
        self.capacities.add(sale.capacity)
        numbers = await self.eyes.numbers(self.room_id, self.sale_id)
        if numbers is not None:
            holds = [await self._soft_units(buyer) for buyer in BUYERS]
            assert numbers.soft == sum(holds)
            assert numbers.available + numbers.held + numbers.sold == numbers.quota
            assert min(numbers.available, numbers.held, numbers.sold, numbers.waiting) >= 0
            if numbers.version == sale.version and numbers.epoch == sale.epoch:
                assert numbers.available <= sale.base

    async def _soft_units(self, buyer: str) -> int:
        return sum(one.quantity for one in await self.eyes.buyer_holds(self.room_id, self.sale_id, buyer))

    async def drain(self) -> None:
        """Everybody goes home: the sale ends, and every unit and every cent is where it belongs."""
        self.hot.away = self.hot.lose_next_reply = False
        self.armed = None
        for _ in range(40):
            sale = await self.sale()
            if sale.state == "paused":
                await self.resume()
            for job in self.jobs().values():
                await job()
            if sale.state == "published" and await self._is_quiet():
                break
            self.pass_ms(20_000)
        sale = await self.sale()
        assert sale.state == "published", f"the sale is stuck in {sale.state}"
        assert await self._is_quiet()
        assert sale.reserved == 0
        assert await self.world.on_hand() + sale.sold == SHELF, "a unit has leaked"
        numbers = await self.eyes.numbers(self.room_id, self.sale_id)
        if numbers is not None and numbers.version >= sale.version:
            assert (numbers.soft, numbers.waiting, numbers.undrawn) == (0, 0, 0)
            assert (numbers.available, numbers.held, numbers.sold) == (0, 0, sale.sold)
        await self.world.assert_sound()
        await self._check_money()
        await self._check_log()
        for row in await self.world.rows(
            "SELECT state FROM orders UNION ALL SELECT 'refund ' || reason FROM refund"
        ):
            self.seen[str(row["state"])] += 1

    async def _is_quiet(self) -> bool:
        waiting = await self.world.rows(
            """SELECT order_id FROM orders WHERE state = 'placed'
               UNION ALL SELECT attempt_id FROM payment_attempt WHERE state IN ('created', 'pending', 'unknown')
               UNION ALL SELECT refund_id FROM refund WHERE state = 'pending'
               UNION ALL SELECT event_id FROM inbox WHERE processed_at_ms IS NULL"""
        )
        return not waiting and await self.eyes.log_is_empty(self.room_id, self.sale_id)

    async def _check_money(self) -> None:
        """The provider's statement and our orders say the same (invariant 8 of research/commerce.md 6.6)."""
        wrong = await self.world.rows(
            """SELECT p.attempt_id, p.state, p.amount_minor, p.refunded_minor, o.state AS order_state
               FROM sandbox_payment p LEFT JOIN payment_attempt a ON a.attempt_id = p.attempt_id
               LEFT JOIN orders o ON o.order_id = a.order_id
               WHERE p.state = 'succeeded' AND p.refunded_minor < p.amount_minor
                 AND (o.state IS NULL OR o.state <> 'paid')"""
        )
        assert wrong == [], "money was kept without an order"
        paid = await self.world.rows(
            """SELECT o.order_id FROM orders o WHERE o.state = 'paid' AND (
                 SELECT COALESCE(SUM(p.amount_minor - p.refunded_minor), 0) FROM payment_attempt a
                 JOIN sandbox_payment p ON p.attempt_id = a.attempt_id AND p.state = 'succeeded'
                 WHERE a.order_id = o.order_id) <> o.total_minor"""
        )
        assert paid == [], "an order is paid without its money"

    async def _check_log(self) -> None:
        """The export verifies, and the sums of every line are those of a capacity that the sale had."""
        sale = await self.sale()
        exported = [line async for line in allocation_log.export(self.world.database, sale)]
        report = verify_export(exported)
        assert (report.root, report.entries) == (sale.log_root, len(exported) - 2)
        lines = [json.loads(line[65:]) for line in exported[1:-1]]
        for line in lines:
            assert line["available"] + line["held"] + line["sold"] in self.capacities
        if self.life == 1:  # Redis never forgot anything
            assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
            assert report.lost_tails == 0
            self._check_wait_list(lines)

    @staticmethod
    def _check_wait_list(lines: list[dict[str, Any]]) -> None:
        """Nobody who came later was served before somebody who came earlier."""
        waiting: list[str] = []
        for line in lines:
            if line["decision"] == "waiting":
                waiting.append(line["hold"])
            elif line["decision"] == "left":
                waiting.remove(line["hold"])
            elif line["reason"] == "promoted":
                assert waiting.pop(0) == line["hold"]
            elif line["reason"] == "granted":
                assert not waiting, "somebody was served past the wait list"
        assert waiting == [], "somebody was left waiting without a word"
