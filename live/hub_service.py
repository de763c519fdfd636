"""One hub process: where the hub's commands meet commerce. `hold` and `release` go to the hot ledger in Redis, never to SQL."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from commerce.errors import CommerceError
from commerce.hold_desk import HoldDesk
from commerce.hot_ledger import HoldRequest, HotLedger
from live import processes
from live.decision_times import DecisionTimes
from live.settings import Settings
from live.stock_values import publish_numbers
from realtime import protocol
from realtime.broker import Broker, connect_redis, now_ms
from realtime.hub import CommandHandler, Hub, HubSettings
from realtime.protocol import CommandError
from realtime.tickets import Viewer, verify_ticket

log = logging.getLogger("flashroom.hub")

DRAIN_S: Final = 2.0
REPORT_EVERY_S: Final = 2.0
MAX_QUANTITY: Final = 99
RETRY_AFTER_MS: Final = 1_000
MAX_IDENTIFIER: Final = 64
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_-]+")


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """One hub process, until `stop` is set."""
    await processes.wait_for_redis(settings.redis_url)
    async with AsyncExitStack() as stack:
        broker = await Broker.connect(settings.redis_url)
        stack.push_async_callback(broker.aclose)
        broker.set_word_list(settings.blocked_words)
        redis = connect_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        desk = HoldDesk(
            HotLedger(redis),
            settings.key("hold token"),
            lambda room_id, numbers: publish_numbers(broker, room_id, numbers),
        )
        stack.push_async_callback(desk.aclose)
        times = DecisionTimes(redis, now_ms)
        reporting = asyncio.create_task(_report(times), name="decision times")
        stack.callback(reporting.cancel)
        ticket_key = settings.key("ticket")
        hub = Hub(
            broker,
            verify_ticket=lambda token: verify_ticket(ticket_key, token, now_ms()),
            commands=commands(
                desk, lambda room_id, sale_id: sale_state(broker, room_id, sale_id), times.count
            ),
            settings=hub_settings(settings),
        )
        try:
            await hub.serve(settings.host, settings.hub_port)
        except TimeoutError:
            raise processes.CannotStart(
                "Redis does not take the hub's subscription: is it overloaded?"
            ) from None
        except OSError as error:
            raise processes.CannotStart(
                f"Port {settings.hub_port} is taken ({error.strerror}): set FLASHROOM_HUB_PORT to another, "
                "or stop what listens there."
            ) from None
        stack.push_async_callback(hub.aclose)
        log.info("hub listens on %s:%d", settings.host, settings.hub_port)
        await stop.wait()
        await hub.drain(DRAIN_S)


def hub_settings(settings: Settings) -> HubSettings:
    """This process' bounds: the kernel spreads an address' connections evenly, so each process allows its share of them."""
    usual = HubSettings()
    share = -(-usual.max_connections_per_address // max(1, settings.hub_processes))
    return HubSettings(
        origins=allowed_origins(settings),
        trusted_proxies=tuple(settings.trusted_proxies),
        max_connections_per_address=max(100, share),
    )


async def _report(times: DecisionTimes) -> None:
    """Tell Redis how long decisions took, until cancelled."""
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        await times.report()


SaleState = Callable[[str, str], Awaitable[str | None]]
NO_LONGER_LOADED: Final[Mapping[str | None, str]] = {
    "settled": "ended",
    "published": "ended",
    "draft": "not_open",
}
"""A tap on a sale that the hot ledger has (rightly) forgotten gets the reason that is final."""


async def sale_state(broker: Broker, room_id: str, sale_id: str) -> str | None:
    """The state that the room's viewers are shown, `draft` for a sale taken back from them; None when Redis doesn't say."""
    try:
        value = await broker.value(room_id, f"sale:{sale_id}")
    except RedisError:
        return None
    if value is None:
        return None
    return "draft" if value[1] is None else str(value[1]["state"])


def commands(
    desk: HoldDesk,
    state_of: SaleState | None = None,
    took: Callable[[str, float], None] | None = None,
) -> Mapping[str, CommandHandler]:
    """The commands that commerce answers. `state_of` is asked about a sale that the hot ledger does not know.

    `took` hears, per room, how many seconds each decision took.
    """

    async def ask(viewer: Viewer, params: dict[str, Any], *, wait: bool) -> dict[str, Any]:
        request = HoldRequest(
            request_id=_identifier(params, "request_id", 8),
            buyer_id=viewer.viewer_id,
            quantity=protocol.integer_parameter(params, "quantity", 1, MAX_QUANTITY),
            ghost=viewer.ghost,
            wait=wait,
        )
        sale_id = _identifier(params, "sale_id", 1)
        began_s = time.monotonic()
        try:
            decision = await desk.hold(viewer.room_id, sale_id, request)
        except CommerceError as error:
            raise as_command_error(error) from None
        if took is not None:
            took(viewer.room_id, time.monotonic() - began_s)
        if decision["reason"] == "not_loaded" and state_of is not None:
            state = await state_of(viewer.room_id, sale_id)
            decision["reason"] = NO_LONGER_LOADED.get(state, "not_loaded")
        return decision

    async def hold(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        return await ask(viewer, params, wait=False)

    async def waitlist_join(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        return await ask(viewer, params, wait=True)

    async def waitlist_leave(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        sale_id = _identifier(params, "sale_id", 1)
        try:
            return {"left": await desk.leave(viewer.room_id, sale_id, viewer.viewer_id)}
        except CommerceError as error:
            raise as_command_error(error) from None

    async def release(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        sale_id, hold_id = _identifier(params, "sale_id", 1), _identifier(params, "hold_id", 1)
        try:
            return {"released": await desk.release(viewer.room_id, sale_id, hold_id, viewer.viewer_id)}
        except CommerceError as error:
            raise as_command_error(error) from None

    return {
        "hold": hold,
        "release": release,
        "waitlist_join": waitlist_join,
        "waitlist_leave": waitlist_leave,
    }


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
