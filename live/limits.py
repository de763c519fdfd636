"""Rate limits of the HTTP API, counted in Redis for all processes together. With Redis gone they let everybody through: the pages
must go on, and the hub has limits of its own."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from commerce.errors import CommerceError

PATIENCE_S: Final = 0.5
"""How long a request waits to be counted: a Redis that hangs must not hang the pages."""

log = logging.getLogger("flashroom.limits")


class TooMany(CommerceError):
    """Come back after `retry_after_ms`."""

    def __init__(
        self,
        retry_after_ms: int,
        code: str = "rate_limited",
        message: str = "Too many requests. Try again later.",
    ) -> None:
        super().__init__(code, message, retry_after_ms=retry_after_ms)
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `allowed` in each window of `window_ms`, per caller or per address."""

    name: str
    allowed: int
    window_ms: int
    per_address: bool = False


SIGN_IN: Final = Limit("sign-in", 10, 60_000, per_address=True)
NEW_GUEST: Final = Limit("guest", 600, 60_000, per_address=True)
UNSAFE: Final = Limit("unsafe", 240, 60_000)
SAFE: Final = Limit("safe", 1200, 60_000)
ANONYMOUS: Final = Limit("anonymous", 6000, 60_000, per_address=True)  # a campus shares one address
FOLLOW: Final = Limit("follow", 60, 60_000)
REMIND: Final = Limit("remind", 60, 60_000)
WEBHOOK: Final = Limit("webhook", 60_000, 60_000, per_address=True)


class Limits:
    """Takes one from a caller's allowance, or raises TooMany."""

    def __init__(self, redis: Redis, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._script = redis.register_script((Path(__file__).parent / "take_token.lua").read_text())

    async def take(self, limit: Limit, principal: str, address: str) -> None:
        if not self._enabled:
            return
        whose = f"address:{address}" if limit.per_address else principal
        try:
            async with asyncio.timeout(PATIENCE_S):
                allowed, wait_ms = await self._script(
                    keys=[f"flashroom:limit:{limit.name}:{whose}"], args=[limit.allowed, limit.window_ms]
                )
        except (RedisError, OSError, TimeoutError):
            log.warning("rate limits are not counted: redis does not answer")
            return
        if not allowed:
            raise TooMany(int(wait_ms))
