"""Two hub processes on one port, as in production: killed, drained, replaced."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from realtime.broker import Broker
from tests.realtime.hubs import Watched, watching
from tests.services import free_port, wait_until


@asynccontextmanager
async def hub_process(redis_url: str, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.realtime.hub_process", redis_url, str(port)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert int(await asyncio.wait_for(process.stdout.readline(), 15)) == port
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_hub_is_killed_and_its_viewers_resume_on_the_other_without_gap_or_repeat(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/v1"
    async with (
        hub_process(redis_url, port) as doomed,
        hub_process(redis_url, port),
        AsyncExitStack() as stack,
    ):
        viewers: list[Watched] = [
            await stack.enter_async_context(watching(url, room_id, f"gu_{n}")) for n in range(20)
        ]
        await wait_until(lambda: viewers[0].client.values.get("watching", (0, {}))[1].get("count") == 20)
        spread = await broker.redis.hlen(f"{{room:{room_id}}}:rt:presence")
        assert spread == 2, "20 connections share a port between two processes"
        sent = 0

        async def publish(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                sent = (await broker.publish(room_id, events=[("comment", {"text": str(sent)})])).offset
                await broker.publish_personal(room_id, "gu_3", "order", {"n": sent})

        await publish(50)
        publishing = asyncio.create_task(publish(100))
        doomed.kill()
        await publishing
        await wait_until(lambda: all(v.client.offset == sent for v in viewers), 15)
        for viewer in viewers:
            assert viewer.offsets == list(range(1, sent + 1))
            assert viewer.client.jumps == 0
        assert any(v.client.close_codes for v in viewers), "somebody was on the killed one"
        await wait_until(lambda: len(viewers[3].personal) == sent)
        assert [data["n"] for _, data in viewers[3].personal] == list(range(1, sent + 1))
        await wait_until(lambda: viewers[0].client.values["watching"][1]["count"] == 20)
        await wait_until(lambda: viewers[0].client.values["watching"][1]["peak"] == 20)


async def test_sigterm_sends_viewers_elsewhere_and_ends_the_process(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/v1"
    async with hub_process(redis_url, port) as old, AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(watching(url, room_id)) for _ in range(10)]
        async with hub_process(redis_url, port):
            old.send_signal(signal.SIGTERM)
            await broker.publish(room_id, events=[("comment", {"text": "a"})])
            assert await asyncio.wait_for(old.wait(), 10) == 0
            await broker.publish(room_id, events=[("comment", {"text": "b"})])
            await wait_until(lambda: all(v.texts == ["a", "b"] for v in viewers), 15)
            assert all(set(v.client.close_codes) == {1001} and v.client.jumps == 0 for v in viewers)


async def test_a_rolling_restart_under_load_loses_nothing(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    """Two processes are replaced one after the other, three times over, while the room goes on talking."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}/v1"
    async with AsyncExitStack() as stack:
        running = [await stack.enter_async_context(hub_process(redis_url, port)) for _ in range(2)]
        viewers = [
            await stack.enter_async_context(watching(url, room_id, f"gu_{number}")) for number in range(30)
        ]
        sent = 0
        replaced = asyncio.Event()

        async def talk() -> None:
            nonlocal sent
            while not replaced.is_set():
                sent = (await broker.publish(room_id, events=[("comment", {"text": str(sent)})])).offset
                await broker.publish_personal(room_id, "gu_7", "order", {"n": sent})
                await asyncio.sleep(0.01)

        talking = asyncio.create_task(talk())
        for _ in range(3):
            for number, old in enumerate(running):
                running[number] = await stack.enter_async_context(hub_process(redis_url, port))
                old.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(old.wait(), 15) == 0
        replaced.set()
        await talking
        assert sent > 50
        await wait_until(lambda: all(viewer.client.offset == sent for viewer in viewers), 20)
        for viewer in viewers:
            assert viewer.offsets == list(range(1, sent + 1))
            assert viewer.client.jumps == 0
            assert set(viewer.client.close_codes) <= {1001}
        assert sum(len(viewer.client.close_codes) for viewer in viewers) >= len(viewers)
        await wait_until(lambda: len(viewers[7].personal) == sent, 15)
        assert [data["n"] for _, data in viewers[7].personal] == list(range(1, sent + 1))


async def test_presence_is_right_within_two_seconds_of_a_kill(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    port = free_port()
    url = f"ws://127.0.0.1:{port}/v1"
    async with hub_process(redis_url, port), AsyncExitStack() as stack:
        staying = [await stack.enter_async_context(watching(url, room_id)) for _ in range(3)]
        other_port = free_port()
        async with hub_process(redis_url, other_port) as doomed:
            going = AsyncExitStack()
            for _ in range(4):
                await going.enter_async_context(watching(f"ws://127.0.0.1:{other_port}/v1", room_id))

            def count() -> int:
                return int(staying[0].client.values.get("watching", (0, {"count": 0}))[1]["count"])

            await wait_until(lambda: count() == 7)
            doomed.kill()
            killed_s = asyncio.get_running_loop().time()
            await wait_until(lambda: count() == 3, 10)
            took_s = asyncio.get_running_loop().time() - killed_s
            await going.aclose()
        # What is stated is two seconds; a busy test machine gets a little more, and a minute would be a failure.
        assert took_s < 6
