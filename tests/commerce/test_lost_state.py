"""Whatever is lost under a running sale (a second of Redis, a replica's tail, SQL's connections, the time of day), its sums hold."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from commerce.database import Database, create_database
from commerce.errors import CommerceError, OutOfState, Refused, Unavailable
from commerce.hot_ledger import HoldRequest, HotLedger, connect_redis
from commerce.orders import Order
from commerce.reconciliation import persist_logs, reconcile
from commerce.sale_rules import Sale
from tests.commerce.databases import PostgresServer, postgres_server
from tests.commerce.world import World
from tests.services import RedisServer, running_redis, wait_until

QUOTA = 3


async def buy(world: World, sale: Sale, buyer: str) -> str:
    """Tap, bind and pay; the order id, or the reason of the refusal."""
    try:
        order, _ = await world.pay(await world.bind(await world.granted_hold(sale, buyer)))
    except AssertionError as refused:  # the tap was refused
        return str(refused)[:60]
    except CommerceError as error:
        return error.code
    return order.order_id


async def finish(world: World, sale: Sale) -> None:
    """Everybody tries once more; then at most the quota is sold, SQL is sound, and Redis says what SQL says."""
    await reconcile(world.database, world.hot, world.clock)
    for number in range(QUOTA + 2):
        await buy(world, sale, f"gu_late_{number}")
    await persist_logs(world.database, world.hot)
    await reconcile(world.database, world.hot, world.clock)
    after = await world.sale(sale.sale_id)
    assert after.sold == QUOTA, after
    await world.assert_sound()
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert (numbers.available, numbers.sold) == (after.base - numbers.soft, after.sold)


async def test_redis_comes_back_as_it_was_before_the_last_sales(database: Database, tmp_path: Path) -> None:
    with running_redis(tmp_path / "redis") as server:
        client = connect_redis(server.url)
        world = World(database, HotLedger(client))
        await world.stock_shelf()
        sale = await world.open_sale(quota=QUOTA)
        await reconcile(world.database, world.hot, world.clock)
        await buy(world, sale, "gu_ana")
        await client.save()
        shutil.copy(server.folder / "dump.rdb", tmp_path / "old.rdb")
        sold = await buy(world, sale, "gu_bo")
        soft = await world.granted_hold(sale, "gu_cai")
        server.kill()
        shutil.copy(tmp_path / "old.rdb", server.folder / "dump.rdb")
        server.start()
        with pytest.raises(
            Unavailable
        ):  # one call hears that its connection is gone; all others get new ones
            await world.hot.numbers(sale.room_id, sale.sale_id)
        assert (await reconcile(world.database, world.hot, world.clock))[0].rebuilt
        assert (await world.order(sold)).state == "paid"  # what was sold is sold
        await world.bind(soft)  # a living token binds, whatever Redis remembers
        with pytest.raises(Refused):
            await world.bind(world.hold(sale, "gu_dan"))
        order = (await world.rows("SELECT order_id FROM orders WHERE buyer_id = 'gu_cai'"))[0]
        await world.pay(await world.order(order["order_id"]))
        await finish(world, sale)
        await client.aclose()


async def test_a_replica_that_lost_the_tail_takes_over(database: Database, tmp_path: Path) -> None:
    with running_redis(tmp_path / "primary") as primary, running_redis(tmp_path / "replica") as replica:
        client, second = connect_redis(primary.url), connect_redis(replica.url)
        world = World(database, HotLedger(client))
        await world.stock_shelf()
        sale = await world.open_sale(quota=QUOTA)
        await reconcile(world.database, world.hot, world.clock)
        await buy(world, sale, "gu_ana")
        await follow(replica, primary)
        await second.execute_command("REPLICAOF", "NO", "ONE")  # here the link breaks
        sold = await buy(world, sale, "gu_bo")
        await persist_logs(world.database, world.hot)
        primary.kill()
        with pytest.raises(Unavailable):
            await world.hot.numbers(sale.room_id, sale.sale_id)
        failed_over = World(database, HotLedger(second), world.clock)
        failed_over.variant_id, failed_over.product_id = world.variant_id, world.product_id
        assert (await reconcile(database, failed_over.hot, world.clock))[0].rebuilt
        assert (await failed_over.order(sold)).state == "paid"
        await finish(failed_over, sale)
        await client.aclose()
        await second.aclose()


async def follow(replica: RedisServer, primary: RedisServer) -> None:
    client = connect_redis(replica.url)
    await client.execute_command("REPLICAOF", "127.0.0.1", str(primary.port))

    async def has_all() -> bool:
        info = await client.info("replication")
        return bool(info["master_link_status"] == "up")

    for _ in range(200):
        if await has_all():
            break
        await asyncio.sleep(0.05)
    assert await has_all()
    await client.aclose()


async def test_sql_cuts_every_connection_in_mid_sale(postgres: PostgresServer, redis_url: str) -> None:
    """PostgreSQL ends all sessions, as in a restart or a failover: calls fail or are answered, and each can be repeated."""
    name = postgres.take_database()
    database, client = create_database(postgres.url(name)), connect_redis(redis_url)
    world = World(database, HotLedger(client))
    await world.stock_shelf()
    sale = await world.open_sale(quota=QUOTA)
    holds = [await world.granted_hold(sale, f"gu_{number}") for number in range(QUOTA)]
    admin = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")

    async def cut_again_and_again() -> None:
        for _ in range(8):
            await asyncio.sleep(0.01)
            with admin.connect() as connection:
                connection.execute(cut, {"name": name})

    async def bind_until_answered(number: int) -> str:
        while True:
            try:
                return (await world.bind_apart(holds[number])).order_id
            except Unavailable:
                await asyncio.sleep(0.01)

    orders, _ = await asyncio.gather(
        asyncio.gather(*(bind_until_answered(number) for number in range(QUOTA))), cut_again_and_again()
    )
    assert len(set(orders)) == QUOTA
    assert [await bind_until_answered(number) for number in range(QUOTA)] == orders
    for order_id in orders:
        await world.pay(await world.order(order_id))
    assert (await world.sale(sale.sale_id)).sold == QUOTA
    await world.assert_sound()
    await client.aclose()
    await database.aclose()
    admin.dispose()
    postgres.give_back(name, altered=False)


async def test_sql_is_stopped_hard_and_comes_back_in_mid_sale(redis_url: str) -> None:
    """A PostgreSQL whose plug is pulled twice while orders are made and paid: what was answered is there afterwards."""
    with postgres_server(durable=True) as server:
        database = create_database(server.url(server.take_database()))
        client = connect_redis(redis_url)
        world = World(database, HotLedger(client))
        await world.stock_shelf()
        sale = await world.open_sale(quota=20, limit_per_buyer=20)
        holds = [await world.granted_hold(sale, f"gu_{number}") for number in range(20)]
        told: dict[int, str] = {}

        async def until_answered(call: Callable[[], Awaitable[Order]]) -> Order:
            while True:
                try:
                    return await call()
                except (Unavailable, OutOfState):  # away, or the try before is still being settled
                    await asyncio.sleep(0.02)

        async def shop(number: int) -> None:
            order = await until_answered(lambda: world.bind_apart(holds[number]))
            told[number] = order.order_id

            async def pay() -> Order:
                return (await world.pay(order, key=f"key-{number}"))[0]

            while (await until_answered(pay)).state != "paid":
                await until_answered(settle_what_is_open)

        async def settle_what_is_open() -> Order:
            world.clock.pass_ms(1)
            await world.cashier.poll_open_attempts()
            return await world.order(next(iter(told.values())))

        def at_least(share: int) -> bool:
            return len(told) >= share

        async def pull_the_plug() -> None:
            for share in (3, 10):
                await wait_until(partial(at_least, share), timeout_s=30)
                await asyncio.to_thread(server.stop_at_once)
                await asyncio.sleep(0.3)
                await asyncio.to_thread(server.start_again)

        async def in_turn(numbers: range) -> None:
            for number in numbers:
                await shop(number)

        await asyncio.gather(pull_the_plug(), *(in_turn(range(first, 20, 4)) for first in range(4)))
        assert len(set(told.values())) == 20
        assert {(await world.order(order_id)).state for order_id in told.values()} == {"paid"}
        assert (await world.sale(sale.sale_id)).sold == 20
        await reconcile(world.database, world.hot, world.clock)
        await world.assert_sound()
        await client.aclose()
        await database.aclose()


@pytest.mark.parametrize("step_ms", [3_700_000, -3_700_000])
async def test_the_clock_of_web_and_worker_steps_by_an_hour_and_back(
    database: Database, redis_url: str, step_ms: int
) -> None:
    """Redis' clock stays: it decides taps. SQL's side may refuse or let go early or late, and no sum breaks."""
    client = connect_redis(redis_url)
    world = World(database, HotLedger(client))
    await world.stock_shelf()
    sale = await world.open_sale(quota=QUOTA, duration_ms=86_400_000, hold_ms=3_600_000)
    await reconcile(world.database, world.hot, world.clock)
    placed = await world.bind(await world.granted_hold(sale, "gu_ana"))
    soft = await world.granted_hold(sale, "gu_bo")
    world.clock.pass_ms(step_ms)
    await world.desk.tick()
    await world.cashier.let_go()
    await reconcile(world.database, world.hot, world.clock)
    await world.assert_sound()
    if step_ms > 0:
        with pytest.raises(Refused, match="has ended"):
            await world.bind(soft)
    else:
        await world.pay(await world.bind(soft))
    world.clock.pass_ms(-step_ms)
    await world.desk.tick()
    after = await world.order(placed.order_id)
    assert after.state == ("expired" if step_ms > 0 else "placed")
    if after.state == "placed":
        await world.pay(after)
    requests = [HoldRequest("r9", f"gu_{number}", 1) for number in range(QUOTA)]
    await world.hot.decide(sale.room_id, sale.sale_id, requests)
    await reconcile(world.database, world.hot, world.clock)
    await world.assert_sound()
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert numbers.available + numbers.held + numbers.sold == QUOTA
    await client.aclose()


async def test_after_a_restart_of_redis_one_call_fails_and_not_one_per_connection(tmp_path: Path) -> None:
    with running_redis(tmp_path / "redis") as server:
        client = connect_redis(server.url)
        hot = HotLedger(client)
        await asyncio.gather(*(hot.numbers("rm_1", "sl_1") for _ in range(10)))  # ten connections
        server.kill()
        server.start()
        failed = 0
        for _ in range(12):
            try:
                await hot.numbers("rm_1", "sl_1")
            except Unavailable:
                failed += 1
        assert failed <= 1
        await client.aclose()
