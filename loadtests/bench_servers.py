"""The hub and its peers as processes that fan out what comes from Redis: `python -m loadtests.bench_servers NAME PORT REDIS_URL`.

Every peer reads Redis with the same reader and sends each message to all its connections in the way its documentation shows.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
import uvloop

from commerce.hold_desk import HoldDesk
from commerce.hot_ledger import HotLedger, Snapshot
from commerce.hot_ledger import connect_redis as connect_ledger
from live.hub_service import commands
from live.stock_values import publish_numbers
from realtime.broker import Broker, connect_redis, now_ms
from realtime.hub import Hub, HubSettings
from realtime.pubsub import Server, Subscription
from realtime.tickets import verify_ticket

KEY = b"a key of thirty-two bytes, for benchmarks"
CHANNEL = "bench"
SALE = Snapshot(
    room_id="rm_bench",
    sale_id="sl_bench",
    epoch=1,
    version=1,
    capacity=100,
    reserved=0,
    sold=0,
    state="open",
    opens_at_ms=0,
    closes_at_ms=2**52,
    limit_per_buyer=1,
    hold_ms=600_000,
    price_minor=100,
    currency="EUR",
)


async def follow(redis_url: str, receive: Callable[[bytes], None]) -> Subscription:
    """Call `receive` with each message of the channel."""
    redis = connect_redis(redis_url)
    subscription = Subscription(
        Server.at(redis_url),
        receive=lambda channel, payload: receive(payload),
        lost=lambda _: None,
        restored=lambda _: None,
        publish_probe=redis.publish,
    )
    await subscription.start()
    await subscription.subscribe(CHANNEL)
    return subscription


async def hub(port: int, redis_url: str) -> None:
    """Flashroom's hub, as `flashroom hub` runs it."""
    broker = await Broker.connect(redis_url)
    ledger = HotLedger(connect_ledger(redis_url))
    await ledger.load(SALE)
    desk = HoldDesk(ledger, KEY, lambda room_id, numbers: publish_numbers(broker, room_id, numbers))
    server = Hub(
        broker,
        verify_ticket=lambda token: verify_ticket(KEY, token, now_ms()),
        commands=commands(desk),
        settings=HubSettings(
            # Quiet while bytes are compared; the limits out of the way of one machine being the whole audience.
            ping_interval_s=3600,
            silent_close_s=3600,
            presence_interval_s=3600,
            max_connections_per_address=100_000,
        ),
    )
    await server.serve("127.0.0.1", port)
    gc.freeze()
    await asyncio.Event().wait()


async def websockets_broadcast(port: int, redis_url: str) -> None:
    """`websockets.broadcast`, https://websockets.readthedocs.io/en/stable/topics/broadcast.html"""
    from websockets.asyncio.server import ServerConnection, broadcast, serve

    connections: set[ServerConnection] = set()

    async def handler(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    following = await follow(redis_url, lambda payload: broadcast(connections, payload))
    async with serve(handler, "127.0.0.1", port, compression=None, ping_interval=None, backlog=4096):
        await asyncio.Event().wait()
    await following.aclose()


async def starlette_loop(port: int, redis_url: str) -> None:
    """The loop of Starlette's and FastAPI's documentation: `for connection in connections: await connection.send_bytes(...)`."""
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket, WebSocketDisconnect

    connections: set[WebSocket] = set()

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        connections.add(socket)
        try:
            while True:
                await socket.receive_bytes()
        except WebSocketDisconnect:
            connections.discard(socket)

    async def send_to_all(payload: bytes) -> None:
        for connection in list(connections):
            await connection.send_bytes(payload)

    await _uvicorn(Starlette(routes=[WebSocketRoute("/ws", endpoint)]), port, redis_url, send_to_all)


async def socket_io(port: int, redis_url: str) -> None:
    """python-socketio's `emit` to everyone."""
    import socketio

    server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=3600)

    async def emit(payload: bytes) -> None:
        await server.emit("m", payload.decode("latin-1"))

    await _uvicorn(socketio.ASGIApp(server), port, redis_url, emit)


async def _uvicorn(app: Any, port: int, redis_url: str, send: Callable[[bytes], Awaitable[None]]) -> None:
    waiting: asyncio.Queue[bytes] = asyncio.Queue(100_000)
    following = await follow(redis_url, waiting.put_nowait)

    async def send_all() -> None:
        while True:
            await send(await waiting.get())

    sending = asyncio.create_task(send_all())
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="error",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        backlog=4096,
    )
    await uvicorn.Server(config).serve()
    sending.cancel()
    await following.aclose()


SERVERS = {
    "hub": hub,
    "websockets.broadcast": websockets_broadcast,
    "starlette loop": starlette_loop,
    "python-socketio": socket_io,
}

if __name__ == "__main__":
    uvloop.run(SERVERS[sys.argv[1]](int(sys.argv[2]), sys.argv[3]))
