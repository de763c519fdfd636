"""Clients that do what no client should: `python -m loadtests.hostile_clients KIND PORT COUNT SECONDS`, from an address of their own.

Prints one JSON object at the end: how many got in, and with which close code (or none) each connection ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

import msgpack

from loadtests.bench_crowd import client_frame, handshake
from loadtests.bench_servers import KEY
from realtime.broker import now_ms
from realtime.tickets import Viewer, sign_ticket

ROOM = "rm_bench"
ADDRESS = "127.0.0.2"


class Hostile:
    """One connection that has joined."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.code: int | None = None

    async def read(self, at_once: int = 65_536) -> bytes:
        """What came; empty at the end. Remembers the code of a close frame that ends it."""
        data = await self.reader.read(at_once)
        place = data.rfind(b"\x88")
        if place >= 0 and 4 <= len(data) - place == 2 + data[place + 1]:
            self.code = struct.unpack_from("!H", data, place + 2)[0]
        return data

    async def read_to_the_end(self) -> None:
        with contextlib.suppress(OSError):
            while await self.read():
                pass


async def connect(port: int, number: int) -> Hostile | None:
    """Open and join; None when nobody let us in."""
    try:
        peer = socket.socket()
        peer.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 8192
        )  # what isn't read shall wait at the hub, not here
        peer.setblocking(False)
        peer.bind((ADDRESS, 0))
        await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=peer, limit=2**16)
        writer.write(handshake("/v1", "flashroom.v1.msgpack"))
        viewer = Viewer(f"gu_bad_{os.getpid()}_{number}", "bad", "viewer", ROOM)
        writer.write(client_frame(msgpack.packb([1, "join", {"ticket": sign_ticket(KEY, viewer, now_ms())}])))
        answer = await reader.readuntil(b"\r\n\r\n")
    except (OSError, asyncio.IncompleteReadError):
        return None
    return Hostile(reader, writer) if b" 101 " in answer.split(b"\r\n")[0] else None


async def stops_reading(one: Hostile, seconds: float) -> None:
    one.reader._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(seconds)
    one.reader._transport.resume_reading()  # type: ignore[attr-defined]
    await one.read_to_the_end()


async def reads_a_byte_a_second(one: Hostile, seconds: float) -> None:
    for _ in range(int(seconds)):
        if not await one.read(1):
            return
        await asyncio.sleep(1)


async def answers_no_ping(one: Hostile, seconds: float) -> None:
    await one.read_to_the_end()


async def floods(one: Hostile, seconds: float) -> None:
    reading = asyncio.create_task(one.read_to_the_end())
    for number in range(1_000_000):
        one.writer.write(client_frame(msgpack.packb([number + 2, "comment", {"text": "buy buy buy"}])))
        if number % 50 == 0:
            await one.writer.drain()
        if reading.done() or one.writer.is_closing():
            break
    await reading


async def sends_huge_frames(one: Hostile, seconds: float) -> None:
    one.writer.write(b"\x82\xff" + struct.pack("!Q", 2**40) + bytes(4))
    for _ in range(64):
        one.writer.write(random.randbytes(65_536))
        await one.writer.drain()
    await one.read_to_the_end()


async def sends_broken_frames(one: Hostile, seconds: float) -> None:
    one.writer.write(random.choice((b"\xf2\x80aaaa", b"\x82\x05hello", b"\x89\xfe\xff\xff", b"\x80\x80aaaa")))
    await one.read_to_the_end()


async def just_comes(one: Hostile, seconds: float) -> None:
    await one.read_to_the_end()


KINDS: dict[str, Callable[[Hostile, float], Awaitable[None]]] = {
    "stops_reading": stops_reading,
    "reads_a_byte_a_second": reads_a_byte_a_second,
    "answers_no_ping": answers_no_ping,
    "floods": floods,
    "sends_huge_frames": sends_huge_frames,
    "sends_broken_frames": sends_broken_frames,
    "comes_in_thousands": just_comes,
}


async def run(kind: str, port: int, count: int, seconds: float) -> dict[str, object]:
    """`count` of them at once, for at most `seconds`."""
    ends: Counter[str] = Counter()
    turn = asyncio.Semaphore(200)
    came_in = 0

    async def live(number: int) -> None:
        nonlocal came_in
        async with turn:
            one = await connect(port, number)
        if one is None:
            ends["refused"] += 1
            return
        came_in += 1
        try:
            async with asyncio.timeout(seconds):
                await KINDS[kind](one, seconds)
            ends[str(one.code or "cut")] += 1
        except TimeoutError:
            ends["stayed"] += 1
        except OSError:
            ends[str(one.code or "cut")] += 1
        finally:
            one.writer.transport.abort()

    await asyncio.gather(*(live(number) for number in range(count)))
    return {"kind": kind, "count": count, "came_in": came_in, "ends": dict(ends)}


if __name__ == "__main__":
    os.nice(19)  # they share a core with those whose delay is measured, who must not wait for them there
    _, kind_, port_, count_, seconds_ = sys.argv
    print(json.dumps(asyncio.run(run(kind_, int(port_), int(count_), float(seconds_)))))
