"""Web, worker, hub and doctor with FLASHROOM_REDIS_URL naming a Redis Cluster."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from redis.exceptions import RedisError

from commerce.clock import wall_clock_ms
from live import doctor, open_consoles, processes, rooms
from live.decision_times import DecisionTimes, decision_times
from live.dev import _has_beaten
from live.hub_service import serve
from live.jobs import run_once
from live.limits import Limit, Limits, TooMany
from live.metrics import WorkerMetrics
from live.settings import Settings, SettingsError
from live.worker import Worker
from realtime.client import RoomClient
from realtime.cluster import ClusterClient
from realtime.publisher import BrokerUnavailable
from realtime.tickets import Viewer, sign_ticket
from tests.live.conftest import Shop, opened
from tests.live.test_projector import buy, events_of
from tests.redis_cluster import Cluster, running_cluster
from tests.services import free_port, wait_until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, cluster: Cluster, empty_database: Path) -> Settings:
    shutil.copy(empty_database, tmp_path / "flashroom.db")
    return Settings.read(
        {
            "FLASHROOM_DATA_DIR": str(tmp_path),
            "FLASHROOM_REDIS_URL": cluster.url,
            "FLASHROOM_HUB_PORT": str(free_port()),
            "FLASHROOM_HOST": "127.0.0.1",
        }
    )


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with opened(settings) as made:
        yield made


async def test_a_unit_is_sold_and_the_room_hears_of_it(shop: Shop, settings: Settings) -> None:
    transport = httpx.ASGITransport(shop.app, client=("127.0.0.1", 1))
    stop = asyncio.Event()
    hub = asyncio.create_task(serve(settings, stop))
    await wait_until(lambda: not processes.port_is_free("127.0.0.1", settings.hub_port), 10, "the hub")
    key = settings.key("ticket")
    viewer = Viewer("gu_watch", "Watcher", "viewer", shop.room_id, False)

    async def ticket() -> str:
        return sign_ticket(key, viewer, wall_clock_ms())

    async with (
        httpx.AsyncClient(transport=transport) as client,
        RoomClient(f"ws://127.0.0.1:{settings.hub_port}/v1", ticket) as room,
    ):
        worker = Worker(shop.wiring, client, WorkerMetrics())
        sale = await shop.open_sale(await shop.staff("host"))
        held = await room.command("hold", request_id="request-watch", sale_id=sale["sale_id"], quantity=1)
        assert held["decision"] == "granted"
        await buy(shop, sale["sale_id"])

        async def told() -> bool:
            answers = [await run_once(job, WorkerMetrics()) for job in worker.jobs()]
            assert None not in answers
            return [type_ for type_, _ in await events_of(shop)].count("order") == 1

        await wait_until(told, 15, "the order to be told")
        stock = f"stock:{sale['sale_id']}"
        await wait_until(
            lambda: (
                stock in room.values
                and room.values[stock][1]["sold"] == 1
                and room.values[stock][1]["held"] == 1
            )
        )
        assert await worker.check_invariants() == 0
    stop.set()
    await hub


async def test_a_node_that_is_away_keeps_no_other_rooms_waiting(settings: Settings, tmp_path: Path) -> None:
    with running_cluster(tmp_path / "cluster") as cluster:
        async with opened(replace(settings, redis_url=cluster.url)) as shop, httpx.AsyncClient() as client:
            broker, worker = shop.wiring.broker, Worker(shop.wiring, client, WorkerMetrics())
            async with shop.wiring.database.begin() as c:
                for n in range(12):  # older and newer than the others, on all nodes
                    await rooms.create(
                        c,
                        room_id=f"rm_{n}",
                        title={"en": "Another"},
                        host_name="Ann",
                        rehearsal=False,
                        product_ids=[],
                        now_ms=n,
                    )
            async with shop.wiring.database.read() as c:
                names = [room.room_id for room in await rooms.list_all(c)]
            dead = cluster.nodes[cluster.number_of(f"{{room:{names[0]}}}")]
            dead.kill()
            with pytest.raises((BrokerUnavailable, RedisError)):
                await worker.publish_values()
            for name in names:
                if cluster.nodes[cluster.number_of(f"{{room:{name}}}")] is not dead:
                    assert "room" in await broker.values(name), name
            assert len({broker.node_of(name) for name in names}) == 3


async def test_rate_limits_are_counted(shop: Shop) -> None:
    limits = Limits(shop.wiring.redis)
    for principal in ("gu_a", "gu_b", "gu_c", "gu_d"):  # whatever node counts them
        for _ in range(2):
            await limits.take(Limit("cluster", 2, 60_000), principal, "1.1.1.1")
        with pytest.raises(TooMany):
            await limits.take(Limit("cluster", 2, 60_000), principal, "1.1.1.1")


async def test_the_doctor_sees_every_primary(shop: Shop, settings: Settings) -> None:
    await processes.beat(shop.wiring.redis, "worker", 5)
    finding = await doctor._redis(settings)
    assert finding.ok
    assert "on 3 primaries, plain pub/sub" in finding.text
    assert "a worker is at work" in finding.text
    assert await asyncio.to_thread(_has_beaten, settings.redis_url, "worker", 4)
    assert not await asyncio.to_thread(_has_beaten, settings.redis_url, "worker", 6)
    redis = shop.wiring.redis
    assert isinstance(redis, ClusterClient)
    await redis.node(redis.primaries[2]).config_set("maxmemory-policy", "allkeys-lru")
    assert (await doctor._redis(settings)).ok is False


async def test_a_cluster_that_is_not_there_is_waited_for(settings: Settings) -> None:
    nobody = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    with pytest.raises(processes.CannotStart, match="does not answer"):
        await processes.wait_for_redis(nobody, 0.0)
    one_of_them = nobody + "," + settings.redis_url.rpartition(",")[2]
    await processes.wait_for_redis(one_of_them, 0.0)


def test_a_wrong_url_is_explained_and_its_password_is_not_shown(tmp_path: Path) -> None:
    for wrong in (
        "redis+cluster://:hunter2@",
        "redis+cluster://:hunter2@a/3",
        "redis+cluster://:hunter2@a:x",
        "redis+sentinel://:hunter2@a:26379",
        "redis://user:hunter2",
    ):
        with pytest.raises(SettingsError, match="FLASHROOM_REDIS_URL can't be used") as caught:
            Settings.read({"FLASHROOM_DATA_DIR": str(tmp_path), "FLASHROOM_REDIS_URL": wrong})
        assert "hunter2" not in str(caught.value)


async def test_what_web_and_hub_note_about_a_room_works_in_a_cluster(shop: Shop) -> None:
    redis, now_ms = shop.wiring.redis, wall_clock_ms()
    for user_id in ("us_a", "us_b"):
        await open_consoles.saw(redis, shop.room_id, user_id, now_ms)
    assert await open_consoles.who(redis, shop.room_id, now_ms) == {"us_a", "us_b"}
    times = DecisionTimes(redis, lambda: now_ms)
    times.count(shop.room_id, 0.004)
    assert await times.report() == 1
    assert [one.count for one in await decision_times(redis, shop.room_id)] == [1]
