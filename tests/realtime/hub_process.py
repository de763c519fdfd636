"""One hub as a process of its own, for tests that kill one: `python -m tests.realtime.hub_process REDIS_URL PORT`."""

from __future__ import annotations

import asyncio
import signal
import sys

from realtime.broker import Broker, now_ms
from realtime.hub import Hub, HubSettings
from realtime.tickets import verify_ticket
from tests.realtime.hubs import KEY


async def main(redis_url: str, port: int) -> None:
    broker = await Broker.connect(redis_url)
    hub = Hub(
        broker,
        verify_ticket=lambda token: verify_ticket(KEY, token, now_ms()),
        settings=HubSettings(drain_reconnect_ms=200),
    )
    print(await hub.serve("127.0.0.1", port), flush=True)  # noqa: T201 - the parent reads it
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await hub.drain(0.2)
    await hub.aclose()
    await broker.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
