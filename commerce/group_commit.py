"""Group commit: calls that arrive while a commit is under way are committed together as the next one.

The cost of a durable commit and the heat of a hot row are shared. Nobody waits for company: a lone call is committed at once, and the
group grows by itself when commits are slower than arrivals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from commerce.errors import Unavailable

Job = TypeVar("Job")
Result = TypeVar("Result")

MAX_GROUP: Final = 256
MAX_WAITING: Final = 10_000


class GroupCommit(Generic[Job, Result]):
    """`commit(jobs)` gives one result or exception per job, in order; one commit runs at a time."""

    def __init__(
        self,
        commit: Callable[[list[Job]], Awaitable[list[Result | BaseException]]],
        max_group: int = MAX_GROUP,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._commit = commit
        self._max_group = max_group
        self._max_waiting = max_waiting
        self._waiting: list[tuple[Job, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def run(self, job: Job) -> Result:
        """The result of this job, or its exception. Raises Unavailable("too_busy") when too many wait already.

        A caller that goes away does not stop the group: its job is committed or refused like the others.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("too_busy", "too many checkouts at once; try again")
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, answer))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        group: list[tuple[Job, asyncio.Future[Result]]] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._max_group], self._waiting[self._max_group :]
                results = await self._results([job for job, _ in group])
                for (_, answer), result in zip(group, results, strict=True):
                    _answer(answer, result)
        except asyncio.CancelledError:
            gone = Unavailable("shutting_down", "the server is stopping; try again with the same key")
            for _, answer in [*group, *self._waiting]:
                _answer(answer, gone)
            self._waiting = []
            raise

    async def _results(self, jobs: list[Job]) -> list[Result | BaseException]:
        try:
            return await self._commit(jobs)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - each caller gets it, and the next group is still served
            return [error for _ in jobs]

    async def aclose(self) -> None:
        """Wait for what is under way."""
        if self._runner is not None:
            await self._runner


def _answer(answer: asyncio.Future[Result], result: Result | BaseException) -> None:
    if answer.done():
        return  # its caller went away
    if isinstance(result, BaseException):
        answer.set_exception(result)
    else:
        answer.set_result(result)
