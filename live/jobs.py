"""Jobs that repeat: each one owned by a task, bounded in time, and unable to stop the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from commerce.errors import CommerceError
from live.metrics import WorkerMetrics

log = logging.getLogger("flashroom.jobs")

BACKOFF_MAX_S: Final = 15.0
BUSY_RUNS_MAX: Final = 50
"""Runs in a row without a pause while there is more to do: a full inbox is emptied fast, and other jobs still get the loop."""
STOP_WITHIN_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Job:
    """`run` does one bounded piece of work and gives how many things it dealt with.

    `again_at` or more of them mean that there is probably more, and the next run follows at once.
    """

    name: str
    every_s: float
    run: Callable[[], Awaitable[int]]
    timeout_s: float = 20.0
    again_at: int | None = None


async def run_jobs(jobs: Sequence[Job], stop: asyncio.Event, metrics: WorkerMetrics) -> None:
    """Repeat all jobs until `stop`; then each may end what it is doing within 4 s."""
    tasks = [asyncio.create_task(_repeat(job, stop, metrics), name=f"job {job.name}") for job in jobs]
    try:
        stopped = asyncio.create_task(stop.wait())
        # A job's task ends only when stopped; should one end by a fault of ours, that must not stay unseen.
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        for task in done - {stopped}:
            task.result()
        await asyncio.wait(tasks, timeout=STOP_WITHIN_S)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(job: Job, stop: asyncio.Event, metrics: WorkerMetrics) -> None:
    failures = busy = 0
    while not stop.is_set():
        done = await run_once(job, metrics)
        if done is None:
            failures += 1
            pause_s = min(BACKOFF_MAX_S, max(job.every_s, 0.1) * 2 ** min(failures, 8))
        else:
            failures = 0
            busy = busy + 1 if job.again_at is not None and done >= job.again_at else 0
            if 0 < busy < BUSY_RUNS_MAX:
                await asyncio.sleep(0)
                continue
            busy = 0
            pause_s = job.every_s
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            pass


async def run_once(job: Job, metrics: WorkerMetrics) -> int | None:
    """One run with its time bound; None when it failed, which is logged and counted, and never raised."""
    started_s = time.monotonic()
    try:
        async with asyncio.timeout(job.timeout_s):
            done = await job.run()
    except Exception as error:
        metrics.runs.labels(job.name, "failed").inc()
        # What is expected while a database or Redis is away is one line; the rest is a fault of ours and shows where.
        known = isinstance(error, CommerceError | OSError | TimeoutError)
        log.warning("job %s failed: %s", job.name, _reason(error), exc_info=not known)
        return None
    finally:
        metrics.seconds.labels(job.name).observe(time.monotonic() - started_s)
    metrics.runs.labels(job.name, "done").inc()
    metrics.done.labels(job.name).inc(done)
    metrics.last_success.labels(job.name).set_to_current_time()
    return done


def _reason(error: BaseException) -> str:
    """What went wrong, and what was behind it: a refusal in words for buyers says too little to an operator."""
    said = str(error) or type(error).__name__
    cause = error.__cause__
    return said if cause is None else f"{said} ({type(cause).__name__}: {cause})"
