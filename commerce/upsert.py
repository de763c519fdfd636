"""INSERT ... ON CONFLICT for both databases, and the honest answer to "was it this call that wrote?"."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection


def insert_into(c: AsyncConnection, table: Table) -> Any:
    """An INSERT statement of the connection's own dialect: it knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return postgresql_insert(table) if c.dialect.name == "postgresql" else sqlite_insert(table)


async def wrote(c: AsyncConnection, statement: Any) -> bool:
    """Execute an INSERT ... ON CONFLICT; False when the conflict clause let it pass without writing.

    Asked by RETURNING: drivers keep a row count for UPDATE and DELETE, not reliably for INSERT.
    """
    returning = statement.returning(*statement.table.primary_key.columns)
    return (await c.execute(returning)).first() is not None
