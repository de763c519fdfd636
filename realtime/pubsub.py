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
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final, Protocol
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
"""Channels asked for and not yet confirmed, at most: a hub that returns with thousands of rooms doesn't flood the server."""

Receive = Callable[[bytes, bytes], None]
OfChannels = Callable[[Set[bytes]], None]


@dataclass(frozen=True, slots=True)
class Server:
    """Where to subscribe, and how: with `sharded` only the node that owns a channel's slot takes it."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    is_tls: bool = False
    sharded: bool = False

    @classmethod
    def at(cls, redis_url: str) -> Server:
        url = urlparse(redis_url)
        username, password = (unquote(part) if part else None for part in (url.username, url.password))
        return cls(url.hostname or "127.0.0.1", url.port or 6379, username, password, url.scheme == "rediss")


class _Wire(asyncio.Protocol):
    def __init__(
        self,
        receive: Receive,
        confirm: Callable[[bytes], None],
        taken_away: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._reader = hiredis.Reader()
        self._receive = receive
        self._confirm = confirm
        self._taken_away = taken_away
        self._lost = lost
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            if isinstance(reply, list) and len(reply) == 3:
                if reply[0] in _MESSAGE:
                    self._receive(reply[1], reply[2])
                elif reply[0] in _CONFIRMED:
                    self._confirm(reply[1])
                elif reply[0] == b"sunsubscribe":
                    self._taken_away(reply[1])
            elif isinstance(reply, hiredis.ReplyError):
                log.error("redis refused the subscription: %s", reply)
                if self._transport is not None:
                    self._transport.close()
                return  # What it confirms after that would make the connection look whole.

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()


_MESSAGE: Final = (b"message", b"smessage")
_CONFIRMED: Final = (b"subscribe", b"ssubscribe")


def _command(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


class Following(Protocol):
    """What a hub needs of a subscription, be it to one server or to a cluster."""

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...
    def is_connected(self, channel: str | None = None) -> bool: ...
    async def ready(self, channel: str) -> None: ...
    async def subscribe(self, channel: str) -> None: ...
    def unsubscribe(self, channel: str) -> None: ...


class Subscription:
    """Channels of one process on one server.

    `receive(channel, payload)` runs in the event loop. `lost(channels)` is told when the subscription can't be trusted any more,
    `restored(channels)` once a new connection has confirmed them: what was published in between was missed, nothing after it is.
    `probe_channel()` names a channel that this server has; `taken_away(channel)` is told when the server has given a channel up.
    `find()` gives host and port anew for each connection, where these change; it raises OSError.
    """

    def __init__(
        self,
        server: Server,
        *,
        receive: Receive,
        lost: OfChannels,
        restored: OfChannels,
        publish_probe: Callable[[str, bytes], Awaitable[Any]],
        probe_channel: Callable[[], str] | None = None,
        taken_away: Callable[[bytes], None] | None = None,
        find: Callable[[], Awaitable[tuple[str, int]]] | None = None,
    ) -> None:
        self.server = server
        self._find = find
        self._receive = receive
        self._on_lost = lost
        self._on_restored = restored
        self._on_taken_away = taken_away
        self._publish_probe = publish_probe
        name = f"fr:probe:{uuid.uuid4().hex}"
        self._name_probe_channel = probe_channel or (lambda: name)
        self._probe_channel = b""
        self._probe_seen = asyncio.Event()
        self._channels: set[bytes] = set()
        self._confirmations: dict[bytes, asyncio.Future[None]] = {}
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def begin(self) -> None:
        """Connect, and stay connected; `connected` is set once it is."""
        self._task = asyncio.create_task(self._run(), name="redis subscription")

    async def start(self) -> None:
        """Connect; raises TimeoutError when Redis does not answer within 5 s."""
        self.begin()
        async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
            await self.connected.wait()

    async def aclose(self) -> None:
        if self._task is not None:
            await end_tasks([self._task])
        if self._transport is not None:
            self._transport.abort()

    def is_connected(self, channel: str | None = None) -> bool:
        """Whether what is published to the channel (None: to any) would be heard."""
        return self.connected.is_set()

    async def ready(self, channel: str) -> None:
        """Give back once the channel's server is connected, however long that takes."""
        await self.connected.wait()

    async def subscribe(self, channel: str) -> None:
        """Returns once Redis has confirmed, so that nothing published later is missed. Raises TimeoutError after 5 s.

        The channel counts as subscribed from now on, also if this fails: a new connection brings it along.
        """
        name = channel.encode()
        self._channels.add(name)
        async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
            await self.connected.wait()
            confirmed = self._expect(name)
            self._ask_for([name])
            await asyncio.shield(confirmed)

    def unsubscribe(self, channel: str) -> None:
        self.give_up({channel.encode()})

    async def take_over(self, channels: Set[bytes]) -> None:
        """Channels that another server had; `restored` is told once they are confirmed here, however long that takes."""
        self._channels |= channels
        if not self.connected.is_set():
            return  # The new connection brings them along.
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT_S):
                await self._confirm(sorted(channels))
        except OSError:
            self._lost.set()  # And so does the one after this.
        else:
            self._on_restored(channels)

    def give_up(self, channels: Set[bytes], *, tell: bool = True) -> None:
        """Hear nothing more of these; who waits for one of them to be confirmed gets TimeoutError.

        Without `tell` the server is not told: one that has no such slot any more would refuse, and has dropped them by itself.
        """
        for name in channels & self._channels:
            waiting = self._confirmations.pop(name, None)
            if waiting is not None and not waiting.done():
                waiting.set_exception(TimeoutError("another server has the channel now"))
                waiting.exception()  # Whoever waited may have gone: then nobody needs to hear of it.
            if tell and self._transport is not None:
                self._transport.write(
                    _command(b"SUNSUBSCRIBE" if self.server.sharded else b"UNSUBSCRIBE", name)
                )
        self._channels -= channels

    def _ask_for(self, names: Sequence[bytes]) -> None:
        if self._transport is None:
            return
        if self.server.sharded:
            # One by one: channels of one command must share a slot.
            self._transport.write(b"".join(_command(b"SSUBSCRIBE", name) for name in names))
        else:
            self._transport.write(_command(b"SUBSCRIBE", *names))

    def _expect(self, channel: bytes) -> asyncio.Future[None]:
        known = self._confirmations.get(channel)
        if known is None or known.done():
            known = self._confirmations[channel] = asyncio.get_running_loop().create_future()
        return known

    async def _confirm(self, names: Sequence[bytes]) -> None:
        """Subscribe, no more than a batch unconfirmed at a time. Raises ConnectionResetError when the connection ends before that."""
        for start in range(0, len(names), SUBSCRIBE_BATCH):
            batch = names[start : start + SUBSCRIBE_BATCH]
            # Confirmed in order: the last one says that all are.
            confirmed = self._expect(batch[-1])
            self._ask_for(batch)
            lost = asyncio.ensure_future(self._lost.wait())
            try:
                await asyncio.wait((confirmed, lost), return_when=asyncio.FIRST_COMPLETED)
            finally:
                lost.cancel()
            if self._lost.is_set() or not confirmed.done() or confirmed.exception() is not None:
                raise ConnectionResetError("closed before it confirmed the channels")

    def _on_message(self, channel: bytes, payload: bytes) -> None:
        if channel == self._probe_channel:
            self._probe_seen.set()
        else:
            self._receive(channel, payload)

    def _on_confirmed(self, channel: bytes) -> None:
        future = self._confirmations.pop(channel, None)
        if future is not None and not future.done():
            future.set_result(None)

    def _on_given_up(self, channel: bytes) -> None:
        if channel == self._probe_channel:
            self._lost.set()
        elif channel in self._channels and self._on_taken_away is not None:
            self._on_taken_away(channel)

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
                if was_connected or self._channels:
                    self._on_restored(frozenset(self._channels))
                was_connected = True
                await self._probe_until_lost()
                self.connected.clear()
                log.warning("redis subscription lost; connecting again")
                self._on_lost(frozenset(self._channels))
            if self._transport is not None:
                self._transport.abort()
                self._transport = None
            # Jittered, so that the hubs of a site don't return all at once.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, RECONNECT_MAX_S)

    async def _connect(self) -> None:
        server = self.server
        host, port = (server.host, server.port) if self._find is None else await self._find()
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: _Wire(self._on_message, self._on_confirmed, self._on_given_up, self._lost.set),
            host,
            port,
            ssl=ssl.create_default_context() if server.is_tls else None,
        )
        self._transport = transport
        credentials = [part.encode() for part in (server.username, server.password) if part]
        if credentials:
            transport.write(_command(b"AUTH", *credentials))
        self._probe_channel = self._name_probe_channel().encode()
        await self._confirm([self._probe_channel])
        confirmed: set[bytes] = set()
        while missing := self._channels - confirmed:  # Some may be added meanwhile.
            await self._confirm(sorted(missing))
            confirmed |= missing
        self.connected.set()

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
