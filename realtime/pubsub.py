"""A Redis subscription that routes and decodes nothing else: hiredis under a protocol of ours, reconnecting, probing itself.

redis-py's reader costs 12 to 62 µs per message, this one 1.5 to 19 (research/realtime.md section 2d). A probe published through the
ordinary path must come back; when it does not, the connection is dropped and made anew, since silent loss after a failover looks healthy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final
from urllib.parse import urlparse

import hiredis

log = logging.getLogger("flashroom.pubsub")

PROBE_INTERVAL_S: Final = 2.0
PROBE_TIMEOUT_S: Final = 3.0
RECONNECT_MIN_S: Final = 0.1
RECONNECT_MAX_S: Final = 2.0
SUBSCRIBE_TIMEOUT_S: Final = 5.0
SUBSCRIBE_BATCH: Final = 512

Receive = Callable[[bytes, bytes], None]


class _Wire(asyncio.Protocol):
    def __init__(self, receive: Receive, confirm: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._reader = hiredis.Reader()
        self._receive = receive
        self._confirm = confirm
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, list) and len(reply) == 3:
                if reply[0] == b"message":
                    self._receive(reply[1], reply[2])
                elif reply[0] == b"subscribe":
                    self._confirm(reply[1])

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class Subscription:
    """Channels of one process. `receive(channel, payload)` runs in the event loop; `reconnected()` after every new connection."""

    def __init__(
        self,
        redis_url: str,
        *,
        receive: Receive,
        reconnected: Callable[[], None],
        publish_probe: Callable[[str, bytes], Awaitable[Any]],
    ) -> None:
        url = urlparse(redis_url)
        self._address = (url.hostname or "127.0.0.1", url.port or 6379)
        self._password = url.password
        self._receive = receive
        self._reconnected = reconnected
        self._publish_probe = publish_probe
        self._probe_channel = f"fr:probe:{uuid.uuid4().hex}".encode()
        self._probe_seen = asyncio.Event()
        self._channels: set[bytes] = set()
        self._confirmations: dict[bytes, asyncio.Future[None]] = {}
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    async def start(self) -> None:
        """Connect; raises TimeoutError when Redis does not answer within 5 s."""
        self._task = asyncio.create_task(self._run(), name="redis subscription")
        await asyncio.wait_for(self.connected.wait(), SUBSCRIBE_TIMEOUT_S)

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._transport is not None:
            self._transport.abort()

    async def subscribe(self, channel: str) -> None:
        """Returns once Redis has confirmed, so that nothing published later is missed. Raises TimeoutError after 5 s."""
        name = channel.encode()
        self._channels.add(name)
        if self._transport is None:
            await asyncio.wait_for(self.connected.wait(), SUBSCRIBE_TIMEOUT_S)
        future = self._confirmations.setdefault(name, asyncio.get_running_loop().create_future())
        if self._transport is not None:
            self._transport.write(_command(b"SUBSCRIBE", name))
        await asyncio.wait_for(asyncio.shield(future), SUBSCRIBE_TIMEOUT_S)

    def unsubscribe(self, channel: str) -> None:
        name = channel.encode()
        self._channels.discard(name)
        if self._transport is not None:
            self._transport.write(_command(b"UNSUBSCRIBE", name))

    def _on_message(self, channel: bytes, payload: bytes) -> None:
        if channel == self._probe_channel:
            self._probe_seen.set()
        else:
            self._receive(channel, payload)

    def _on_confirmed(self, channel: bytes) -> None:
        future = self._confirmations.pop(channel, None)
        if future is not None and not future.done():
            future.set_result(None)

    async def _run(self) -> None:
        delay_s = RECONNECT_MIN_S
        loop = asyncio.get_running_loop()
        first = True
        while True:
            self._lost.clear()
            try:
                transport, _ = await loop.create_connection(
                    lambda: _Wire(self._on_message, self._on_confirmed, self._lost.set), *self._address
                )
            except OSError as error:
                log.warning("redis subscription: %s; again in %.1f s", error, delay_s)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RECONNECT_MAX_S)
                continue
            delay_s = RECONNECT_MIN_S
            self._transport = transport
            if self._password:
                transport.write(_command(b"AUTH", self._password.encode()))
            self._subscribe_all([self._probe_channel, *self._channels])
            self.connected.set()
            if not first:
                self._reconnected()
            first = False
            await self._probe_until_lost()
            self.connected.clear()
            self._transport = None
            transport.abort()
            log.warning("redis subscription lost; connecting again")

    def _subscribe_all(self, channels: Iterable[bytes]) -> None:
        names = list(channels)
        assert self._transport is not None
        for start in range(0, len(names), SUBSCRIBE_BATCH):
            self._transport.write(_command(b"SUBSCRIBE", *names[start : start + SUBSCRIBE_BATCH]))

    async def _probe_until_lost(self) -> None:
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), PROBE_INTERVAL_S)
                return
            self._probe_seen.clear()
            try:
                await asyncio.wait_for(
                    self._publish_probe(self._probe_channel.decode(), b"probe"), PROBE_TIMEOUT_S
                )
                await asyncio.wait_for(self._probe_seen.wait(), PROBE_TIMEOUT_S)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer is a new connection
                log.warning("redis probe did not return: %s", error or type(error).__name__)
                return
