"""A TCP proxy that a test points elsewhere, cuts, or makes hold its breath: a load balancer, a failing link, a slow server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

CHUNK = 64 * 1024


class Proxy:
    """Forwards what comes to `port` to `target_port` of this machine, both ways."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.accepted = 0
        """Connections so far."""
        self.on_request: Callable[[bytes], None] = lambda data: None
        """Told what clients send."""
        self._answers_flow = asyncio.Event()
        self._answers_flow.set()
        self._answers_left = 0
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def switch(self, target_port: int) -> None:
        """Point at another server; who is connected is cut off."""
        self.target_port = target_port
        await self.cut()

    async def cut(self) -> None:
        for task in list(self._open):
            task.cancel()
        if self._open:
            await asyncio.wait(self._open, timeout=5)

    def hold_answers(self, after: int = 0) -> None:
        """What the server says waits here until `release_answers`, but for the first `after` pieces of it."""
        self._answers_left = after
        self._answers_flow.clear()

    def release_answers(self) -> None:
        self._answers_flow.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with contextlib.closing(writer):
            try:
                there = await asyncio.open_connection("127.0.0.1", self.target_port)
                with contextlib.closing(there[1]):
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._forward(reader, there[1], is_answer=False))
                        group.create_task(self._forward(there[0], writer, is_answer=True))
            except* (OSError, _Ended):
                pass
            finally:
                self._open.discard(task)

    async def _forward(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        while data := await source.read(CHUNK):
            if is_answer and self._answers_left:
                self._answers_left -= 1
            elif is_answer:
                await self._answers_flow.wait()
            else:
                self.on_request(data)
            target.write(data)
            await target.drain()
        raise _Ended


class _Ended(Exception):
    """One side has closed: so the other is closed, too."""


@asynccontextmanager
async def running_proxy(target_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(target_port)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.aclose()
