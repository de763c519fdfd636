"""What has to be right around a sale before it is armed: our clock and Redis' agree, and somebody can take money."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from commerce.errors import CommerceError
from commerce.payments.provider import Provider
from commerce.sale_rules import Problem

MAX_SKEW_MS: Final = 1_000
"""Redis' clock opens the sale, ours lets unpaid orders go. Further apart than this, buyers would see times that aren't kept."""
PATIENCE_S: Final = 3.0
KEEP_MS: Final = 10_000
"""How long an answer of the providers is good for."""


class Preflight:
    """The lights that `SaleDesk` asks for. A Redis that is silent is no red light: the sale is loaded when it is back."""

    def __init__(self, redis: Redis, providers: Mapping[str, Provider], clock_ms: Callable[[], int]) -> None:
        self._redis = redis
        self._providers = dict(providers)
        self._clock_ms = clock_ms
        self._asked_at_ms = -KEEP_MS
        self._payments: list[Problem] = []

    async def lights(self) -> list[Problem]:
        """The red ones, within 3 s."""
        return [*await self._clocks(), *await self._can_pay()]

    async def _clocks(self) -> list[Problem]:
        before_ms = self._clock_ms()
        try:
            async with asyncio.timeout(PATIENCE_S):
                seconds, microseconds = await self._redis.time()
        except (RedisError, OSError, TimeoutError):
            return []
        after_ms = self._clock_ms()
        theirs_ms = seconds * 1000 + microseconds // 1000
        skew_ms = max(before_ms - theirs_ms, theirs_ms - after_ms, 0)
        if skew_ms <= MAX_SKEW_MS:
            return []
        return [Problem("clock_skew", f"the clocks of this machine and of Redis differ by {skew_ms} ms")]

    async def _can_pay(self) -> list[Problem]:
        now_ms = self._clock_ms()
        if not 0 <= now_ms - self._asked_at_ms < KEEP_MS:
            silent = [error for error in await asyncio.gather(*map(_ping, self._providers.values())) if error]
            is_red = len(silent) == len(self._providers)
            said = "; ".join(silent) or "no payment provider is set up"
            self._payments = [Problem("payments_down", said)] if is_red else []
            self._asked_at_ms = now_ms
        return self._payments


async def _ping(provider: Provider) -> str | None:
    """What is wrong with a provider; None when it answers."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await provider.ping()
    except CommerceError as error:
        return f"{provider.name}: {error}"
    except TimeoutError:
        return f"{provider.name}: no answer within {PATIENCE_S:g} s"
    return None
