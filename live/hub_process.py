"""`flashroom hub`: one hub, or several on one port; the kernel spreads viewers over them (SO_REUSEPORT).

This is where the hub's commands meet commerce: `hold` and `release` go to the hot ledger in Redis. The hub never touches SQL.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit

from commerce import hot_ledger
from commerce.errors import CommerceError
from commerce.hold_desk import HoldDesk
from commerce.hot_ledger import HoldRequest, HotLedger
from live import processes
from live.projector import publish_numbers
from live.settings import Settings
from realtime import protocol
from realtime.broker import Broker, now_ms
from realtime.hub import CommandHandler, Hub, HubSettings
from realtime.protocol import CommandError
from realtime.tickets import Viewer, verify_ticket

log = logging.getLogger("flashroom.hub")

DRAIN_S: Final = 2.0
STOP_CHILD_S: Final = 8.0
RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 10.0
STEADY_S: Final = 30.0
MAX_QUANTITY: Final = 99
RETRY_AFTER_MS: Final = 1_000
MAX_IDENTIFIER: Final = 64
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]+")


def run(settings: Settings) -> None:
    """Serve until SIGTERM, then ask viewers to come back elsewhere and end. Raises CannotStart."""
    if settings.hub_processes == 1:
        processes.run_until_stopped(lambda stop: serve(settings, stop))
    else:
        processes.run_until_stopped(lambda stop: supervise(settings, stop))


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """One hub process, until `stop` is set."""
    await processes.wait_for_redis(settings.redis_url)
    async with AsyncExitStack() as stack:
        broker = await Broker.connect(settings.redis_url)
        stack.push_async_callback(broker.aclose)
        redis = hot_ledger.connect_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        desk = HoldDesk(
            HotLedger(redis),
            settings.key("hold token"),
            lambda room_id, numbers: publish_numbers(broker, room_id, numbers),
        )
        stack.push_async_callback(desk.aclose)
        ticket_key = settings.key("ticket")
        hub = Hub(
            broker,
            verify_ticket=lambda token: verify_ticket(ticket_key, token, now_ms()),
            commands=commands(desk),
            settings=HubSettings(origins=allowed_origins(settings)),
        )
        try:
            await hub.serve(settings.host, settings.hub_port)
        except OSError as error:
            raise processes.CannotStart(
                f"Port {settings.hub_port} is taken ({error.strerror}): set FLASHROOM_HUB_PORT to another, "
                "or stop what listens there."
            ) from None
        stack.push_async_callback(hub.aclose)
        log.info("hub listens on %s:%d", settings.host, settings.hub_port)
        await stop.wait()
        await hub.drain(DRAIN_S)


def commands(desk: HoldDesk) -> Mapping[str, CommandHandler]:
    """The commands that commerce answers."""

    async def hold(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        request = HoldRequest(
            request_id=_identifier(params, "request_id", 8),
            buyer_id=viewer.viewer_id,
            quantity=protocol.integer_parameter(params, "quantity", 1, MAX_QUANTITY),
            ghost=viewer.ghost,
        )
        sale_id = _identifier(params, "sale_id", 1)
        try:
            return await desk.hold(viewer.room_id, sale_id, request)
        except CommerceError as error:
            raise as_command_error(error) from None

    async def release(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        sale_id, hold_id = _identifier(params, "sale_id", 1), _identifier(params, "hold_id", 1)
        try:
            return {"released": await desk.release(viewer.room_id, sale_id, hold_id, viewer.viewer_id)}
        except CommerceError as error:
            raise as_command_error(error) from None

    return {"hold": hold, "release": release}


def _identifier(params: Mapping[str, Any], name: str, shortest: int) -> str:
    """An id as PROTOCOL.md allows it; nothing else may become part of a Redis key."""
    value = protocol.text_parameter(params, name, shortest, MAX_IDENTIFIER)
    if not _IDENTIFIER.fullmatch(value):
        raise CommandError("bad_params", f"{name} may have letters, digits, _ and - only")
    return value


def as_command_error(error: CommerceError) -> CommandError:
    """Commerce's refusal in the wire's words; the same request id may be sent again."""
    return CommandError(error.code, error.message, retry_after_ms=RETRY_AFTER_MS)


def allowed_origins(settings: Settings) -> tuple[str, ...] | None:
    """Pages that may open a WebSocket; None for any, when a development show is opened to the whole network."""
    if settings.public_web_url is not None:
        parts = urlsplit(settings.public_web_url)
        return (f"{parts.scheme}://{parts.netloc}",)
    if not settings.is_production and settings.host not in ("127.0.0.1", "localhost", "::1"):
        return None
    names = dict.fromkeys(("127.0.0.1", "localhost", "[::1]", settings.host))
    return tuple(f"http://{name}:{settings.web_port}" for name in names)


async def supervise(settings: Settings, stop: asyncio.Event) -> None:
    """Keep `hub_processes` hubs running until `stop`; one that dies is started again after a growing pause."""
    async with asyncio.TaskGroup() as group:
        for number in range(settings.hub_processes):
            group.create_task(_keep_one(number, stop), name=f"hub {number}")


async def _keep_one(number: int, stop: asyncio.Event) -> None:
    pause_s = RESTART_MIN_S
    while not stop.is_set():
        started_s = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "live.cli", "hub"),
            env=processes.environment_for_children({"FLASHROOM_HUB_PROCESSES": "1"}),
            preexec_fn=processes.die_with_parent,
        )
        ended = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            await _end(child, ended)
            return
        if time.monotonic() - started_s > STEADY_S:
            pause_s = RESTART_MIN_S
        log.warning("hub %d ended with %s; it starts again in %.1f s", number, child.returncode, pause_s)
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            pause_s = min(RESTART_MAX_S, pause_s * 2)


async def _end(child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    """Ask the child to drain; what has not gone within the bound is killed."""
    if child.returncode is None:
        try:
            child.terminate()
            await asyncio.wait_for(asyncio.shield(ended), STOP_CHILD_S)
        except ProcessLookupError:
            pass
        except TimeoutError:
            child.kill()
    await ended


__all__ = ["allowed_origins", "commands", "run", "serve", "supervise"]
