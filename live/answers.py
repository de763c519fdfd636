"""Answers of unsafe calls, kept by the caller's key. What is asked at the same time shares one commit, as orders do: else keeping
the answers would cost twice what the orders themselves cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import idempotency
from commerce.database import Database
from commerce.errors import CommerceError
from commerce.group_commit import GroupCommit
from commerce.idempotency import Begun, Replay

Outcome = Begun | Replay | None


@dataclass(frozen=True, slots=True)
class _Step:
    """One caller's step on one key."""

    principal: str
    key: str
    run: Callable[[AsyncConnection], Awaitable[Outcome]]


class Answers:
    """`commerce.idempotency` for a whole process. Raises what that raises, and Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._steps: GroupCommit[_Step, Outcome] = GroupCommit(self._commit)

    async def begin(self, principal: str, key: str, call_fingerprint: str, now_ms: int) -> Begun | Replay:
        """Claim the key, or give the answer that is kept under it."""

        async def run(c: AsyncConnection) -> Outcome:
            return await idempotency.begin(c, principal, key, call_fingerprint, now_ms)

        found = await self._steps.run(_Step(principal, key, run))
        assert found is not None
        return found

    async def finish(self, principal: str, key: str, status: int, body: bytes, now_ms: int) -> None:
        """Keep the answer."""

        async def run(c: AsyncConnection) -> None:
            await idempotency.finish(c, principal, key, status, body, now_ms)

        await self._steps.run(_Step(principal, key, run))

    async def abandon(self, principal: str, key: str) -> None:
        """Give the key free: nothing was decided."""

        async def run(c: AsyncConnection) -> None:
            await idempotency.abandon(c, principal, key)

        await self._steps.run(_Step(principal, key, run))

    async def _commit(self, steps: list[_Step]) -> list[Outcome | BaseException]:
        """One transaction; a refused step (another body, still running) wrote nothing and spoils nobody else's."""
        outcomes: dict[int, Outcome | BaseException] = {}
        async with self._database.begin() as c:
            # In the order of their keys, so that two processes with the same retries can't wait for each other.
            for number in sorted(
                range(len(steps)), key=lambda number: (steps[number].principal, steps[number].key, number)
            ):
                try:
                    outcomes[number] = await steps[number].run(c)
                except CommerceError as refusal:
                    outcomes[number] = refusal
        return [outcomes[number] for number in range(len(steps))]
