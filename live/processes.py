"""What every process of the show needs around its own work: waiting for Redis, stopping on a signal, saying that it is alive."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from realtime.redis_urls import seeds_of

if TYPE_CHECKING:  # half a second that `flashroom --help` and `flashroom dev` don't need
    from redis.asyncio import Redis

REDIS_WAIT_S: Final = 30.0
PROBE_TIMEOUT_S: Final = 1.0
HEARTBEAT_INTERVAL_S: Final = 1.0
HEARTBEAT_TTL_MS: Final = 5_000
DIE_WITH_PARENT: Final = "FLASHROOM_DIE_WITH_PARENT"
"""In the environment of processes that must not outlive whoever started them: that one's process id."""
_PR_SET_PDEATHSIG: Final = 1


class CannotStart(Exception):
    """Why a process can't run here, in words for the person who started it, with what to do about it."""


def environment_for_children(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This environment with the virtual environment's programs first on PATH, so that `flashroom` is found."""
    beside = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    return {
        **os.environ,
        "PATH": path if path.split(os.pathsep)[0] == beside else f"{beside}{os.pathsep}{path}",
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


def must_not_outlive_us() -> dict[str, str]:
    """What to put into a child's environment so that it ends when this process does."""
    return {DIE_WITH_PARENT: str(os.getpid())}


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGTERM to this process when its parent ends, even by kill -9. Linux only; elsewhere nothing happens.

    Raises CannotStart when the parent has ended already, before we could ask for that.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent_pid:
        raise CannotStart("whoever started this process has ended")


def port_is_free(host: str, port: int) -> bool:
    """Whether nobody listens on the port, whatever options they listen with."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # Without it a port in TIME_WAIT right after a stop would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def redis_address(redis_url: str) -> tuple[str, int]:
    """Host and port of a redis:// URL; the first ones of a cluster's or Sentinels'."""
    return seeds_of(redis_url)[0]


def redis_answers(redis_url: str) -> bool:
    """Whether something at the URL (any node of a cluster, any Sentinel) speaks Redis and has loaded its data."""
    return any(map(_node_answers, seeds_of(redis_url)))


def _node_answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=PROBE_TIMEOUT_S) as connection:
            connection.sendall(b"PING\r\n")
            # NOAUTH is an answer too: with a password in the URL the real client signs in.
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


async def wait_for_redis(redis_url: str, wait_s: float = REDIS_WAIT_S) -> None:
    """Return once Redis answers; raises CannotStart after `wait_s`."""
    if urlsplit(redis_url).scheme in ("rediss", "rediss+cluster"):
        return  # the plain probe can't speak TLS; the client's own error is clear enough
    until_s = time.monotonic() + wait_s
    while not await asyncio.to_thread(redis_answers, redis_url):
        if time.monotonic() >= until_s:
            host, port = redis_address(redis_url)
            raise CannotStart(
                f"Redis does not answer at {host}:{port}.\n"
                "Start it with `flashroom redis`, or set FLASHROOM_REDIS_URL to the one to use."
            )
        await asyncio.sleep(0.1)


@contextlib.contextmanager
def stop_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop` inside the block; a second one changes nothing."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def run_until_stopped(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `work(stop)` on uvloop; it ends itself, in order, once `stop` is set by SIGTERM or SIGINT."""
    import uvloop

    async def main() -> None:
        stop = asyncio.Event()
        with stop_signals(stop):
            await work(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def heartbeat_key(role: str) -> str:
    return f"flashroom:heartbeat:{role}"


async def beat(redis: Redis, role: str, at_ms: int) -> None:
    """Say in Redis that a process of this role is at work; it counts as gone 5 s after the last time."""
    await redis.set(heartbeat_key(role), f"{os.getpid()} {at_ms}", px=HEARTBEAT_TTL_MS)


async def last_beat(redis: Redis, role: str) -> tuple[int, int] | None:
    """(process id, time in ms) of the role's last heartbeat, or None when nobody is at work."""
    raw: Any = await redis.get(heartbeat_key(role))
    if raw is None:
        return None
    pid, at_ms = raw.split()
    return int(pid), int(at_ms)
