"""Whose consoles are open in a room, as they were heard of; in Redis, because every `web` hears some of them."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

AWAY_AFTER_MS: Final = 15_000
"""Whose console was silent for so long is away; an open console is heard every 4 s."""


async def saw(redis: Redis, room_id: str, user_id: str, now_ms: int) -> None:
    """Note that somebody's console is open. Raises what Redis raises."""
    async with redis.pipeline(transaction=False, shard_hint=_key(room_id)) as pipe:
        pipe.zadd(_key(room_id), {user_id: now_ms})
        pipe.zremrangebyscore(_key(room_id), 0, now_ms - AWAY_AFTER_MS)
        pipe.pexpire(_key(room_id), AWAY_AFTER_MS)
        await pipe.execute()


async def who(redis: Redis, room_id: str, now_ms: int) -> set[str] | None:
    """The ids of those whose console is open. None when Redis can't say."""
    try:
        found: list[Any] = await redis.zrangebyscore(_key(room_id), now_ms - AWAY_AFTER_MS + 1, "+inf")
    except (RedisError, OSError):
        return None
    return {one.decode() if isinstance(one, bytes) else str(one) for one in found}


def _key(room_id: str) -> str:
    return f"flashroom:consoles:{room_id}"
