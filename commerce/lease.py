"""Leases: of several workers one at a time does a named job, and when it dies another takes over at the lease's end.

A lease keeps order and saves work. It is never what correctness rests on: each job may run twice without harm.
"""

from __future__ import annotations

from sqlalchemy import delete, or_
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.schema import lease


async def acquire(c: AsyncConnection, name: str, owner: str, now_ms: int, ttl_ms: int) -> bool:
    """Take or renew the lease for `ttl_ms`; False while another owner's has not run out."""
    values = {"owner": owner, "until_ms": now_ms + ttl_ms}
    statement = upsert.insert_into(c, lease).values(name=name, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_=values, where=or_(lease.c.owner == owner, lease.c.until_ms <= now_ms)
    )
    return await upsert.wrote(c, statement)


async def give_back(c: AsyncConnection, name: str, owner: str) -> None:
    """End one's own lease early; nothing happens when it is somebody else's by now."""
    await c.execute(delete(lease).where(lease.c.name == name, lease.c.owner == owner))
