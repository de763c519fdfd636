"""The hot ledger on a Redis Cluster: every script stays in its room's slot, and a node that dies takes its own sales with it only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from commerce.database import Database
from commerce.errors import Unavailable
from commerce.hot_ledger import HoldRequest, HotLedger
from commerce.reconciliation import persist_logs, reconcile, sweep
from commerce.sale_rules import Sale
from realtime.broker import connect_redis
from realtime.cluster import ClusterClient
from tests.commerce.world import World
from tests.redis_cluster import Cluster, running_cluster
from tests.services import wait_until

FAILOVER_S = 20.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[ClusterClient]:
    opened = connect_redis(cluster.url)
    assert isinstance(opened, ClusterClient)
    yield opened
    await opened.aclose()


async def shop(database: Database, client: ClusterClient, room_id: str) -> World:
    world = World(database, HotLedger(client))
    world.room_id = room_id
    await world.stock_shelf()
    return world


def taps(*buyers: str, wait: bool = False) -> list[HoldRequest]:
    return [HoldRequest(f"request-{buyer}", buyer, 1, wait=wait) for buyer in buyers]


async def test_a_sale_runs_on_each_node(database: Database, cluster: Cluster, client: ClusterClient) -> None:
    for number in range(3):
        world = await shop(database, client, cluster.room_on(number))
        sale = await world.open_sale(quota=2)
        await reconcile(database, world.hot, world.clock)
        order, _ = await world.pay(await world.bind(await world.granted_hold(sale, "gu_ana")))
        assert order.state == "paid"
        decisions, numbers = await world.hot.decide(
            sale.room_id, sale.sale_id, taps("gu_bo", "gu_cai", "gu_dan")
        )
        assert [one.decision for one in decisions] == ["granted", "refused", "refused"]
        (waits,), _ = await world.hot.decide(sale.room_id, sale.sale_id, taps("gu_eve", wait=True))
        assert waits.decision == "waiting"
        assert await world.hot.place(sale.room_id, sale.sale_id, "gu_eve") == 1
        assert await world.hot.queue(sale.room_id, sale.sale_id, 9) == ["gu_eve"]
        hold_id = decisions[0].hold_id
        assert [one.hold_id for one in await world.hot.buyer_holds(sale.room_id, sale.sale_id, "gu_bo")] == [
            hold_id
        ]
        assert (await world.hot.release(sale.room_id, sale.sale_id, hold_id, "gu_bo"))[0]
        (word,) = await sweep(database, world.hot)
        assert [notice.buyer_id for notice in word.notices] == ["gu_eve"]  # served from the wait list
        await world.hot.trim_notices(sale.room_id, sale.sale_id, word.record_ids)
        await world.hot.lengthen(sale.room_id, sale.sale_id, 1000, 1)
        await world.hot.leave(sale.room_id, sale.sale_id, "gu_nobody")
        assert await persist_logs(database, world.hot) > 0
        assert await world.hot.log_is_empty(sale.room_id, sale.sale_id)
        numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
        assert numbers is not None
        assert (numbers.available, numbers.held, numbers.sold) == (0, 1, 1)
        await world.assert_sound()
        for node_number, node in enumerate(cluster.nodes):
            theirs = [key for key in cluster.ask(node, "KEYS", "*") if world.room_id.encode() in key]
            assert bool(theirs) == (node_number == number)
        await world.hot.fence(sale.room_id, sale.sale_id, numbers.epoch)
        await world.hot.drop(sale.room_id, sale.sale_id)
        await reconcile(database, world.hot, world.clock)
        await world.desk.end_early(sale.sale_id)


async def test_a_drawn_sale_runs_on_a_cluster(
    database: Database, cluster: Cluster, client: ClusterClient
) -> None:
    world = await shop(database, client, cluster.room_on(1))
    sale = await world.open_sale(quota=1, rule="fair_window", window_ms=250)
    buyers = [f"gu_{n}" for n in range(5)]
    await world.hot.decide(sale.room_id, sale.sale_id, taps(*buyers))

    async def drawn() -> bool:
        await world.hot.sweep(sale.room_id, sale.sale_id)
        numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
        return numbers is not None and not numbers.undrawn and numbers.held == 1

    await wait_until(drawn)


async def test_a_node_that_is_taken_over_costs_its_own_sales_an_epoch(
    database: Database, tmp_path: Path
) -> None:
    with running_cluster(tmp_path, replicas=3) as cluster:
        client = connect_redis(cluster.url)
        assert isinstance(client, ClusterClient)
        hurt, well = [await shop(database, client, cluster.room_on(number)) for number in (0, 1)]
        sales: dict[World, Sale] = {world: await world.open_sale(quota=3) for world in (hurt, well)}
        await reconcile(database, hurt.hot, hurt.clock)
        assert [one.rebuilt for one in await reconcile(database, hurt.hot, hurt.clock)] == [False, False]
        soft = await hurt.granted_hold(sales[hurt], "gu_ana")
        await persist_logs(database, hurt.hot)

        cluster.nodes[0].kill()
        with pytest.raises(Unavailable):
            await hurt.hot.numbers(hurt.room_id, sales[hurt].sale_id)
        # While nobody has its slots, the other node's sales are looked after, and sell.
        done = await reconcile(database, hurt.hot, hurt.clock)
        assert {(one.room_id, one.rebuilt) for one in done} >= {(well.room_id, False)}
        await sweep(database, hurt.hot)
        await well.pay(await well.bind(await well.granted_hold(sales[well], "gu_bo")))

        async def rebuilt() -> bool:
            done = await reconcile(database, hurt.hot, hurt.clock)
            assert not any(one.rebuilt for one in done if one.room_id == well.room_id)
            return any(one.rebuilt for one in done if one.room_id == hurt.room_id)

        await wait_until(rebuilt, FAILOVER_S, "the sale to be rebuilt on the replica")
        await hurt.pay(await hurt.bind(soft))  # granted before, bound after
        assert [one.rebuilt for one in await reconcile(database, hurt.hot, hurt.clock)] == [False, False]
        for world, sale in sales.items():
            await world.assert_sound()
            numbers = await world.hot.numbers(world.room_id, sale.sale_id)
            assert numbers is not None
            assert (numbers.available, numbers.sold) == (2, 1)
        await client.aclose()


async def test_a_cluster_that_is_all_gone_is_unavailable(database: Database, tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        client = connect_redis(cluster.url)
        assert isinstance(client, ClusterClient)
        world = await shop(database, client, cluster.room_on(0))
        await world.open_sale()
        await reconcile(database, world.hot, world.clock)
        for node in cluster.nodes:
            await asyncio.to_thread(node.kill)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await reconcile(database, world.hot, world.clock)
        await client.aclose()
