"""A Redis subscription that routes and decodes nothing else: hiredis under a protocol of ours, reconnecting, probing itself.

redis-py's reader costs 12 to 62 µs per message, this one 1.5 to 19 (research/realtime.md section 2d). A probe published through the
ordinary path must come back; when it does not, the connection is dropped and made anew, since silent loss after a failover looks healthy.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlparse

import hiredis

from realtime.tasks import end_tasks

log = logging.getLogger("flashroom.pubsub")

PROBE_INTERVAL_S: Final = 2.0
PROBE_TIMEOUT_S: Final = 3.0
RECONNECT_MIN_S: Final = 0.1
RECONNECT_MAX_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 5.0
SUBSCRIBE_TIMEOUT_S: Final = 5.0
SUBSCRIBE_BATCH: Final = 512

Receive = Callable[[bytes, bytes], None]


class _Wire(asyncio.Protocol):
    def __init__(self, receive: Receive, confirm: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._reader = hiredis.Reader()
        self._receive = receive
        self._confirm = confirm
        self._lost = lost
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, list) and len(reply) == 3:
                if reply[0] == b"message":
                    self._receive(reply[1], reply[2])
                elif reply[0] == b"subscribe":
                    self._confirm(reply[1])
            elif isinstance(reply, hiredis.ReplyError):
                log.error("redis refused the subscription: %s", reply)
                if self._transport is not None:
                    self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class Subscription:
    """Channels of one process.

    `receive(channel, payload)` runs in the event loop. `lost()` is told when the subscription can't be trusted any more, `restored()`
    once a new connection has confirmed every channel: what was published in between was missed, nothing after it is.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        receive: Receive,
        lost: Callable[[], None],
        restored: Callable[[], None],
        publish_probe: Callable[[str, bytes], Awaitable[Any]],
    ) -> None:
        url = urlparse(redis_url)
        self._address = (url.hostname or "127.0.0.1", url.port or 6379)
        self._ssl = ssl.create_default_context() if url.scheme == "rediss" else None
        self._credentials = [unquote(part).encode() for part in (url.username, url.password) if part]
        self._receive = receive
        self._on_lost = lost
        self._on_restored = restored
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
        async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
            await self.connected.wait()

    async def aclose(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        if self._transport is not None:
            self._transport.abort()

    async def subscribe(self, channel: str) -> None:
        """Returns once Redis has confirmed, so that nothing published later is missed. Raises TimeoutError after 5 s.

        The channel counts as subscribed from now on, also if this fails: a new connection brings it along.
        """
        name = channel.encode()
        self._channels.add(name)
        async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
            await self.connected.wait()
            confirmed = self._expect(name)
            if self._transport is not None:
                self._transport.write(_command(b"SUBSCRIBE", name))
            await asyncio.shield(confirmed)

    def unsubscribe(self, channel: str) -> None:
        name = channel.encode()
        self._channels.discard(name)
        if self._transport is not None:
            self._transport.write(_command(b"UNSUBSCRIBE", name))

    def _expect(self, channel: bytes) -> asyncio.Future[None]:
        known = self._confirmations.get(channel)
        if known is None or known.done():
            known = self._confirmations[channel] = asyncio.get_running_loop().create_future()
        return known

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
        was_connected = False
        while True:
            self._lost.clear()
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self._connect()
            except OSError as error:
                log.warning("redis subscription: %s", error or type(error).__name__)
            else:
                delay_s = RECONNECT_MIN_S
                self.connected.set()
                if was_connected:
                    self._on_restored()
                was_connected = True
                await self._probe_until_lost()
                self.connected.clear()
                log.warning("redis subscription lost; connecting again")
                self._on_lost()
            if self._transport is not None:
                self._transport.abort()
                self._transport = None
            # Jittered, so that the hubs of a site don't return all at once.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    async def _connect(self) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: _Wire(self._on_message, self._on_confirmed, self._lost.set), *self._address, ssl=self._ssl
        )
        self._transport = transport
        if self._credentials:
            transport.write(_command(b"AUTH", *self._credentials))
        # The probe's channel comes last: confirmed, it says that all are.
        names: Sequence[bytes] = [*self._channels, self._probe_channel]
        confirmed = self._expect(self._probe_channel)
        for start in range(0, len(names), SUBSCRIBE_BATCH):
            transport.write(_command(b"SUBSCRIBE", *names[start : start + SUBSCRIBE_BATCH]))
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((confirmed, lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
        if not confirmed.done():
            raise ConnectionResetError("closed before it confirmed the channels")

    async def _probe_until_lost(self) -> None:
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_INTERVAL_S):
                    await self._lost.wait()
                return
            self._probe_seen.clear()
            try:
                async with asyncio.timeout(PROBE_TIMEOUT_S):
                    await self._publish_probe(self._probe_channel.decode(), b"probe")
                    await self._probe_seen.wait()
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the answer is a new connection
                log.warning("redis probe did not return: %s", error or type(error).__name__)
                return
