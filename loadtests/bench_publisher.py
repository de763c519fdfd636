"""Publishes stamped messages at a steady rate: `python -m loadtests.bench_publisher hub|plain|nchan WHERE ROOM RATE SECONDS VALUES`.

`WHERE` is Redis' URL, for Nchan its port. What is due at the same moment is published in one call, as a busy room's publisher does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from loadtests.bench_servers import CHANNEL
from loadtests.nchan import Channel
from realtime.broker import Broker, connect_redis

TEXT = "x" * 40
STEP_S = 0.002
BATCH_MAX = 50
UNDER_WAY_MAX = 200


def stamped() -> dict[str, object]:
    """About 120 bytes packed, as a comment is."""
    return {
        "id": "co_0123456789abcdef",
        "viewer_id": "gu_01234567",
        "name": "viewer",
        "text": TEXT,
        "t": time.time(),
    }


def plain() -> bytes:
    """120 bytes with the stamp in front."""
    return (b"%-106.6f" % time.time()) + b"x" * 14


async def publish_all(rate: float, seconds: float, publish: Callable[[int], Awaitable[object]]) -> int:
    """Calls `publish(n)` with what is due; gives the number of messages published, all of them answered for."""
    total = round(rate * seconds)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[object]] = set()
    started_s = loop.time()
    sent = 0

    async def one(count: int) -> object:
        return await publish(count)

    while sent < total:
        due = min(total, round((loop.time() - started_s) * rate) + 1)
        while sent < due:
            count = min(BATCH_MAX, due - sent)
            tasks.add(task := asyncio.create_task(one(count)))
            task.add_done_callback(tasks.discard)
            sent += count
        while len(tasks) > UNDER_WAY_MAX:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(max(STEP_S, started_s + (sent + 0.5) / rate - loop.time()))
    while tasks:
        await asyncio.gather(*tasks)
    return sent


async def main(kind: str, where: str, room_id: str, rate: float, seconds: float, values: int) -> int:
    """Gives the number of messages published."""
    if kind == "nchan":
        channel = await Channel.connect(int(where))
        one_at_a_time = asyncio.Lock()

        async def to_nchan(count: int) -> None:
            async with one_at_a_time:
                await channel.publish([plain() for _ in range(count)])

        sent = await publish_all(rate, seconds, to_nchan)
        await channel.aclose()
        return sent
    if kind == "plain":
        redis = connect_redis(where)

        async def to_redis(count: int) -> None:
            async with redis.pipeline(transaction=False) as pipe:
                for _ in range(count):
                    pipe.publish(CHANNEL, plain())
                await pipe.execute()

        sent = await publish_all(rate, seconds, to_redis)
        await redis.aclose()
        return sent
    broker = await Broker.connect(where)

    async def to_hub(count: int) -> None:
        version = time.time_ns() // 1000
        await broker.publish(
            room_id,
            events=[("comment", stamped()) for _ in range(count)],
            values={f"stock:{n}": (version, {"available": n}) for n in range(values)},
        )

    sent = await publish_all(rate, seconds, to_hub)
    await broker.aclose()
    return sent


if __name__ == "__main__":
    kind, where, room_id, rate, seconds, values = sys.argv[1:]
    print(uvloop.run(main(kind, where, room_id, float(rate), float(seconds), int(values))), flush=True)
