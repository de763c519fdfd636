"""Rate limits: counted for all processes together, bounded in time and memory, and never in the way when Redis is gone."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from commerce.hot_ledger import connect_redis
from live.limits import Limit, Limits, TooMany
from tests.services import running_redis, wait_until


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect_redis(redis_url)
    yield client
    await client.aclose()


def limit(allowed: int = 2, window_ms: int = 60_000, *, per_address: bool = False) -> Limit:
    return Limit(f"test-{uuid.uuid4().hex}", allowed, window_ms, per_address)


async def is_refused(limits: Limits, one: Limit, principal: str = "gu_a", address: str = "1.1.1.1") -> bool:
    try:
        await limits.take(one, principal, address)
    except TooMany as error:
        wait_ms = error.retry_after_ms
    else:
        return False
    assert 0 < wait_ms <= one.window_ms
    return True


async def test_two_processes_count_together(redis: Redis) -> None:
    one, other, few = Limits(redis), Limits(redis), limit(2)
    assert [await is_refused(each, few) for each in (one, other, one, other)] == [False, False, True, True]


async def test_one_caller_does_not_use_up_another_callers_allowance(redis: Redis) -> None:
    limits, few = Limits(redis), limit(1)
    assert not await is_refused(limits, few, "gu_a")
    assert not await is_refused(limits, few, "gu_b")
    assert await is_refused(limits, few, "gu_a")


async def test_a_limit_per_address_cannot_be_left_with_a_new_nickname(redis: Redis) -> None:
    limits, few = Limits(redis), limit(1, per_address=True)
    assert not await is_refused(limits, few, "gu_a", "1.1.1.1")
    assert await is_refused(limits, few, "gu_b", "1.1.1.1")
    assert not await is_refused(limits, few, "gu_b", "2.2.2.2")


async def test_the_allowance_is_back_when_the_window_has_passed_and_nothing_stays_in_redis(
    redis: Redis,
) -> None:
    limits, few = Limits(redis), limit(1, window_ms=300)
    assert not await is_refused(limits, few)
    assert await is_refused(limits, few)
    keys = await redis.keys(f"flashroom:limit:{few.name}:*")
    assert [0 < await redis.pttl(key) <= 300 for key in keys] == [True]

    async def is_back() -> bool:
        return not await is_refused(limits, few)

    await wait_until(is_back)


async def test_switched_off_they_count_nothing(redis: Redis) -> None:
    limits, few = Limits(redis, enabled=False), limit(1)
    assert [await is_refused(limits, few) for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_with_redis_gone_everybody_is_let_through_at_once(tmp_path: Path, how: str) -> None:
    with running_redis(tmp_path / "redis") as server:
        redis = connect_redis(server.url)
        limits, few = Limits(redis), limit(1)
        assert not await is_refused(limits, few)
        server.kill() if how == "kill" else server.freeze()
        started_s = time.monotonic()
        assert not await is_refused(limits, few)
        assert time.monotonic() - started_s < 2
        await redis.aclose()
