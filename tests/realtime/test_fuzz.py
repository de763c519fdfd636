"""Random bytes, broken frames, and every command with every type: the hub answers or closes, and goes on for everyone else."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from typing import Any

import msgpack
import pytest

from realtime.hub import HubSettings
from realtime.tickets import Viewer
from tests.realtime.hubs import HANDSHAKE, running_hub, ticket, watching, wire
from tests.services import wait_until

COMMANDS = (
    "join",
    "comment",
    "like",
    "hold",
    "release",
    "waitlist_join",
    "ack",
    "ping",
    "",
    "\u202e",
    "x" * 500,
)
PARAMETERS = (
    *("ticket", "epoch", "offset", "personal_offset", "text", "reply_to", "count"),
    *("request_id", "sale_id", "quantity", "client_time_ms"),
)


def anything(rng: random.Random, depth: int = 0) -> Any:
    plain = [
        None,
        True,
        rng.randint(-(2**63), 2**64 - 1),
        rng.random(),
        float("inf"),
        "",
        "é\u0000\uffff" * rng.randint(0, 100),
        rng.randbytes(20),
        msgpack.ExtType(5, b"x"),
        msgpack.Timestamp(1, 2),
    ]
    if depth < 3 and rng.random() < 0.3:
        if rng.random() < 0.5:
            return [anything(rng, depth + 1) for _ in range(rng.randint(0, 5))]
        return {str(n): anything(rng, depth + 1) for n in range(rng.randint(0, 5))}
    return rng.choice(plain)


def frame(rng: random.Random, payload: bytes) -> bytes:
    """A client's frame, now and then with something wrong about it."""
    first = 0x82 if rng.random() < 0.9 else rng.randrange(256)
    mask = rng.randbytes(4)
    length = len(payload) if rng.random() < 0.95 else rng.randrange(65536)
    head = (
        struct.pack("!BB", first, 0x80 | length) if length < 126 else struct.pack("!BBH", first, 0xFE, length)
    )
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def garbage(rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        return rng.randbytes(rng.randint(1, 3000))
    if kind == 1:
        return b"".join(frame(rng, rng.randbytes(rng.randint(0, 200))) for _ in range(5))
    commands = []
    for _ in range(rng.randint(1, 10)):
        params = {rng.choice(PARAMETERS): anything(rng) for _ in range(rng.randint(0, 4))}
        command = [rng.randint(1, 9), rng.choice(COMMANDS), params]
        if kind == 3:
            command[rng.randrange(3)] = anything(rng)
        commands.append(frame(rng, msgpack.packb(command)))
    return b"".join(commands)


@pytest.mark.parametrize("seed", range(4))
async def test_a_fuzzing_client_gets_nowhere_and_disturbs_nobody(
    redis_url: str, room_id: str, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    rng = random.Random(seed)

    async def hold(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        return {"decision": "refused"}

    caplog.set_level(logging.ERROR)
    settings = HubSettings(frame_rate=1e6, frame_burst=10**6, close_timeout_s=0.2, join_timeout_s=0.5)
    async with running_hub(redis_url, settings, {"hold": hold}) as hub, watching(hub.url, room_id) as viewer:
        for _ in range(150):
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
            if rng.random() < 0.9:
                writer.write(HANDSHAKE)
                await reader.readuntil(b"\r\n\r\n")
            if rng.random() < 0.5:
                join = msgpack.packb([1, "join", {"ticket": ticket(room_id)}])
                writer.write(frame(random.Random(0), join))
            for _ in range(rng.randint(1, 4)):
                data = garbage(rng)
                cut = rng.randint(0, len(data))
                writer.write(data[:cut])
                await asyncio.sleep(0)
                writer.write(data[cut:])
            if rng.random() < 0.5:
                writer.close()
            else:
                writer.transport.abort()
        assert (await viewer.client.command("ping"))["server_time_ms"]
        await viewer.client.command("comment", text="still here")
        await wait_until(lambda: "still here" in viewer.texts)
        assert viewer.client.close_codes == []
        await wait_until(lambda: len(hub.hub._connections) == 1, what="the fuzzing connections to end")
        assert hub.hub._in_flight == 0
        assert len(hub.hub._addresses) == 1
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST /v1 HTTP/1.1",
        b"GET /v1 HTTP/1.0",
        b"GET /v1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET " + b"/" * 9000 + b" HTTP/1.1",
        b"GET /v1 HTTP/1.1\r\n" + b"A: b\r\n" * 300,
        b"GET /v1 HTTP/1.1\r\nContent-Length: 5",
        b"GET /v1?x=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short",
        b"GET http://[ HTTP/1.1\r\nHost: x",
        b"GET //[ HTTP/1.1\r\nHost: x",
    ],
    ids=range(10),
)
async def test_a_broken_handshake_ends_the_connection(
    redis_url: str, request_line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with running_hub(redis_url, HubSettings(close_timeout_s=0.2)) as hub:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        writer.write(request_line + b"\r\n\r\n")
        try:
            answer = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            answer = b""
        assert b" 101 " not in answer
        writer.close()
        await wait_until(lambda: not hub.hub._connections)
        async with wire(hub.url) as next_one:
            assert (await next_one.ask(1, "ping", {}))[2]
    assert [record.getMessage() for record in caplog.records] == []
