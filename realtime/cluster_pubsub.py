"""A subscription to a Redis Cluster: one connection to each primary, each channel on the one that owns its slot.

A node that dies takes its own rooms with it and no others. Where sharded pub/sub is not to be had (before Redis 7) a channel is followed
on its slot's owner all the same: what is published there is heard there, without a way through the cluster's bus that may lose it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Set
from typing import Any, Final

from redis.exceptions import RedisError

from realtime.cluster import REFRESH_APART_S, ClusterClient
from realtime.pubsub import SUBSCRIBE_TIMEOUT_S, OfChannels, Receive, Server, Subscription
from realtime.redis_urls import Address
from realtime.tasks import end_tasks

log = logging.getLogger("flashroom.pubsub")

START_PATIENCE_S: Final = 1.0
"""For the other nodes, once the first is connected."""
TOPOLOGY_POLL_S: Final = 5.0
TOPOLOGY_POLL_TROUBLE_S: Final = 0.5
READY_LOOK_S: Final = 0.25
PROBE_NAMES_MAX: Final = 200_000
"""Names tried to find a channel that a node owns: some twelve for each slot there is."""


class ClusterSubscription:
    """Channels of one process, wherever their slots are. The callbacks are those of `Subscription`."""

    def __init__(
        self,
        cluster: ClusterClient,
        *,
        receive: Receive,
        lost: OfChannels,
        restored: OfChannels,
        publish_probe: Callable[[str, bytes], Awaitable[Any]],
    ) -> None:
        self._cluster = cluster
        self._receive = receive
        self._on_lost = lost
        self._on_restored = restored
        self._publish_probe = publish_probe
        self._servers: dict[Address, Subscription] = {}
        self._where: dict[bytes, Address | None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect to every primary; one that takes longer than the others comes later. Raises TimeoutError when none answers in 5 s."""
        self._cluster.changed.add(self._wake)
        for address in self._cluster.primaries:
            self._open(address)
        waiting = [asyncio.create_task(server.connected.wait()) for server in self._servers.values()]
        try:
            if waiting:
                await asyncio.wait(waiting, timeout=SUBSCRIBE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait(waiting, timeout=START_PATIENCE_S)
        finally:
            for task in waiting:
                task.cancel()
        if not self.is_connected():
            raise TimeoutError("no node of the cluster can be subscribed to")
        self._task = asyncio.create_task(self._watch(), name="redis cluster subscription")

    async def aclose(self) -> None:
        self._cluster.changed.discard(self._wake)
        if self._task is not None:
            await end_tasks([self._task])
        for server in self._servers.values():
            await server.aclose()

    def is_connected(self, channel: str | None = None) -> bool:
        """Whether what is published to the channel (None: to any) would be heard."""
        if channel is None:
            return any(server.connected.is_set() for server in self._servers.values())
        server = self._server_of(channel.encode())
        return server is not None and server.connected.is_set()

    async def ready(self, channel: str) -> None:
        """Give back once the channel's server is connected, however long that takes."""
        while not self.is_connected(channel):
            server = self._server_of(channel.encode())
            if server is None:
                await asyncio.sleep(READY_LOOK_S)
            else:
                # Not for longer: the channel may move to another server meanwhile.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(READY_LOOK_S):
                        await server.connected.wait()

    async def subscribe(self, channel: str) -> None:
        """Returns once the node has confirmed. Raises TimeoutError after 5 s, or when the channel moves to another one meanwhile.

        The channel counts as subscribed from now on, also if this fails.
        """
        name = channel.encode()
        server = self._server_of(name)
        if server is None:
            self._where.setdefault(name, None)
            self._wake.set()
            raise TimeoutError("nobody owns the channel's slot")
        self._where[name] = (server.server.host, server.server.port)
        await server.subscribe(channel)

    def unsubscribe(self, channel: str) -> None:
        name = channel.encode()
        server = self._server_of(name)
        self._where.pop(name, None)
        if server is not None:
            server.unsubscribe(channel)

    def _server_of(self, name: bytes) -> Subscription | None:
        """The one that has the channel, else the one to ask for it."""
        address = self._where.get(name) or self._cluster.owner_of(name)
        return None if address is None else self._servers.get(address)

    # -- following the cluster

    def _open(self, address: Address) -> None:
        url = self._cluster.url
        server = self._servers[address] = Subscription(
            Server(*address, url.username, url.password, url.is_tls, self._cluster.is_sharded),
            receive=self._receive,
            lost=self._server_lost,
            restored=self._on_restored,
            publish_probe=self._publish_probe,
            probe_channel=lambda: self._probe_channel(address),
            taken_away=self._taken_away,
        )
        server.begin()

    def _probe_channel(self, address: Address) -> str:
        """A channel that the node owns now, so that a probe takes the way of its rooms' messages."""
        ours = uuid.uuid4().hex
        for number in range(PROBE_NAMES_MAX if address in self._cluster.primaries else 0):
            name = f"fr:probe:{{{ours}:{number}}}"
            if self._cluster.owner_of(name.encode()) == address:
                return name
        raise ConnectionResetError(f"{address[0]}:{address[1]} owns no slot now")

    def _server_lost(self, channels: Set[bytes]) -> None:
        self._on_lost(channels)
        self._wake.set()

    def _taken_away(self, channel: bytes) -> None:
        """Its slot has gone to another node."""
        address = self._where.get(channel)
        if address in self._servers:
            self._servers[address].give_up({channel}, tell=False)
        self._where[channel] = None
        self._server_lost({channel})

    async def _watch(self) -> None:
        while True:
            all_well = all(server.connected.is_set() for server in self._servers.values())
            poll_s = TOPOLOGY_POLL_S if all_well else TOPOLOGY_POLL_TROUBLE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll_s * random.uniform(0.75, 1.25)):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._cluster.refresh()
            except RedisError as error:
                log.warning("redis cluster: %s", error)
            await self._follow()
            # However often it is woken.
            await asyncio.sleep(REFRESH_APART_S * random.uniform(0.5, 1.0))

    async def _follow(self) -> None:
        """Bring connections and channels to where the slots are now."""
        owners = set(self._cluster.primaries)
        for address in owners - self._servers.keys():
            self._open(address)
        moves: dict[Address, set[bytes]] = defaultdict(set)
        leaves: dict[Address, set[bytes]] = defaultdict(set)
        for name, where in self._where.items():
            owner = self._cluster.owner_of(name)
            if owner is not None and owner != where:
                moves[owner].add(name)
                if where is not None:
                    leaves[where].add(name)
        for address, names in leaves.items():
            if address in self._servers:
                self._servers[address].give_up(names, tell=not self._cluster.is_sharded)
            self._on_lost(names)
        for address, names in moves.items():
            log.info("%d channels are on %s:%d now", len(names), *address)
            self._where.update(dict.fromkeys(names, address))
        await asyncio.gather(*(self._servers[address].take_over(names) for address, names in moves.items()))
        for address in self._servers.keys() - owners - set(self._where.values()):
            await self._servers.pop(address).aclose()
