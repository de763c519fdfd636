"""Several processes of one role under one: each is started again when it dies, all end in order when their supervisor is told to."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

from live import processes

log = logging.getLogger("flashroom.supervisor")

STOP_CHILD_S: Final = 8.0
RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 10.0
STEADY_S: Final = 30.0


async def supervise(role: str, environments: Sequence[Mapping[str, str]], stop: asyncio.Event) -> None:
    """Keep one process of the role running for each environment until `stop`; one that dies is started again after a growing pause."""
    async with asyncio.TaskGroup() as group:
        for number, environment in enumerate(environments):
            group.create_task(_keep_one(role, number, environment, stop), name=f"{role} {number}")


async def _keep_one(role: str, number: int, environment: Mapping[str, str], stop: asyncio.Event) -> None:
    pause_s = RESTART_MIN_S
    while not stop.is_set():
        started_s = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "live.cli", role),
            env=processes.environment_for_children({**environment, **processes.must_not_outlive_us()}),
        )
        ended = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            await _end(child, ended)
            return
        if time.monotonic() - started_s > STEADY_S:
            pause_s = RESTART_MIN_S
        log.warning("%s %d ended with %s; it starts again in %.1f s", role, number, child.returncode, pause_s)
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            pause_s = min(RESTART_MAX_S, pause_s * 2)


async def _end(child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    """Ask the child to drain; what has not gone within the bound is killed."""
    if child.returncode is None:
        try:
            child.terminate()
            await asyncio.wait_for(asyncio.shield(ended), STOP_CHILD_S)
        except ProcessLookupError:
            pass
        except TimeoutError:
            child.kill()
    await ended
