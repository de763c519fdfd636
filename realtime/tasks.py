"""Ending tasks for sure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final

log = logging.getLogger("flashroom.tasks")

PATIENCE_S: Final = 1.0
ATTEMPTS: Final = 5


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel them and wait until they have ended, at most 5 s. A cancellation can be swallowed on the way: then it is repeated."""
    left = {task for task in tasks if not task.done()}
    for _ in range(ATTEMPTS):
        if not left:
            return
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENCE_S)
    log.error("tasks did not end: %s", sorted(task.get_name() for task in left))
