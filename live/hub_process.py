"""`flashroom hub`: one hub, or several on one port; the kernel spreads viewers over them (SO_REUSEPORT)."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Final

from live import processes
from live.settings import Settings

log = logging.getLogger("flashroom.hub")

STOP_CHILD_S: Final = 8.0
RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 10.0
STEADY_S: Final = 30.0


def run(settings: Settings) -> None:
    """Serve until SIGTERM, then ask viewers to come back elsewhere and end. Raises CannotStart."""
    if settings.hub_processes > 1:
        processes.run_until_stopped(lambda stop: supervise(settings, stop))
        return
    from live.hub_service import serve  # half a second that a supervisor doesn't need

    processes.run_until_stopped(lambda stop: serve(settings, stop))


async def supervise(settings: Settings, stop: asyncio.Event) -> None:
    """Keep `hub_processes` hubs running until `stop`; one that dies is started again after a growing pause."""
    async with asyncio.TaskGroup() as group:
        for number in range(settings.hub_processes):
            group.create_task(_keep_one(number, stop), name=f"hub {number}")


async def _keep_one(number: int, stop: asyncio.Event) -> None:
    pause_s = RESTART_MIN_S
    while not stop.is_set():
        started_s = time.monotonic()
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "live.cli", "hub"),
            env=processes.environment_for_children(
                {"FLASHROOM_HUB_PROCESSES": "1", **processes.must_not_outlive_us()}
            ),
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
        log.warning("hub %d ended with %s; it starts again in %.1f s", number, child.returncode, pause_s)
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
