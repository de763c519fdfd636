"""One SQL database behind two verbs: `begin` for a transaction that writes, `read` for one that doesn't.

SQLite runs in WAL mode with a durable commit, and writers take the lock when they begin (BEGIN IMMEDIATE), so that no transaction
fails half way because another one wrote first. PostgreSQL runs in READ COMMITTED; every change of ours is a conditional update.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

BUSY_TIMEOUT_MS: Final = 10_000
POSTGRES_POOL: Final = 16
"""Writers per hot row stay under about 16 (DESIGN.md section 5)."""


class Database:
    """Transactions on one engine. Never await Redis, a provider or a page inside one."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction: committed at the end of the block, rolled back on any error."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only view: it takes no write lock and commits nothing."""
        async with self.engine.connect() as connection:
            yield await connection.execution_options(flashroom_read=True)

    async def aclose(self) -> None:
        await self.engine.dispose()


def create_database(url: str) -> Database:
    """From `sqlite+aiosqlite:///FILE` or `postgresql+psycopg://...`."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = create_async_engine(url)
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        engine = create_async_engine(url, pool_size=POSTGRES_POOL, max_overflow=0, pool_pre_ping=True)
    return Database(engine)


def _set_up_sqlite(dbapi_connection: Any, _: object) -> None:
    dbapi_connection.isolation_level = None  # we say BEGIN ourselves
    cursor = dbapi_connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads_only = connection.get_execution_options().get("flashroom_read", False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")
