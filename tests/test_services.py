from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.services import running_redis, wait_until, wait_until_sync


def test_a_redis_starts_empty_again_after_a_crash(tmp_path: Path) -> None:
    with running_redis(tmp_path) as server:
        with Redis.from_url(server.url) as redis:
            redis.set("key", "value")
        server.kill()
        server.start()
        with Redis.from_url(server.url) as redis:
            assert redis.get("key") is None


async def test_waiting_ends_with_what_was_awaited() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.08 s for pigs to fly"):
        await wait_until(lambda: False, 0.02, "pigs to fly")
    with pytest.raises(AssertionError, match=r"waited 0\.08 s for pigs to fly"):
        wait_until_sync(lambda: False, 0.02, "pigs to fly")

    async def soon() -> bool:
        return True

    await wait_until(soon)
