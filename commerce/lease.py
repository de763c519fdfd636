"""Leases: of several workers one at a time does a named job, and when it dies another takes over at the lease's end.

A lease keeps order and saves work. It is never what correctness rests on: each job may run twice without harm.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.schema import lease


async def acquire(c: AsyncConnection, name: str, owner: str, now_ms: int, ttl_ms: int) -> bool:
    """Take or renew the lease for `ttl_ms`; False while another owner's has not run out."""
    insert: Any = postgresql_insert if c.dialect.name == "postgresql" else sqlite_insert
    values = {"owner": owner, "until_ms": now_ms + ttl_ms}
    statement = insert(lease).values(name=name, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_=values, where=or_(lease.c.owner == owner, lease.c.until_ms <= now_ms)
    )
    return bool((await c.execute(statement)).rowcount == 1)


async def give_back(c: AsyncConnection, name: str, owner: str) -> None:
    """End one's own lease early; nothing happens when it is somebody else's by now."""
    await c.execute(delete(lease).where(lease.c.name == name, lease.c.owner == owner))
