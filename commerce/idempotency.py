"""Answers of unsafe calls, kept by the caller's key: the same key and body gives the same answer, another body is an error.

`begin` and `finish` are their own short transactions around the work; what lies between is idempotent by its own ids (hold, attempt,
movement), so a process that died half way does no harm when the call is repeated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import Invalid, OutOfState
from commerce.schema import idempotency

KEEP_MS: Final = 30 * 86_400_000
TAKE_OVER_AFTER_MS: Final = 5_000
"""A call that did not finish within this time is taken for dead, and a retry may do it. Short, because a buyer whose web process died
has a hold that runs out; safe, because one that is only slow is guarded by the ids of what it does, as one that died is."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The caller's to do: this is the first call with the key, or the one before it died."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Done before: the stored answer."""

    status: int
    body: bytes


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two calls the same one."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


async def begin(
    c: AsyncConnection, principal: str, key: str, call_fingerprint: str, now_ms: int
) -> Begun | Replay:
    """Claim the key, or give the stored answer.

    Raises Invalid("idempotency_key_reused") for another body, OutOfState("idempotency_in_progress") while the first call runs.
    """
    row = {"principal": principal, "key": key, "fingerprint": call_fingerprint, "begun_at_ms": now_ms}
    statement = (
        upsert.insert_into(c, idempotency)
        .values(row)
        .on_conflict_do_nothing(index_elements=["principal", "key"])
    )
    if await upsert.wrote(c, statement):
        return Begun()
    mine = (idempotency.c.principal == principal, idempotency.c.key == key)
    found = (await c.execute(select(idempotency).where(*mine))).one()
    if found.fingerprint != call_fingerprint:
        raise Invalid("idempotency_key_reused", "this key was used for another request")
    if found.status is not None:
        return Replay(found.status, found.body)
    claim = update(idempotency).where(
        *mine,
        idempotency.c.status.is_(None),
        idempotency.c.begun_at_ms == found.begun_at_ms,
        idempotency.c.begun_at_ms <= now_ms - TAKE_OVER_AFTER_MS,
    )
    if (await c.execute(claim.values(begun_at_ms=now_ms))).rowcount == 1:
        return Begun()
    raise OutOfState("idempotency_in_progress", "the first request with this key is still running")


async def finish(
    c: AsyncConnection, principal: str, key: str, status: int, body: bytes, now_ms: int | None = None
) -> None:
    """Store the answer; the first one stored stays."""
    statement = update(idempotency).where(
        idempotency.c.principal == principal, idempotency.c.key == key, idempotency.c.status.is_(None)
    )
    finished = idempotency.c.begun_at_ms if now_ms is None else now_ms
    await c.execute(statement.values(status=status, body=body, finished_at_ms=finished))


async def abandon(c: AsyncConnection, principal: str, key: str) -> None:
    """Give the key free after an answer that must not be kept (nothing was decided: 5xx, 429)."""
    await c.execute(
        delete(idempotency).where(
            idempotency.c.principal == principal, idempotency.c.key == key, idempotency.c.status.is_(None)
        )
    )


async def forget_old(c: AsyncConnection, now_ms: int) -> int:
    """Delete answers older than 30 days; how many."""
    return (await c.execute(delete(idempotency).where(idempotency.c.begun_at_ms < now_ms - KEEP_MS))).rowcount
