"""The allocation log: what Redis decided is in SQL once, in order and chained, whoever moves it there and however often."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sqlalchemy import select

from commerce import allocation_log, log_chain
from commerce.hot_ledger import HoldRequest
from commerce.lots import public_buyer, salt_of
from commerce.sale_rules import Sale
from commerce.schema import allocation_entry
from tests.commerce.world import World


async def tap(world: World, sale: Sale, *buyers: str) -> None:
    requests = [HoldRequest("r1", buyer, 1) for buyer in buyers]
    await world.hot.decide(sale.room_id, sale.sale_id, requests)


async def persist(world: World, sale: Sale) -> int:
    return await allocation_log.persist(world.database, world.hot, sale.room_id, sale.sale_id)


async def lines(world: World, sale: Sale) -> list[tuple[str, str]]:
    """(line, hash), in order."""
    query = select(allocation_entry.c.entry, allocation_entry.c.hash).where(
        allocation_entry.c.sale_id == sale.sale_id
    )
    async with world.database.read() as c:
        return [(row.entry, row.hash) for row in await c.execute(query.order_by(allocation_entry.c.seq))]


async def test_every_attempt_is_one_line_in_the_order_of_decision(world: World) -> None:
    sale = await world.open_sale(quota=2)
    await tap(world, sale, "ana", "bo", "cai")
    await tap(world, sale, "ana", "dan")  # ana repeats her request
    assert await persist(world, sale) == 4
    found = [json.loads(line) for line, _ in await lines(world, sale)]
    assert [one["n"] for one in found] == [one["seq"] for one in found] == [1, 2, 3, 4]
    assert [one["decision"] for one in found] == ["granted", "granted", "refused", "refused"]
    assert {one["available"] + one["held"] + one["sold"] for one in found} == {2}
    assert await persist(world, sale) == 0
    assert await world.hot.log_is_empty(sale.room_id, sale.sale_id)


async def test_each_hash_covers_the_line_and_all_before_it(world: World) -> None:
    sale = await world.open_sale(quota=2)
    await tap(world, sale, "ana", "bo")
    await persist(world, sale)
    await tap(world, sale, "cai")
    await persist(world, sale)
    chain = log_chain.first_hash(sale.sale_id)
    for line, hash_ in await lines(world, sale):
        chain = log_chain.next_hash(chain, line)
        assert chain == hash_
    async with world.database.read() as c:
        assert await allocation_log.head(c, sale.sale_id) == (3, chain)


async def test_buyers_have_one_public_name_that_their_id_does_not_lead_to(world: World) -> None:
    sale = await world.open_sale(quota=1)
    await tap(world, sale, "gu_ana", "gu_bo")
    await persist(world, sale)
    text = "\n".join(line for line, _ in await lines(world, sale))
    assert "gu_ana" not in text
    assert sale.seed not in text
    assert json.loads(text.splitlines()[0])["buyer"] == public_buyer(salt_of(sale.seed), "gu_ana")


async def test_two_workers_at_once_write_each_line_once(world: World) -> None:
    sale = await world.open_sale(quota=5)
    for start in range(0, 60, 6):
        await tap(world, sale, *(f"b{n}" for n in range(start, start + 6)))
    await asyncio.gather(*(persist(world, sale) for _ in range(4)))
    while await persist(world, sale):
        pass
    found = [json.loads(line) for line, _ in await lines(world, sale)]
    assert [one["seq"] for one in found] == list(range(1, 61))


async def test_a_worker_that_dies_before_it_trims_costs_nothing(world: World) -> None:
    sale = await world.open_sale(quota=5)
    await tap(world, sale, "ana", "bo")
    records: Any = await world.hot.redis.xrange(f"{{room:{sale.room_id}}}:sale:{sale.sale_id}:log")
    assert await persist(world, sale) == 2
    for _, record in records:  # as if the trim had never come
        await world.hot.redis.xadd(f"{{room:{sale.room_id}}}:sale:{sale.sale_id}:log", record)
    await tap(world, sale, "cai")
    assert await persist(world, sale) == 1
    assert len(await lines(world, sale)) == 3


async def test_numbers_that_redis_used_twice_after_losing_its_tail_keep_both_lines(world: World) -> None:
    sale = await world.open_sale(quota=5)
    await tap(world, sale, "ana", "bo")
    await persist(world, sale)
    await world.hot.redis.hset(
        f"{{room:{sale.room_id}}}:sale:{sale.sale_id}:meta", mapping={"seq": 1, "trimmed_seq": 1}
    )
    await tap(world, sale, "cai")
    assert await persist(world, sale) == 1
    found = [json.loads(line) for line, _ in await lines(world, sale)]
    assert [(one["n"], one["seq"]) for one in found] == [(1, 1), (2, 2), (3, 2)]


async def test_the_log_knows_who_still_holds_and_who_waits(world: World) -> None:
    sale = await world.open_sale(quota=3)
    key = (sale.room_id, sale.sale_id)
    await tap(world, sale, "ana", "bo", "cai")
    decisions, _ = await world.hot.decide(*key, [HoldRequest("w", f"w{n}", 1, wait=True) for n in range(3)])
    assert [one.decision for one in decisions] == ["waiting"] * 3
    (ana,) = await world.hot.buyer_holds(*key, "ana")
    (bo,) = await world.hot.buyer_holds(*key, "bo")
    await world.hot.leave(*key, "w1")
    await world.hot.release(*key, ana.hold_id, "ana")  # w0 is promoted
    await world.bind(world.hold(sale, "bo", hold_id=bo.hold_id))
    await persist(world, sale)
    async with world.database.read() as c:
        living = await allocation_log.living(c, sale, world.clock.now_ms)
        later = await allocation_log.living(c, sale, world.clock.now_ms + sale.hold_ms + 60_000)
    assert [one.buyer_id for one in living.soft_holds] == ["cai", "w0"]
    assert [one.buyer_id for one in living.ended_holds] == ["ana", "bo"]
    assert [one.buyer_id for one in living.waiting] == ["w2"]
    assert (await world.hot.buyer_holds(*key, "cai"))[0] in living.soft_holds
    assert later.soft_holds == []
    assert len(later.ended_holds) == 4


async def test_the_rush_is_counted_in_buckets_since_the_opening(world: World) -> None:
    sale = await world.open_sale(quota=1)
    for buyer in ("gu_ana", "gu_bo", "gu_cai"):
        await world.hot.decide(sale.room_id, sale.sale_id, [HoldRequest("r1", buyer, 1)])
    await allocation_log.persist(world.database, world.hot, sale.room_id, sale.sale_id)
    (first, *_), *_ = [await world.rows("SELECT MIN(at_ms) AS at_ms FROM allocation_entry")]
    opened_at_ms = first["at_ms"] - 1_234
    async with world.database.read() as c:
        rush = await allocation_log.rush(c, sale.sale_id, opened_at_ms, 1_000)
        late = await allocation_log.rush(c, sale.sale_id, opened_at_ms - 10_000_000, 1_000)
    assert rush.counts[0] == (1, "granted", 1)
    assert sum(many for _, decision, many in rush.counts if decision == "refused") == 2
    assert {number for number, _, _ in rush.counts} <= {1, 2, 3}
    assert rush.last_unit_ms == first["at_ms"]
    assert late.counts == []  # 2,000 buckets and no more
