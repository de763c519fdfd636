"""Telling a room at once what an order or a control has changed, without telling it once per order.

While a room is being told, everyone who has changed something more shares the next telling. Nobody waits long for it: the outbox and
the worker repeat all of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

log = logging.getLogger("flashroom.tellers")

PATIENCE_S: Final = 0.25


class Tellers:
    """`tell(key, work)` runs `work` once for all who ask while an earlier run for the key is under way."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._next: dict[Hashable, asyncio.Task[None]] = {}

    async def tell(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Come back when a run that began after this call has ended, or after a quarter of a second."""
        task = self._next.get(key)
        if task is None:
            task = asyncio.create_task(self._run(key, self._running.get(key), work))
            self._next[key] = task
        await asyncio.wait({task}, timeout=self._patience_s)

    async def _run(
        self, key: Hashable, before: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        own = self._next.pop(key)
        self._running[key] = own
        try:
            await work()
        except Exception:  # the worker repeats it, and the caller's own work is done
            log.exception("%s was not told", key)
        finally:
            if self._running.get(key) is own:
                del self._running[key]

    async def aclose(self) -> None:
        """Let what is under way end."""
        while tasks := {*self._running.values(), *self._next.values()}:
            await asyncio.wait(tasks)
