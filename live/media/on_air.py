"""Which rooms a living media process speaks for: so that a room hears of its host's absence also from a process that can't say it any more.

A process renews its rooms each half second (`OnAir.renew`). The worker looks for rooms that nobody has renewed for 2 s
(`OnAir.end_silent`) and sets their value `media` to not publishing: with both intervals, viewers know within 3 s of a kill -9. Should the
process have been slow and not dead, its next renewal tells it that it was given up, and it says again what is on air.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from realtime.broker import Broker, BrokerUnavailable

log = logging.getLogger("flashroom.media")

KEY: Final = "flashroom:media:on_air"
SILENCE_MS: Final = 2_000
ROOMS_AT_ONCE: Final = 200
_HERE = Path(__file__).parent


class OnAir:
    """The rooms on air, in Redis, all processes together. Methods raise RedisError and BrokerUnavailable."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._renew = broker.redis.register_script((_HERE / "renew_on_air.lua").read_text())
        self._silent = broker.redis.register_script((_HERE / "silent_on_air.lua").read_text())

    async def renew(self, room_ids: Collection[str]) -> set[str]:
        """Speak for these rooms; gives those among them that are new, or were given up meanwhile."""
        if not room_ids:
            return set()
        unknown: list[bytes] = await self._renew(keys=[KEY], args=list(room_ids))
        return {room_id.decode() for room_id in unknown}

    async def end_silent(self, now_ms: int) -> int:
        """Tell rooms whose media process has gone silent that nobody publishes there; gives how many were told.

        A room whose Redis node is away is told later and keeps no other waiting.
        """
        silent: list[bytes] = await self._silent(keys=[KEY], args=[SILENCE_MS, ROOMS_AT_ONCE])
        told = 0
        for room_id in [raw.decode() for raw in silent]:
            try:
                told += await self._end(room_id, now_ms)
            except (BrokerUnavailable, RedisError, OSError) as error:
                log.warning("could not tell room %s that it is not on air: %s", room_id, error)
        return told

    async def _end(self, room_id: str, now_ms: int) -> bool:
        version, data = (await self._broker.values(room_id)).get("media", (0, None))
        is_news = data is not None and bool(data.get("publishing"))
        if is_news:
            away: dict[str, Any] = {**data, "publishing": False, "since_ms": now_ms}
            # One above what it was and no clock: whatever a living process says next is newer.
            await self._broker.publish(room_id, values={"media": (version + 1, away)})
            log.warning("room %s is not on air any more: its media process is silent", room_id)
        await self._broker.redis.zrem(KEY, room_id)
        return is_news
