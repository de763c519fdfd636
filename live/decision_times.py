"""How long buy decisions took, as the hubs measured it: counted in classes, reported to Redis, added up for the console's plot."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from live.thinning import thinned

log = logging.getLogger("flashroom.decisions")

BOUNDS_MS: Final = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1000, 1500, 2000)
"""Upper bounds of the classes that decision times are counted in; the last class has none."""
MAX_REPORTS: Final = 2_000
REPORTS_KEPT_S: Final = 86_400
WINDOW_MS: Final = 5_000


class DecisionTimes:
    """A hub's part: count each decision's time, and report the counts to Redis now and then. Reports of all hubs add up."""

    def __init__(self, redis: Redis, clock_ms: Callable[[], int]) -> None:
        self._redis = redis
        self._clock_ms = clock_ms
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS_MS) + 1))

    def count(self, room_id: str, took_s: float) -> None:
        took_ms = took_s * 1000
        number = next((n for n, bound in enumerate(BOUNDS_MS) if took_ms <= bound), len(BOUNDS_MS))
        self._counts[room_id][number] += 1

    async def report(self) -> int:
        """Send what was counted; with Redis gone it is forgotten, and a plot has a hole where the trouble was."""
        counts, at_ms = dict(self._counts), self._clock_ms()
        self._counts.clear()
        try:
            for room_id, numbers in counts.items():
                async with self._redis.pipeline(transaction=False, shard_hint=_key(room_id)) as pipe:
                    pipe.lpush(_key(room_id), json.dumps([at_ms, numbers]))
                    pipe.ltrim(_key(room_id), 0, MAX_REPORTS - 1)
                    pipe.expire(_key(room_id), REPORTS_KEPT_S)
                    await pipe.execute()
        except (RedisError, OSError, TimeoutError):
            log.warning("decision times are not reported: redis does not answer")
        return len(counts)


@dataclass(frozen=True, slots=True)
class TimesAt:
    """Decisions in [at_ms, at_ms + 5 s): how many, and how long half, 95 and 99 of 100 of them took at most."""

    at_ms: int
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


async def decision_times(redis: Redis, room_id: str) -> list[TimesAt]:
    """The reports of all hubs of the last day, in windows of 5 s, oldest first. Raises RedisError."""
    windows: dict[int, list[int]] = {}
    for raw in await redis.lrange(_key(room_id), 0, MAX_REPORTS - 1):
        at_ms, numbers = json.loads(raw)
        start_ms = at_ms // WINDOW_MS * WINDOW_MS
        before = windows.get(start_ms, [0] * len(numbers))
        windows[start_ms] = [a + b for a, b in zip(before, numbers, strict=True)]
    return thinned([_times(at_ms, counts) for at_ms, counts in sorted(windows.items())])


def _times(at_ms: int, counts: Sequence[int]) -> TimesAt:
    return TimesAt(at_ms, sum(counts), *(percentile_ms(counts, share) for share in (0.5, 0.95, 0.99)))


def percentile_ms(counts: Sequence[int], share: float, bounds_ms: Sequence[int] = BOUNDS_MS) -> float:
    """The time that this share of decisions took at most, evenly spread inside its class; the open class counts as its lower bound."""
    wanted, before = sum(counts) * share, 0
    for number, count in enumerate(counts):
        if count and before + count >= wanted:
            low = float(bounds_ms[number - 1]) if number else 0.0
            high = float(bounds_ms[number]) if number < len(bounds_ms) else low
            return round(low + (high - low) * (wanted - before) / count, 2)
        before += count
    return 0.0


def _key(room_id: str) -> str:
    return f"flashroom:decisions:{room_id}"
