"""Publishes stamped messages at a steady rate: `python -m loadtests.bench_publisher hub|plain REDIS_URL ROOM RATE SECONDS VALUES`."""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from loadtests.bench_servers import CHANNEL
from realtime.broker import Broker, connect_redis

TEXT = "x" * 40


def stamped() -> dict[str, object]:
    """About 120 bytes packed, as a comment is."""
    return {
        "id": "co_0123456789abcdef",
        "viewer_id": "gu_01234567",
        "name": "viewer",
        "text": TEXT,
        "t": time.time(),
    }


async def main(kind: str, redis_url: str, room_id: str, rate: float, seconds: float, values: int) -> int:
    """Gives the number of messages published."""
    total = round(rate * seconds)
    tasks: set[asyncio.Task[object]] = set()
    broker = await Broker.connect(redis_url)
    redis = connect_redis(redis_url)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    sent = 0
    while sent < total:
        due = min(total, round((loop.time() - started_s) * rate) + 1)
        for _ in range(due - sent):
            if kind == "hub":
                version = time.time_ns() // 1000
                task = asyncio.create_task(
                    broker.publish(
                        room_id,
                        events=[("comment", stamped())],
                        values={f"stock:{n}": (version, {"available": n}) for n in range(values)},
                    )
                )
            else:
                message = (b"%-106.6f" % time.time()) + b"x" * 14
                task = asyncio.create_task(redis.publish(CHANNEL, message))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        sent = due
        await asyncio.sleep(max(0.0, started_s + (sent + 0.5) / rate - loop.time()))
    while tasks:
        await asyncio.gather(*tasks)
    await broker.aclose()
    await redis.aclose()
    return sent


if __name__ == "__main__":
    kind, redis_url, room_id, rate, seconds, values = sys.argv[1:]
    print(uvloop.run(main(kind, redis_url, room_id, float(rate), float(seconds), int(values))), flush=True)
