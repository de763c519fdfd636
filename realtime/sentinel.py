"""A Redis that Sentinels watch over: every new connection asks them which server is in charge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Connection, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError

from realtime.redis_urls import Address, SentinelUrl

SENTINEL_TIMEOUT_S: Final = 1.0

Find = Callable[[], Awaitable[Address]]


class SentinelClient(Redis):
    """A `Redis` that follows the primary. A failover costs the calls that were under way, and those on connections that it cut."""

    def __init__(self, url: str, *, connections_max: int, timeout_s: float) -> None:
        """Opens nothing yet. Raises ValueError for a URL that isn't one."""
        self.url = SentinelUrl.parse(url)
        self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
            self.url.seeds,
            sentinel_kwargs={
                "socket_timeout": SENTINEL_TIMEOUT_S,
                "socket_connect_timeout": SENTINEL_TIMEOUT_S,
                "retry": Retry(NoBackoff(), 0),
            },
        )
        self._finding: asyncio.Task[Address] | None = None
        super().__init__(
            connection_pool=BlockingConnectionPool(
                connection_class=_ToPrimary,
                find=self.find_primary,
                username=self.url.username,
                password=self.url.password,
                db=self.url.database,
                max_connections=connections_max,
                timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                health_check_interval=0,
            )
        )

    async def find_primary(self) -> Address:
        """Ask the Sentinels, once for all who want to know now. Raises ConnectionRefusedError when none of them knows."""
        if self._finding is None or self._finding.done():
            self._finding = asyncio.create_task(self._find(), name="redis primary")
        return await asyncio.shield(self._finding)

    async def _find(self) -> Address:
        try:
            host, port = await self._sentinel.discover_master(self.url.name)
        except (RedisError, OSError) as error:
            raise ConnectionRefusedError(f"no Sentinel knows a primary {self.url.name!r}: {error}") from error
        return str(host), int(port)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except ReadOnlyError:
            # In charge no more, and it has kept our connections: the next ones ask anew.
            await self.connection_pool.disconnect(inuse_connections=False)
            raise

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        if self._finding is not None:
            self._finding.cancel()
        await self.connection_pool.aclose()
        await self._sentinel.aclose()
        await super().aclose(close_connection_pool)


class _ToPrimary(Connection):
    def __init__(self, *, find: Find, **options: Any) -> None:
        super().__init__(**options)
        self._find = find

    async def _connect(self) -> None:
        self.host, self.port = await self._find()
        await super()._connect()  # type: ignore[no-untyped-call]
