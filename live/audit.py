"""The audit log: who did what to which thing, before and after. Written in the transaction of the change where there is one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import Invalid
from live.identity import Caller, Source
from live.schema import audit

MAX_PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a room's audit log."""

    audit_id: int
    at_ms: int
    actor_id: str
    actor_name: str
    action: str
    target: str
    before: Any
    after: Any
    source: Source | None


_SHOWN: Final = [audit.c[field.name] for field in fields(Entry)]


async def record(
    c: AsyncConnection,
    caller: Caller,
    room_id: str,
    action: str,
    target: str,
    *,
    at_ms: int,
    call_id: str,
    before: Any = None,
    after: Any = None,
) -> None:
    """Add a line, once per `call_id`: a call that is repeated after a crash doesn't tell of itself twice. Never give it a secret."""
    await c.execute(
        upsert.insert_into(c, audit)
        .values(
            room_id=room_id,
            call_id=call_id,
            at_ms=at_ms,
            actor_id=caller.buyer_id or "",
            actor_name=caller.name,
            action=action,
            target=target,
            before=before,
            after=after,
            source=caller.source,
        )
        .on_conflict_do_nothing(index_elements=["call_id"])
    )


async def done_since(
    c: AsyncConnection,
    room_id: str,
    actions: Collection[str],
    since_ms: int,
    limit: int,
    target: str | None = None,
) -> list[Entry]:
    """The newest lines of these actions, on one target or any, oldest first."""
    query = select(*_SHOWN).where(
        audit.c.room_id == room_id, audit.c.action.in_(sorted(actions)), audit.c.at_ms >= since_ms
    )
    if target is not None:
        query = query.where(audit.c.target == target)
    rows = await c.execute(query.order_by(audit.c.audit_id.desc()).limit(limit))
    return [Entry(**row._mapping) for row in rows][::-1]


async def entries(
    c: AsyncConnection,
    room_id: str,
    limit: int,
    cursor: str | None,
    query: str | None = None,
    source: str | None = None,
) -> tuple[list[Entry], str | None]:
    """A room's lines, newest first, and the cursor of the next page or None. Raises Invalid `bad_cursor`.

    `query` is a part of an action's name, of who did it or of what it was done to; `source` how it was done.
    """
    size = max(1, min(MAX_PAGE, limit))
    statement = select(*_SHOWN).where(audit.c.room_id == room_id)
    if query:
        columns = (audit.c.action, audit.c.actor_name, audit.c.target)
        statement = statement.where(or_(*(column.icontains(query, autoescape=True) for column in columns)))
    if source is not None:
        statement = statement.where(audit.c.source == source)
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise Invalid("bad_cursor", "This cursor is not one of ours.")
        statement = statement.where(audit.c.audit_id < int(cursor))
    rows = list(await c.execute(statement.order_by(audit.c.audit_id.desc()).limit(size + 1)))
    found = [Entry(**row._mapping) for row in rows]
    return found[:size], str(found[size - 1].audit_id) if len(found) > size else None
