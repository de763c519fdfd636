"""Redis dies, freezes, comes back empty or with its last events lost: viewers stay, are told, and nothing stays wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from realtime import broker as broker_module
from realtime import hub as hub_module
from realtime import pubsub
from realtime.broker import Broker, BrokerUnavailable
from realtime.protocol import CommandError
from tests.realtime.hubs import QUICK_TOTALS, RunningHub, running_hub, watching
from tests.services import free_port, running_redis, wait_until
from tests.tcp_proxy import running_proxy

pytestmark = pytest.mark.usefixtures("impatient")


def comment(text: str) -> tuple[str, dict[str, Any]]:
    return ("comment", {"text": text})


def is_connected(hub: RunningHub) -> bool:
    return hub.hub._subscription.connected.is_set()


@pytest.mark.usefixtures("quick_peak")
async def test_redis_comes_back_empty_and_everything_resumes_by_itself(tmp_path: Path, room_id: str) -> None:
    with running_redis(tmp_path) as server:
        async with (
            running_hub(server.url, QUICK_TOTALS) as one,
            running_hub(server.url, QUICK_TOTALS) as other,
            watching(one.url, room_id) as a,
            watching(other.url, room_id) as b,
        ):
            await a.client.command("comment", text="before")
            await a.client.command("like", count=40)
            await wait_until(lambda: b.client.values.get("likes") == (40, {"total": 40}))
            await one.broker.publish(room_id, values={"stock:a": (9, {"available": 1})})
            await wait_until(lambda: b.texts == ["before"] and "stock:a" in b.client.values)
            epoch = a.client.epoch

            server.kill()
            await wait_until(lambda: a.client.mode["chat"] == b.client.mode["chat"] == "paused")
            with pytest.raises(CommandError) as refused:
                await a.client.command("comment", text="lost")
            assert refused.value.code == "unavailable"
            await a.client.command("like", count=2)
            assert (await a.client.command("ping"))["server_time_ms"]

            server.start()
            await wait_until(lambda: a.client.mode["chat"] == b.client.mode["chat"] == "full")
            assert a.client.close_codes == b.client.close_codes == []
            assert a.client.epoch == b.client.epoch != epoch
            assert a.client.jumps == b.client.jumps == 1
            assert "stock:a" not in a.client.values
            await b.client.command("comment", text="after")
            await wait_until(lambda: a.texts == b.texts == ["before", "after"])
            # A lower version than before the loss: it is the truth now.
            await one.broker.publish(room_id, values={"stock:a": (1, {"available": 5})})
            await wait_until(lambda: b.client.values.get("stock:a") == (1, {"available": 5}))
            await wait_until(lambda: b.client.values.get("likes") == (42, {"total": 42}))
            await wait_until(lambda: b.client.values["watching"][1] == {"count": 2, "peak": 2})


async def test_a_durable_redis_restarts_and_nobody_jumps(tmp_path: Path, room_id: str) -> None:
    with running_redis(tmp_path, durable=True) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub, watching(hub.url, room_id, "gu_a") as viewer:
            writer = await Broker.connect(server.url)
            await writer.publish(room_id, events=[comment("a")])
            await writer.publish_personal(room_id, "gu_a", "order", {"n": 1})
            await wait_until(lambda: viewer.texts == ["a"] and len(viewer.personal) == 1)
            await writer.redis.config_set("appendfsync", "always")
            await writer.publish(room_id, events=[comment("b")])
            server.kill()
            server.start()
            # Published before the hub is back: it has to be read from the stream.
            for _ in range(2):
                with contextlib.suppress(RedisError, BrokerUnavailable):
                    await writer.publish(room_id, events=[comment("c")], once="c")
                    await writer.publish_personal(room_id, "gu_a", "order", {"n": 2}, once="2")
            await wait_until(lambda: viewer.texts == ["a", "b", "c"])
            await wait_until(lambda: [data["n"] for _, data in viewer.personal] == [1, 2])
            assert viewer.client.jumps == 0
            assert viewer.client.close_codes == []
            await writer.aclose()


async def test_a_frozen_redis_pauses_the_chat_and_a_thawed_one_resumes_it(
    tmp_path: Path, room_id: str
) -> None:
    with running_redis(tmp_path) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub, watching(hub.url, room_id) as viewer:
            await viewer.client.command("comment", text="before")
            server.freeze()
            await wait_until(lambda: viewer.client.mode["chat"] == "paused")
            server.thaw()
            await wait_until(lambda: viewer.client.mode["chat"] == "full")
            await viewer.client.command("comment", text="after")
            await wait_until(lambda: viewer.texts == ["before", "after"])
            assert (viewer.client.jumps, viewer.client.close_codes) == (0, [])


@pytest.mark.parametrize("comes_back", ["as it was", "empty"])
async def test_redis_stops_for_ten_seconds_under_the_timings_of_production(
    tmp_path: Path, room_id: str, monkeypatch: pytest.MonkeyPatch, comes_back: str
) -> None:
    monkeypatch.undo()
    with running_redis(tmp_path) as server:
        async with (
            running_hub(server.url) as one,
            running_hub(server.url) as other,
            watching(one.url, room_id) as a,
            watching(other.url, room_id) as b,
        ):
            await a.client.command("comment", text="before")
            await wait_until(lambda: b.texts == ["before"])
            frozen_s = time.monotonic()
            server.freeze()
            await wait_until(lambda: a.client.mode["chat"] == b.client.mode["chat"] == "paused", 8)
            with pytest.raises(CommandError) as refused:
                await a.client.command("comment", text="lost")
            assert refused.value.code == "unavailable"
            await b.client.command("like", count=3)
            await wait_until(lambda: time.monotonic() - frozen_s > 10, 11)
            if comes_back == "empty":
                server.kill()
                server.start()
            else:
                server.thaw()
            await wait_until(lambda: a.client.mode["chat"] == b.client.mode["chat"] == "full", 10)
            await publish_until_taken(one.broker, room_id, "after")
            await publish_until_taken(other.broker, room_id, "on")
            await wait_until(lambda: a.texts == b.texts == ["before", "after", "on"])
            await wait_until(lambda: a.client.values.get("likes") == (3, {"total": 3}), 10)
            jumps = 1 if comes_back == "empty" else 0
            assert (a.client.jumps, b.client.jumps) == (jumps, jumps)
            assert a.client.close_codes == b.client.close_codes == []


async def test_a_subscription_that_went_deaf_is_noticed_by_its_own_probe(
    tmp_path: Path, room_id: str
) -> None:
    with running_redis(tmp_path) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub, watching(hub.url, room_id) as viewer:
            # The socket stays open and healthy, yet nothing comes any more: as after a failover.
            assert hub.hub._subscription._transport is not None
            hub.hub._subscription._transport.write(b"*1\r\n$11\r\nUNSUBSCRIBE\r\n")
            await hub.broker.publish(room_id, events=[comment("unheard")])
            await wait_until(lambda: viewer.texts == ["unheard"])
            assert viewer.client.jumps == 0
            assert hub.hub.metrics.redis_reconnects._value.get() == 1


async def test_events_that_redis_lost_begin_a_new_epoch_on_every_hub(tmp_path: Path, room_id: str) -> None:
    with running_redis(tmp_path) as server:
        async with (
            running_hub(server.url, QUICK_TOTALS) as one,
            running_hub(server.url, QUICK_TOTALS) as other,
            watching(one.url, room_id) as a,
            watching(other.url, room_id) as b,
        ):
            for n in range(5):
                await one.broker.publish(room_id, events=[comment(str(n))])
            await wait_until(lambda: a.client.offset == b.client.offset == 5)
            epoch = a.client.epoch
            # What an asynchronous replica has after a failover: the same epoch, without the tail.
            await one.broker.redis.xdel(f"{{room:{room_id}}}:rt:events", "4-1", "5-1")
            await one.broker.redis.execute_command("XSETID", f"{{room:{room_id}}}:rt:events", "3-1")  # type: ignore[no-untyped-call]
            await one.broker.redis.hset(f"{{room:{room_id}}}:rt:meta", "offset", "3")
            await one.broker.publish(room_id, events=[comment("other 3")])
            await wait_until(lambda: a.texts[-1:] == b.texts[-1:] == ["other 3"])
            assert a.client.epoch == b.client.epoch != epoch
            assert (a.client.jumps, b.client.jumps) == (1, 1)
            await one.broker.publish(room_id, events=[comment("on")])
            await wait_until(lambda: a.texts[-2:] == b.texts[-2:] == ["other 3", "on"])


async def test_a_message_lost_on_the_way_is_read_from_the_stream(tmp_path: Path, room_id: str) -> None:
    with running_redis(tmp_path) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub, watching(hub.url, room_id) as viewer:
            await hub.broker.publish(room_id, events=[comment("a")])
            await wait_until(lambda: viewer.texts == ["a"])
            room = hub.hub._rooms[room_id]
            take, room.receive = room.receive, lambda payload: None  # type: ignore[method-assign]
            await hub.broker.publish(room_id, events=[comment("b")])
            room.receive = take  # type: ignore[method-assign]
            await hub.broker.publish(room_id, events=[comment("c")])
            await wait_until(lambda: viewer.texts == ["a", "b", "c"])
            assert viewer.client.jumps == 0


async def publish_until_taken(broker: Broker, room_id: str, text: str) -> None:
    """As a caller does: a pooled connection from before the restart fails once, and the key keeps a repeat from being said twice."""
    for _ in range(100):
        with contextlib.suppress(BrokerUnavailable):
            await broker.publish(room_id, events=[comment(text)], once=f"said:{room_id}:{text}")
            return
    raise AssertionError("nobody took it")


async def test_viewers_of_many_rooms_all_come_through_a_restart(tmp_path: Path) -> None:
    rooms = [f"rm_{n}" for n in range(80)]
    with running_redis(tmp_path) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub:
            visits = [watching(hub.url, room_id) for room_id in rooms]
            viewers = [await visit.__aenter__() for visit in visits]
            server.kill()
            await wait_until(lambda: not is_connected(hub))
            server.start()
            await wait_until(lambda: all(v.client.mode["chat"] == "full" for v in viewers))
            await asyncio.gather(*(publish_until_taken(hub.broker, room, "on") for room in rooms))
            await wait_until(lambda: all(v.texts == ["on"] for v in viewers))
            for visit in visits:
                await visit.__aexit__(None, None, None)


@pytest.mark.parametrize("bound", [8, 10_000], ids=["bounded", "control without a bound"])
async def test_rooms_are_read_again_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int
) -> None:
    monkeypatch.setattr(hub_module, "TOTALS_AT_ONCE", bound)
    rooms = [f"rm_{n}" for n in range(100)]
    with running_redis(tmp_path) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub, contextlib.AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(watching(hub.url, room_id)) for room_id in rooms]
            under_way = most = 0
            load = hub.broker.load

            async def counted(*args: Any) -> Any:
                nonlocal under_way, most
                under_way += 1
                most = max(most, under_way)
                try:
                    return await load(*args)
                finally:
                    under_way -= 1

            monkeypatch.setattr(hub.broker, "load", counted)
            server.kill()
            await wait_until(lambda: not is_connected(hub))
            server.start()
            await wait_until(lambda: all(v.client.mode["chat"] == "full" and v.client.jumps for v in viewers))
            assert most == min(bound, len(rooms))


async def test_a_room_that_is_read_again_asks_for_what_it_missed_only(tmp_path: Path, room_id: str) -> None:
    with running_redis(tmp_path, durable=True) as server:
        async with running_hub(server.url, QUICK_TOTALS) as hub, watching(hub.url, room_id) as viewer:
            for n in range(500):
                await hub.broker.publish(room_id, events=[comment(str(n))])
            await wait_until(lambda: len(viewer.texts) == 500)
            stored = await hub.broker.load(room_id, (viewer.client.epoch or "", 500))
            assert (stored.offset, len(stored.events)) == (500, broker_module.KNOWN_EVENTS_READ)
            assert len((await hub.broker.load(room_id, ("another", 500))).events) == 500


async def test_channels_are_asked_for_in_batches_that_wait_for_each_other(tmp_path: Path) -> None:
    names = [f"channel-{n:04}-" for n in range(1300)]
    with running_redis(tmp_path) as server:
        async with running_proxy(server.port) as proxy:
            broker = await Broker.connect(server.url)
            heard: list[bytes] = []
            restored: list[int] = []
            subscription = pubsub.Subscription(
                pubsub.Server("127.0.0.1", proxy.port),
                receive=lambda channel, payload: heard.append(channel),
                lost=lambda channels: None,
                restored=lambda channels: restored.append(len(channels)),
                publish_probe=broker.publish_plainly,
            )
            await subscription.start()
            await asyncio.gather(*map(subscription.subscribe, names))

            asked = bytearray()
            proxy.on_request = asked.extend
            await proxy.cut()
            proxy.hold_answers(
                after=1
            )  # The probe's channel is confirmed; no other is, and the connection is given up in the end.
            accepted = proxy.accepted
            await wait_until(lambda: proxy.accepted > accepted + 1)
            assert asked.count(b"channel-") == pubsub.SUBSCRIBE_BATCH
            assert restored == []

            proxy.release_answers()
            await wait_until(lambda: restored == [len(names)])
            for name in (names[0], names[-1]):
                await broker.publish_plainly(name, b"x")
            await wait_until(lambda: heard == [names[0].encode(), names[-1].encode()])
            await subscription.aclose()
            await broker.aclose()


async def test_hubs_come_back_at_different_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten subscriptions that were cut off together: each waits for as long as chance wants, and ever longer up to a bound."""
    pauses: dict[str, list[float]] = {}
    sleep = asyncio.sleep

    async def noted(seconds: float, *args: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        pauses.setdefault(task.get_name(), []).append(seconds)
        await sleep(0, *args)

    subscriptions = [
        pubsub.Subscription(
            pubsub.Server("127.0.0.1", free_port()),
            receive=lambda channel, payload: None,
            lost=lambda channels: None,
            restored=lambda channels: None,
            publish_probe=lambda channel, payload: sleep(0),
        )
        for _ in range(10)
    ]
    monkeypatch.setattr(pubsub, "RECONNECT_MAX_S", 2.0)
    monkeypatch.setattr(pubsub.asyncio, "sleep", noted)
    for number, one in enumerate(subscriptions):
        one.begin()
        assert one._task is not None
        one._task.set_name(f"subscription {number}")
    try:
        async with asyncio.timeout(5):
            while len(pauses) < 10 or min(map(len, pauses.values())) < 8:
                await sleep(0.005)
    finally:
        monkeypatch.undo()
        for one in subscriptions:
            await one.aclose()
    for number in range(8):
        ceiling = min(2.0, 0.1 * 2**number)
        of_all = [pauses[name][number] for name in sorted(pauses)]
        assert all(ceiling / 2 <= pause_s <= ceiling for pause_s in of_all)
        assert len(set(of_all)) == 10


async def test_a_defect_in_a_pass_costs_a_jump_and_not_the_room(
    redis_url: str, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id) as viewer:
        room = hub.hub._rooms[room_id]
        write, failures = room._write_to_all, [ZeroDivisionError()]

        async def fail_once(message: bytes) -> None:
            if failures:
                raise failures.pop()
            await write(message)

        monkeypatch.setattr(room, "_write_to_all", fail_once)
        await hub.broker.publish(room_id, events=[comment("a")])
        await wait_until(lambda: viewer.client.jumps == 1)
        await hub.broker.publish(room_id, events=[comment("b")])
        await wait_until(lambda: viewer.texts == ["a", "b"])
