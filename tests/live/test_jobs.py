"""Jobs that repeat: owned, bounded, and unable to stop each other."""

from __future__ import annotations

import asyncio

import pytest

from commerce.errors import Unavailable
from live.jobs import Job, run_jobs, run_once
from live.metrics import WorkerMetrics
from tests.services import wait_until


class Counted:
    """A job's work that counts its runs and fails the first `failures` times."""

    def __init__(self, gives: int = 0, failures: int = 0, error: Exception | None = None) -> None:
        self.runs = 0
        self.gives = gives
        self.failures = failures
        self.error = error or Unavailable("redis_unavailable")

    async def __call__(self) -> int:
        self.runs += 1
        if self.runs <= self.failures:
            raise self.error
        return self.gives


async def stopped_after(jobs: list[Job], stop: asyncio.Event, metrics: WorkerMetrics) -> asyncio.Task[None]:
    return asyncio.create_task(run_jobs(jobs, stop, metrics))


async def test_a_failing_job_backs_off_and_does_not_stop_the_others() -> None:
    broken, well = Counted(failures=10**9, error=ZeroDivisionError("ours")), Counted()
    stop, metrics = asyncio.Event(), WorkerMetrics()
    running = await stopped_after([Job("broken", 0.01, broken), Job("well", 0.01, well)], stop, metrics)
    await wait_until(lambda: well.runs >= 30, what="thirty good runs")
    assert 1 <= broken.runs < well.runs / 3
    stop.set()
    await asyncio.wait_for(running, 5)
    assert metrics.registry.get_sample_value(
        "flashroom_job_runs_total", {"job": "broken", "outcome": "failed"}
    )


async def test_a_job_recovers_after_failures() -> None:
    work = Counted(failures=2)
    stop, metrics = asyncio.Event(), WorkerMetrics()
    running = await stopped_after([Job("flaky", 0.001, work)], stop, metrics)
    await wait_until(lambda: work.runs >= 4, what="runs after the failures")
    stop.set()
    await asyncio.wait_for(running, 5)
    assert metrics.registry.get_sample_value("flashroom_job_runs_total", {"job": "flaky", "outcome": "done"})


async def test_a_full_queue_is_worked_off_without_pauses_but_not_for_ever() -> None:
    busy, other = Counted(gives=10), Counted()
    stop, metrics = asyncio.Event(), WorkerMetrics()
    running = await stopped_after(
        [Job("busy", 60.0, busy, again_at=10), Job("other", 0.001, other)], stop, metrics
    )
    await wait_until(lambda: busy.runs >= 50, what="fifty runs in a row")
    await wait_until(lambda: other.runs >= 5, what="the other job")
    assert busy.runs == 50
    stop.set()
    await asyncio.wait_for(running, 5)


async def test_a_run_that_hangs_is_cut_off() -> None:
    async def hang() -> int:
        await asyncio.Event().wait()
        return 0

    assert await run_once(Job("hanging", 1.0, hang, timeout_s=0.05), WorkerMetrics()) is None


async def test_stopping_lets_a_run_end_what_it_is_doing() -> None:
    inside, finished = asyncio.Event(), asyncio.Event()

    async def slow() -> int:
        inside.set()
        await asyncio.sleep(0.2)
        finished.set()
        return 1

    stop = asyncio.Event()
    running = await stopped_after([Job("slow", 1.0, slow)], stop, WorkerMetrics())
    await inside.wait()
    stop.set()
    await asyncio.wait_for(running, 5)
    assert finished.is_set()


@pytest.mark.parametrize("error", [Unavailable("database_unavailable"), OSError("gone"), TimeoutError()])
async def test_what_is_expected_of_a_network_is_logged_in_one_line(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await run_once(Job("unlucky", 1.0, Counted(failures=1, error=error)), WorkerMetrics())
    (record,) = caplog.records
    assert not record.exc_info


async def test_a_fault_of_ours_shows_where(caplog: pytest.LogCaptureFixture) -> None:
    await run_once(Job("wrong", 1.0, Counted(failures=1, error=KeyError("x"))), WorkerMetrics())
    (record,) = caplog.records
    assert record.exc_info
