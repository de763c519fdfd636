"""One look for many eyes: what everybody asks for at the same moment is read once and shown to all for a fraction of a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

GOOD_FOR_S: Final = 0.25
MAX_KEPT: Final = 500


class SharedReads(Generic[Value]):
    """`get(key, read)` gives what `read()` gave at most `good_for_s` ago; callers meanwhile share one call. Errors are not kept."""

    def __init__(
        self,
        good_for_s: float = GOOD_FOR_S,
        max_kept: int = MAX_KEPT,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._good_for_s = good_for_s
        self._max_kept = max_kept
        self._clock_s = clock_s
        self._kept: dict[Hashable, tuple[float, asyncio.Future[Value]]] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[Value]]) -> Value:
        now_s = self._clock_s()
        known = self._kept.get(key)
        if known is not None and (now_s < known[0] or not known[1].done()):
            return await asyncio.shield(known[1])
        reading = asyncio.ensure_future(read())
        self._kept.pop(key, None)
        self._kept[key] = (now_s + self._good_for_s, reading)
        if len(self._kept) > self._max_kept:
            del self._kept[next(iter(self._kept))]  # the oldest
        try:
            return await asyncio.shield(reading)  # a caller that leaves takes the answer from nobody
        finally:
            if reading.done() and (reading.cancelled() or reading.exception() is not None):
                kept = self._kept.get(key)
                if kept is not None and kept[1] is reading:
                    del self._kept[key]
