"""Recordings that are gone, told by the media processes, which have the films, to the worker, which has what was made of them in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

KEY: Final = "flashroom:media:deleted_recordings"
WAITING: Final = 10_000
"""More than any disk holds while no worker is at work."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """`entry` is the message's own, by which it is taken away."""

    entry: bytes
    room_id: str
    started_at_ms: int


async def tell(redis: Redis, room_id: str, started_at_ms: int) -> None:
    """Leave word of one; the newest 10,000 are kept. Raises what Redis raises."""
    fields: dict[Any, Any] = {"room_id": room_id, "started_at_ms": started_at_ms}
    await redis.xadd(KEY, fields, maxlen=WAITING, approximate=False)


async def waiting(redis: Redis, limit: int) -> list[Deleted]:
    """The oldest that nobody has heard yet. Raises what Redis raises."""
    found: Any = await redis.xrange(KEY, count=limit)
    return [Deleted(entry, said[b"room_id"].decode(), int(said[b"started_at_ms"])) for entry, said in found]


async def heard(redis: Redis, told: Sequence[Deleted]) -> None:
    """Take them away. Raises what Redis raises."""
    if told:
        await redis.xdel(KEY, *(one.entry for one in told))
