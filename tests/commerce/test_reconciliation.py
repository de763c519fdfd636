"""Reconciliation: whatever Redis forgets, the sale goes on under the next epoch, and no unit is sold twice, lost or leaked."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commerce import allocation_log, crash_points, reconciliation
from commerce.crash_points import Crashed
from commerce.database import Database
from commerce.errors import Refused, Unavailable
from commerce.hold_tokens import HoldToken
from commerce.hot_ledger import Decision, HoldRequest, HotLedger, StockNumbers, connect_redis
from commerce.sale_rules import Sale
from tests.commerce.world import World
from tests.services import RedisServer, running_redis


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with running_redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
async def shop(database: Database, server: RedisServer) -> AsyncIterator[World]:
    """A world with a Redis of its own, so that the test may empty, kill and restart it."""
    client = connect_redis(server.url)
    made = World(database, HotLedger(client))
    await made.stock_shelf()
    yield made
    await client.aclose()


async def reconcile(shop: World) -> list[reconciliation.Reconciled]:
    return await reconciliation.reconcile(shop.database, shop.hot, shop.clock)


async def persist(shop: World, sale: Sale) -> None:
    await allocation_log.persist(shop.database, shop.hot, sale.room_id, sale.sale_id)


async def tap(shop: World, sale: Sale, buyer: str, request: str = "r1", *, wait: bool = False) -> Decision:
    decisions, _ = await shop.hot.decide(
        sale.room_id, sale.sale_id, [HoldRequest(request, buyer, 1, wait=wait)]
    )
    return decisions[0]


def token_of(shop: World, sale: Sale, decision: Decision) -> HoldToken:
    names = ("hold_id", "seq", "epoch", "granted_at_ms", "expires_at_ms")
    return shop.hold(sale, decision.buyer_id or "", **{name: getattr(decision, name) for name in names})


async def numbers(shop: World, sale: Sale) -> StockNumbers:
    found = await shop.hot.numbers(sale.room_id, sale.sale_id)
    assert found is not None
    return found


async def three(shop: World, sale: Sale) -> tuple[int, int, int]:
    found = await numbers(shop, sale)
    return found.available, found.held, found.sold


async def test_with_nothing_lost_a_pass_changes_nothing(shop: World) -> None:
    sale = await shop.open_sale(quota=3)
    await tap(shop, sale, "ana")
    before = await numbers(shop, sale)
    await reconcile(shop)
    (done,) = await reconcile(shop)
    assert not done.rebuilt
    assert replace(done.numbers, full_version=0) == replace(before, full_version=0)


async def test_a_missed_snapshot_arrives_with_the_next_pass(shop: World) -> None:
    sale = await shop.open_sale(quota=3)
    order = await shop.placed_order(sale, "ana")
    elsewhere = HotLedger(connect_redis("redis://127.0.0.1:1/0"))
    shop.cashier.hot_ledger = elsewhere  # this process can't reach Redis
    await shop.pay(order)
    assert await three(shop, sale) == (2, 1, 0)
    await reconcile(shop)
    assert await three(shop, sale) == (2, 0, 1)
    assert (await tap(shop, sale, "ana")).reason == "limit_reached"
    await elsewhere.redis.aclose()


async def test_a_bound_hold_that_redis_never_heard_of_is_counted_once_after_the_next_pass(
    shop: World,
) -> None:
    sale = await shop.open_sale(quota=3)
    hold = await tap(shop, sale, "ana")
    with crash_points.armed("bind.committed"), pytest.raises(Crashed):
        await shop.bind(token_of(shop, sale, hold))
    assert await three(shop, sale) == (2, 1, 0)
    await reconcile(shop)
    found = await numbers(shop, sale)
    assert (found.available, found.held, found.soft) == (2, 1, 0)


async def test_the_next_end_of_a_hold_counts_unpaid_orders(shop: World) -> None:
    sale = await shop.open_sale(quota=1)
    hold = await tap(shop, sale, "ana")
    order = await shop.bind(token_of(shop, sale, hold))
    await reconcile(shop)
    assert (await numbers(shop, sale)).next_hold_ends_at_ms == order.deadline_ms
    assert (await tap(shop, sale, "bo")).next_hold_ends_at_ms == order.deadline_ms


async def test_redis_emptied_in_mid_sale_the_sale_goes_on_without_overselling(shop: World) -> None:
    sale = await shop.open_sale(quota=4)
    holds = [await tap(shop, sale, buyer) for buyer in ("ana", "bo", "cai")]
    await shop.pay(await shop.bind(token_of(shop, sale, holds[0])))
    await persist(shop, sale)
    await shop.hot.redis.flushall()
    assert (await tap(shop, sale, "dan")).reason == "not_loaded"
    (done,) = await reconcile(shop)
    assert (done.rebuilt, done.numbers.epoch) == (True, 2)
    # ana paid; bo's and cai's holds live on; one unit is left.
    assert await three(shop, sale) == (1, 2, 1)
    assert await tap(shop, sale, "bo") == holds[1]
    assert (await tap(shop, sale, "dan")).decision == "granted"
    assert (await tap(shop, sale, "eve")).reason == "all_held"
    for hold in holds[1:]:  # tokens of the old epoch are as good as ever
        await shop.bind(token_of(shop, sale, hold))
    assert await three(shop, sale) == (0, 3, 1)
    (again,) = await reconcile(shop)
    assert not again.rebuilt
    await shop.assert_sound()


async def test_a_hold_lost_before_it_was_persisted_may_bind_as_long_as_there_is_a_unit(shop: World) -> None:
    sale = await shop.open_sale(quota=1)
    lost = await tap(shop, sale, "ana")
    await shop.hot.redis.flushall()
    await reconcile(shop)
    second = await tap(shop, sale, "bo")
    assert second.decision == "granted"  # Redis can't know better
    await shop.bind(token_of(shop, sale, lost))
    with pytest.raises(Refused) as refused:
        await shop.bind(token_of(shop, sale, second))
    assert refused.value.code == "sold_out_late"
    await shop.assert_sound()


async def test_numbering_goes_on_after_what_is_persisted(shop: World) -> None:
    sale = await shop.open_sale(quota=9)
    for buyer in ("ana", "bo", "cai"):
        await tap(shop, sale, buyer)
    await persist(shop, sale)
    await shop.hot.redis.flushall()
    await reconcile(shop)
    assert (await tap(shop, sale, "dan")).seq == 4


async def test_a_restarted_redis_that_kept_its_data_is_rebuilt_all_the_same(
    database: Database, tmp_path: Path
) -> None:
    with running_redis(tmp_path / "durable", durable=True) as server:
        client = connect_redis(server.url)
        shop = World(database, HotLedger(client))
        await shop.stock_shelf()
        sale = await shop.open_sale(quota=3)
        hold = await tap(shop, sale, "ana")
        await reconcile(shop)
        server.kill()
        with pytest.raises(Unavailable):
            await reconcile(shop)
        server.start()
        (done,) = await reconcile(shop)
        # Its log was still there, so nothing is lost.
        assert (done.rebuilt, done.numbers.epoch) == (True, 2)
        assert (done.numbers.available, done.numbers.held) == (2, 1)
        assert await tap(shop, sale, "ana") == hold
        (again,) = await reconcile(shop)
        assert not again.rebuilt
        await client.aclose()


async def test_numbers_that_go_back_mean_a_lost_tail_and_a_new_epoch(shop: World) -> None:
    sale = await shop.open_sale(quota=3)
    for buyer in ("ana", "bo"):
        await tap(shop, sale, buyer)
    await persist(shop, sale)
    key = f"{{room:{sale.room_id}}}:sale:{sale.sale_id}:"
    hold_id = (await shop.hot.buyer_holds(sale.room_id, sale.sale_id, "bo"))[0].hold_id
    await shop.hot.redis.hset(key + "meta", mapping={"seq": 1, "soft": 1})  # a failover lost bo's hold
    await shop.hot.redis.hdel(key + "holds", hold_id)
    await shop.hot.redis.zrem(key + "deadlines", hold_id)
    (done,) = await reconcile(shop)
    assert (done.rebuilt, done.numbers.epoch, done.numbers.held) == (True, 2, 2)


async def test_the_wait_list_survives_an_emptied_redis_in_its_order(shop: World) -> None:
    sale = await shop.open_sale(quota=1)
    hold = await tap(shop, sale, "ana")
    for buyer in ("bo", "cai", "dan"):
        await tap(shop, sale, buyer, wait=True)
    await shop.hot.leave(sale.room_id, sale.sale_id, "cai")
    await persist(shop, sale)
    await shop.hot.redis.flushall()
    await reconcile(shop)
    places = [await shop.hot.place(sale.room_id, sale.sale_id, buyer) for buyer in ("bo", "cai", "dan")]
    assert places == [1, None, 2]
    assert (await tap(shop, sale, "bo", wait=True)).place == 1
    assert hold.hold_id
    await shop.hot.release(sale.room_id, sale.sale_id, hold.hold_id, "ana")
    (swept,) = await reconciliation.sweep(shop.database, shop.hot)
    assert [(one.kind, one.buyer_id) for one in swept.notices] == [("promoted", "bo")]


async def test_a_sale_lost_before_it_opened_is_loaded_in_its_epoch(shop: World) -> None:
    sale = await shop.armed_sale(quota=3)
    await shop.hot.redis.flushall()
    (done,) = await reconcile(shop)
    assert (done.rebuilt, done.numbers.epoch, done.numbers.available) == (False, 1, 3)
    assert sale.epoch == 1


async def test_a_rebuild_after_a_payment_outage_keeps_what_holds_have_gained(shop: World) -> None:
    sale = await shop.open_sale(quota=2, hold_ms=60_000)
    hold = await shop.granted_hold(sale, "gu_ana")
    await persist(shop, sale)
    await shop.desk.pause(sale.sale_id, "payment_outage")
    shop.clock.pass_ms(100_000)
    await shop.desk.resume(sale.sale_id)
    await shop.hot.redis.flushall()
    await reconcile(shop)
    (kept,) = await shop.hot.buyer_holds(sale.room_id, sale.sale_id, "gu_ana")
    assert kept.expires_at_ms == hold.expires_at_ms + 100_000


async def test_two_rebuilders_at_once_leave_one_epoch_and_one_truth(shop: World) -> None:
    sale = await shop.open_sale(quota=50)
    await tap(shop, sale, "ana")
    await persist(shop, sale)
    await shop.hot.redis.flushall()
    granted: list[Decision] = []

    async def rush() -> None:
        while len(granted) < 20:
            with suppress(Unavailable):
                answer = await tap(shop, sale, f"b{len(granted)}", uuid.uuid4().hex)
                granted.extend([answer] if answer.decision == "granted" else [])

    await asyncio.gather(rush(), *(reconcile(shop) for _ in range(4)), return_exceptions=True)
    await reconcile(shop)
    found = await numbers(shop, sale)
    assert found.epoch == (await shop.sale(sale.sale_id)).epoch
    # What was granted while the others still rebuilt is held: nobody loads the same epoch over it.
    assert (found.available, found.held) == (29, 21)
    (again,) = await reconcile(shop)
    assert not again.rebuilt


@pytest.mark.parametrize("place", ["rebuild.fenced", "rebuild.epoch_raised"])
async def test_a_rebuilder_that_dies_half_way_is_finished_by_the_next(shop: World, place: str) -> None:
    sale = await shop.open_sale(quota=5)
    hold = await tap(shop, sale, "ana")
    await reconcile(shop)
    async with shop.database.begin() as c:  # what a restart leads to
        await c.exec_driver_sql("UPDATE redis_incarnation SET run_id = 'another'")
    with crash_points.armed(place) as fired, pytest.raises(Crashed):
        await reconcile(shop)
    assert fired == [place]
    if place == "rebuild.fenced":
        assert (await tap(shop, sale, "bo")).reason == "not_loaded"
    await reconcile(shop)
    found = await numbers(shop, sale)
    assert (found.available, found.held) == (4, 1)
    assert found.epoch == (await shop.sale(sale.sale_id)).epoch
    assert await tap(shop, sale, "ana") == hold
    (again,) = await reconcile(shop)
    assert not again.rebuilt


async def test_what_an_old_epoch_logged_last_is_not_lost_by_the_rebuild(shop: World) -> None:
    sale = await shop.open_sale(quota=5)
    await reconcile(shop)
    for buyer in ("ana", "bo"):
        await tap(shop, sale, buyer)  # not persisted yet
    async with shop.database.begin() as c:
        await c.exec_driver_sql("UPDATE redis_incarnation SET run_id = 'another'")
    await reconcile(shop)
    assert await three(shop, sale) == (3, 2, 0)
    async with shop.database.read() as c:
        assert await allocation_log.count(c, sale.sale_id) == 2


async def test_sweeping_tells_each_buyer_until_it_is_told(shop: World) -> None:
    sale = await shop.open_sale(quota=1, duration_ms=600_000)
    await tap(shop, sale, "ana")
    shop.hot.clock_offset_ms = sale.hold_ms + 10_000
    (swept,) = await reconciliation.sweep(shop.database, shop.hot)
    assert [(one.kind, one.buyer_id) for one in swept.notices] == [("expired", "ana")]
    assert swept.numbers.available == 1
    (again,) = await reconciliation.sweep(shop.database, shop.hot)
    assert again.notices == swept.notices
    await reconciliation.told(shop.hot, again)
    assert await reconciliation.sweep(shop.database, shop.hot) == []


async def test_a_finished_sale_is_forgotten_an_hour_after_it_was_published(shop: World) -> None:
    sale = await shop.open_sale(quota=1)
    await tap(shop, sale, "ana")
    await shop.desk.end_early(sale.sale_id)
    shop.clock.pass_ms(sale.hold_ms + 60_000)
    shop.hot.clock_offset_ms += sale.hold_ms + 60_000
    await reconciliation.sweep(shop.database, shop.hot)
    await shop.desk.tick()
    await reconciliation.persist_logs(shop.database, shop.hot)
    await shop.desk.tick()
    published = await shop.sale(sale.sale_id)
    assert (published.state, published.log_root is not None) == ("published", True)
    assert await reconciliation.drop_finished(shop.database, shop.hot, shop.clock.now_ms) == 0
    shop.clock.pass_ms(3_600_000)
    assert await reconciliation.drop_finished(shop.database, shop.hot, shop.clock.now_ms) == 1
    assert await shop.hot.redis.keys(f"*{sale.sale_id}*") == []
    assert await reconciliation.drop_finished(shop.database, shop.hot, shop.clock.now_ms) == 0
