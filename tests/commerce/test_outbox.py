"""Events go out at least once and in order per aggregate, also when a relay dies or a consumer fails."""

from __future__ import annotations

import asyncio

import pytest

from commerce import crash_points, lease, outbox
from commerce.database import Database
from commerce.outbox import OutboxEvent


async def record(database: Database, *aggregates: str) -> None:
    for number, aggregate in enumerate(aggregates):
        async with database.begin() as c:
            await outbox.record(c, aggregate, "happened", {"number": number, "at_ms": 5})


class Consumer:
    def __init__(self) -> None:
        self.got: list[tuple[str, int]] = []
        self.fails_on: set[str] = set()

    async def __call__(self, event: OutboxEvent) -> None:
        if event.aggregate in self.fails_on:
            raise RuntimeError("the consumer is down")
        self.got.append((event.aggregate, event.payload["number"]))


async def test_events_go_out_in_order_and_once(database: Database) -> None:
    await record(database, "a", "b", "a")
    consumer = Consumer()
    assert await outbox.relay(database, consumer, owner="w1") == 3
    assert await outbox.relay(database, consumer, owner="w1") == 0
    assert consumer.got == [("a", 0), ("b", 1), ("a", 2)]


async def test_an_event_that_fails_holds_back_its_own_aggregate_only(database: Database) -> None:
    await record(database, "a", "b", "a", "b")
    consumer = Consumer()
    consumer.fails_on = {"a"}
    assert await outbox.relay(database, consumer, owner="w1") == 2
    consumer.fails_on = set()
    assert await outbox.relay(database, consumer, owner="w1") == 2
    assert consumer.got == [("b", 1), ("b", 3), ("a", 0), ("a", 2)]


async def test_a_relay_that_dies_after_delivery_delivers_again(database: Database) -> None:
    await record(database, "a")
    consumer = Consumer()

    async def deliver_and_die(event: OutboxEvent) -> None:
        await consumer(event)
        raise crash_points.Crashed

    with pytest.raises(crash_points.Crashed):
        await outbox.relay(database, deliver_and_die, owner="w1")
    assert await outbox.relay(database, consumer, owner="w1") == 1
    assert consumer.got == [("a", 0), ("a", 0)]


async def test_one_relay_at_a_time_and_another_takes_over_at_the_leases_end(database: Database) -> None:
    await record(database, "a")
    consumer = Consumer()

    async def nothing(_: OutboxEvent) -> None:
        await asyncio.sleep(0)

    async with database.begin() as c:
        assert await lease.acquire(c, "outbox", "dead", 1_000, 15_000)
    assert await outbox.relay(database, consumer, owner="w2", clock_ms=lambda: 15_999) == 0
    assert await outbox.relay(database, consumer, owner="w2", clock_ms=lambda: 16_000) == 1


async def test_an_event_of_a_rolled_back_change_never_happened(database: Database) -> None:
    async def record_and_fail() -> None:
        async with database.begin() as c:
            await outbox.record(c, "a", "happened", {"number": 0, "at_ms": 5})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await record_and_fail()
    assert await outbox.relay(database, Consumer(), owner="w1") == 0


async def test_sent_events_are_kept_for_a_week(database: Database) -> None:
    await record(database, "a", "b")
    consumer = Consumer()
    consumer.fails_on = {"b"}
    await outbox.relay(database, consumer, owner="w1", clock_ms=lambda: 1_000)
    async with database.begin() as c:
        assert await outbox.forget_sent(c, 1_000 + outbox.KEEP_SENT_MS) == 0
        assert await outbox.forget_sent(c, 1_001 + outbox.KEEP_SENT_MS) == 1


async def test_a_lease_is_renewed_by_its_owner_and_given_back_by_nobody_else(database: Database) -> None:
    async with database.begin() as c:
        assert await lease.acquire(c, "job", "w1", 0, 10)
        assert await lease.acquire(c, "job", "w1", 5, 10)
        await lease.give_back(c, "job", "w2")
        assert not await lease.acquire(c, "job", "w2", 14, 10)
        await lease.give_back(c, "job", "w1")
        assert await lease.acquire(c, "job", "w2", 14, 10)
