"""Redis Cluster behind the client that everything here already uses: each command goes to the node that owns its key's slot.

redis-py's own cluster client closes every connection of every node when one of them fails, repeats commands by itself, and refuses instead
of waiting when its connections are busy. Here each primary has a plain client with a pool of its own, so a node that is away hurts its own
rooms only, and a command is sent again only when a node has said that it did not run it (MOVED, ASK, TRYAGAIN).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from realtime.redis_urls import Address, ClusterUrl

log = logging.getLogger("flashroom.cluster")

REDIRECTIONS_MAX: Final = 5
TRY_AGAIN_S: Final = 0.05
TOPOLOGY_TIMEOUT_S: Final = 1.0
TOPOLOGY_ASKED_MAX: Final = 8
REFRESH_APART_S: Final = 0.2
"""From one question about the topology to the next, however many calls fail meanwhile."""
SHARDED_SINCE: Final = 7
_KEYLESS: Final = frozenset({"PING", "INFO", "TIME", "CLUSTER SLOTS", "CONFIG GET", "ASKING"})
_BROKEN: Final = (RedisConnectionError, RedisTimeoutError, ClusterDownError, OSError)


class ClusterClient(Redis):
    """A `Redis` whose commands find their node. Pipelines name the key they belong to as `shard_hint`.

    Every command has its key first (scripts: the first of their keys), or is one of the few that any node can answer. A node that does
    not answer costs the caller a RedisError and makes us ask anew who owns what.
    """

    def __init__(self, url: str, *, connections_max: int, timeout_s: float) -> None:
        """Opens nothing yet. Raises ValueError for a URL that isn't one."""
        self.url = ClusterUrl.parse(url)
        host, port = self.url.seeds[0]
        super().__init__(host=host, port=port, retry=Retry(NoBackoff(), 0))  # a pool that is never used
        self.is_sharded = False
        """Whether all nodes have sharded pub/sub. Known after `discover`."""
        self.changed: set[asyncio.Event] = set()
        """Set whenever a slot has another owner than before."""
        self._connections_max = connections_max
        self._timeout_s = timeout_s
        self._owners: list[Address] = []
        self._nodes: dict[Address, Redis] = {}
        self._known: set[Address] = set(self.url.seeds)
        self._suspects: set[Address] = set()
        self._refreshing: asyncio.Task[None] | None = None

    async def discover(self) -> None:
        """Learn who owns what, and what the nodes can do. Raises RedisError when none answers."""
        await self.refresh()
        versions = await asyncio.gather(*map(self._major_version, self.primaries))
        known = [version for version in versions if version is not None]
        if not known:
            raise RedisConnectionError("no primary of the cluster answers")
        self.is_sharded = min(known) >= SHARDED_SINCE

    async def _major_version(self, address: Address) -> int | None:
        try:
            server = await self.node(address).info("server")
        except _BROKEN as error:
            log.warning("redis cluster: %s:%d does not say what it is: %s", *address, error)
            await self.suspect(address)
            return None
        return int(str(server["redis_version"]).split(".")[0])

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
        for node in self._nodes.values():
            await node.aclose()
        await super().aclose(close_connection_pool)

    # -- who owns what

    @property
    def primaries(self) -> list[Address]:
        """The nodes that own slots, as far as known."""
        return sorted({address for address in self._owners if address[1]})

    def owner_of(self, key: bytes) -> Address | None:
        """The node that has the key, or None while that isn't known."""
        address = self._owners[key_slot(key)] if self._owners else _NOBODY
        return None if address == _NOBODY else address

    def shard_of(self, key: str) -> str:
        """The key's slot, by name; whoever owns it."""
        return f"slot {key_slot(key.encode())}"

    def node_of(self, key: str) -> str:
        """Who owns the key's slot now, as far as known."""
        host, port = self.owner_of(key.encode()) or _NOBODY
        return f"{host}:{port}"

    async def run_id_of(self, key: str) -> str:
        """The run id of the node that has the key. Raises RedisError."""
        address = await self.locate(key.encode())
        try:
            return str((await self.node(address).info("server"))["run_id"])
        except _BROKEN:
            await self.suspect(address)
            raise

    async def refresh(self) -> None:
        """Ask who owns what. One question at a time, 0.2 s apart in trouble, for however many callers. Raises RedisError."""
        await asyncio.shield(self.refresh_soon())

    def refresh_soon(self) -> asyncio.Task[None]:
        """The same without waiting, and without an error."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh(), name="redis topology")
            self._refreshing.add_done_callback(_log_failure)
        return self._refreshing

    async def _refresh(self) -> None:
        # Whoever failed last is asked last, and the others in another order each time.
        asked = random.sample(sorted(self._known), len(self._known))
        asked.sort(key=lambda address: address in self._suspects)
        failure: Exception | None = None
        for address in asked[:TOPOLOGY_ASKED_MAX]:
            try:
                async with asyncio.timeout(TOPOLOGY_TIMEOUT_S):
                    rows = await _execute(self.node(address), ("CLUSTER SLOTS",))
            except (RedisError, OSError, TimeoutError) as error:
                failure = error
                self._suspects.add(address)
            else:
                self._suspects.discard(address)
                await self._take(rows, address)
                await asyncio.sleep(REFRESH_APART_S if self._suspects else 0)
                return
        await asyncio.sleep(REFRESH_APART_S)
        raise RedisConnectionError(f"no node of the cluster answers: {failure}") from failure

    async def _take(self, rows: Sequence[Sequence[Any]], answered: Address) -> None:
        owners = [_NOBODY] * REDIS_CLUSTER_HASH_SLOTS
        known = set(self.url.seeds)
        for first, last, *nodes in rows:
            # A node that was never told its own address leaves it out.
            addresses = [((host or b"").decode() or answered[0], int(port)) for host, port, *_ in nodes]
            owners[first : last + 1] = [addresses[0]] * (last + 1 - first)
            known.update(addresses)
        before, self._owners, self._known = self._owners, owners, known
        self._suspects &= known
        if owners != before:
            self._tell()
        for address in self._nodes.keys() - known:
            await self._nodes.pop(address).aclose()

    def _tell(self) -> None:
        for event in self.changed:
            event.set()

    def moved(self, error: MovedError, asked: Address) -> Address:
        """Note a slot's new owner, and give it."""
        address = (error.host or asked[0], error.port)
        self._known.add(address)
        if self._owners[error.slot_id] != address:
            self._owners[error.slot_id] = address
            self._tell()
            self.refresh_soon()  # One slot seldom moves alone.
        return address

    async def suspect(self, address: Address) -> None:
        """A node failed: its idle connections are as dead as the one that failed, and another may own its slots by now."""
        self._suspects.add(address)
        node = self._nodes.get(address)
        if node is not None:
            await node.connection_pool.disconnect(inuse_connections=False)
        self.refresh_soon()

    def node(self, address: Address) -> Redis:
        """The plain client of one node."""
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Redis.from_pool(
                BlockingConnectionPool(
                    connection_class=SSLConnection if self.url.is_tls else Connection,
                    host=address[0],
                    port=address[1],
                    username=self.url.username,
                    password=self.url.password,
                    max_connections=self._connections_max,
                    timeout=self._timeout_s,
                    retry=Retry(NoBackoff(), 0),
                    socket_timeout=self._timeout_s,
                    socket_connect_timeout=self._timeout_s,
                    health_check_interval=0,
                )
            )
        return node

    async def locate(self, key: bytes | None) -> Address:
        """The node to ask; None for any. Raises RedisError when nobody owns the key's slot."""
        if not self._owners:
            await self.refresh()
        if key is None:
            healthy = [address for address in self.primaries if address not in self._suspects]
            return random.choice(healthy or self.primaries)
        address = self.owner_of(key)
        if address is None:
            self.refresh_soon()
            raise ClusterDownError("nobody owns the slot of this key")
        return address

    # -- commands

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        key = _key_of(args)
        address, is_asking = await self.locate(key), False
        for _ in range(REDIRECTIONS_MAX):
            node = self.node(address)
            try:
                if is_asking:
                    return await _ask(node, args, options)
                return await _execute(node, args, options)
            except MovedError as error:
                address, is_asking = self.moved(error, address), False
            except AskError as error:
                address, is_asking = (error.host or address[0], error.port), True
            except TryAgainError:
                await asyncio.sleep(TRY_AGAIN_S)
            except _BROKEN:
                await self.suspect(address)
                others = [one for one in self.primaries if one not in self._suspects]
                if key is not None or not others:
                    raise
                address = random.choice(others)  # Any node will do.
        raise ResponseError("redirected too often: slots are on the move")

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """All commands of a pipeline are for the slot of the key `shard_hint`."""
        if shard_hint is None:
            raise ValueError("in a cluster a pipeline needs the key it belongs to as shard_hint")
        return _ShardPipeline(self, transaction, shard_hint)

    def register_script(self, script: Any) -> AsyncScript:  # type: ignore[override]
        return _Script(self, script)


_NOBODY: Final[Address] = ("", 0)


class _Script(AsyncScript):
    """A node that doesn't know the script is sent it with its arguments: loading it everywhere would fail with any node."""

    async def __call__(
        self, keys: Sequence[Any] | None = None, args: Iterable[Any] | None = None, client: Any = None
    ) -> Any:
        on, keys, args = client or self.registered_client, keys or (), tuple(args or ())
        try:
            return await on.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await on.eval(str(self.script), len(keys), *keys, *args)


class _ShardPipeline(Pipeline):
    def __init__(self, cluster: ClusterClient, transaction: bool, key: str) -> None:
        super().__init__(cluster.connection_pool, cluster.response_callbacks, transaction, key)
        self._cluster = cluster
        self._key = key.encode()

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = list(self.command_stack)
        address = await self._cluster.locate(self._key)
        for _ in range(REDIRECTIONS_MAX):
            self.connection_pool = self._cluster.node(address).connection_pool
            self.command_stack = list(stack)
            try:
                return await super().execute(raise_on_error)
            except MovedError as error:
                # Said of a transaction before it ran, of other pipelines by every command: they are all for one slot.
                address = self._cluster.moved(error, address)
            except _BROKEN:
                await self._cluster.suspect(address)
                raise
        raise ResponseError("redirected too often: slots are on the move")


async def _execute(node: Redis, args: Sequence[Any], options: dict[str, Any] | None = None) -> Any:
    return await node.execute_command(*args, **(options or {}))  # type: ignore[no-untyped-call]


async def _ask(node: Redis, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """A command for a slot that is on its way to this node."""
    async with node.pipeline(transaction=False) as pipe:
        pipe.execute_command("ASKING")
        pipe.execute_command(*args, **options)
        return (await pipe.execute())[1]


def _key_of(args: Sequence[Any]) -> bytes | None:
    name = str(args[0])
    if name in ("EVALSHA", "EVAL"):
        if not int(args[2]):
            raise ValueError("in a cluster a script needs a key")
        key = args[3]
    elif name in _KEYLESS:
        return None
    elif len(args) < 2 or " " in name:
        raise ValueError(f"{name} has no key: which node is it for?")
    else:
        key = args[1]
    return key if isinstance(key, bytes) else str(key).encode()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("redis cluster: %s", task.exception())
