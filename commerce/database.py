"""One door to SQL, the same for SQLite and PostgreSQL: `begin()` for a write transaction, `read()` for a consistent look.

A block is one transaction: it commits at its end and rolls back when it raises. No call to Redis or to a payment provider
belongs inside one (DESIGN.md 5). Conflicts are decided by conditional updates and constraints, never by reading first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from commerce.errors import Unavailable

BUSY_TIMEOUT_MS = 10_000
STATEMENT_TIMEOUT_MS = 30_000
POOL_TIMEOUT_S = 15.0
READERS = 4
SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    f"busy_timeout={BUSY_TIMEOUT_MS}",
)
# A hot row slows down as its writers grow (research/commerce.md 6.5): stay under 16.
POSTGRES_CONNECTIONS = 12


class Database:
    """The durable record. Make it with `create_database`, end it with `aclose`."""

    def __init__(self, url: URL, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self.url = url
        self._writer = writer
        self._reader = reader

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A write transaction. Raises Unavailable when the database did not answer; then nothing of the block is certain
        but what its idempotent keys say when it is tried again."""
        try:
            async with self._writer.connect() as connection, connection.begin():
                yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Unavailable("database_unavailable", _brief(error)) from error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction that blocks no writer. Raises Unavailable like `begin`."""
        try:
            async with self._reader.connect() as connection:
                if self.dialect == "postgresql":
                    await connection.execution_options(postgresql_readonly=True)
                async with connection.begin():
                    yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Unavailable("database_unavailable", _brief(error)) from error

    async def ping(self) -> None:
        """Return when the database answers; raises Unavailable."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def create_database(url: str) -> Database:
    """A Database for `sqlite+aiosqlite:///FILE` or `postgresql+psycopg://...`; connects when first used.

    SQLite gets one writer per process (others in the process queue in order instead of polling the file lock) and a few
    readers, which WAL never blocks.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        options = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={BUSY_TIMEOUT_MS}"
        options += f" -c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_MS * 2} -c timezone=UTC"
        engine = create_async_engine(
            parsed,
            pool_size=POSTGRES_CONNECTIONS,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
            hide_parameters=True,  # an error's text must not carry a buyer's address into a log
            connect_args={"options": options, "connect_timeout": 10},
        )
        return Database(parsed, engine, engine)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise ValueError("the database URL must be sqlite+aiosqlite:///FILE or postgresql+psycopg://...")
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    writer = _sqlite_engine(parsed, "BEGIN IMMEDIATE", 1, SQLITE_PRAGMAS)
    reader = _sqlite_engine(parsed, "BEGIN", READERS, (*SQLITE_PRAGMAS, "query_only=ON"))
    return Database(parsed, writer, reader)


def _sqlite_engine(url: URL, begin_statement: str, connections: int, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        # The driver's own implicit BEGIN is deferred and would upgrade to a write lock too late: we emit BEGIN ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin_statement)

    return engine


def _brief(error: Exception) -> str:
    """One line without the statement's values: they may hold a buyer's address."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
