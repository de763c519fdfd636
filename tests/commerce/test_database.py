"""Both databases keep the promises that the rest of commerce builds on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from commerce.database import Database, create_database
from commerce.errors import Unavailable
from commerce.migrations import VERSION_TABLE, upgrade
from commerce.schema import metadata
from tests.services import free_port


def sync_url(url: str) -> str:
    return (
        make_url(url)
        .set(drivername=make_url(url).drivername.replace("+aiosqlite", ""))
        .render_as_string(False)
    )


def test_migrations_lead_to_exactly_the_tables_of_the_code(database_url: str) -> None:
    engine = create_engine(sync_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert [one for one in differences if one[0] != "remove_table"] == []


def test_the_constraints_are_really_in_the_migrated_database(database_url: str) -> None:
    engine = create_engine(sync_url(database_url))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            found = " ".join(
                row[0] or "" for row in connection.execute(text("SELECT sql FROM sqlite_master"))
            )
        else:
            found = " ".join(row[0] for row in connection.execute(text("SELECT conname FROM pg_constraint")))
    engine.dispose()
    for table in metadata.tables.values():
        for constraint in table.constraints:
            assert constraint.name is None or str(constraint.name) in found or "fk_" in str(constraint.name)
    assert "ck_stock_never_oversold" in found


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    upgrade(database_url)


async def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    async def write_and_fail() -> None:
        async with database.begin() as c:
            await c.execute(text("INSERT INTO lease VALUES ('a', 'b', 1)"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    async with database.read() as c:
        assert (await c.execute(text("SELECT COUNT(*) FROM lease"))).scalar_one() == 0


async def test_increments_from_many_tasks_are_all_kept(database: Database) -> None:
    async with database.begin() as c:
        await c.execute(text("INSERT INTO lease VALUES ('a', 'b', 0)"))

    async def add_one() -> None:
        async with database.begin() as c:
            await c.execute(text("UPDATE lease SET until_ms = until_ms + 1"))

    await asyncio.gather(*(add_one() for _ in range(25)))
    async with database.read() as c:
        assert (await c.execute(text("SELECT until_ms FROM lease"))).scalar_one() == 25


async def test_a_reader_sees_one_moment_and_does_not_wait_for_a_writer(database: Database) -> None:
    async with database.begin() as writer:
        await writer.execute(text("INSERT INTO lease VALUES ('a', 'b', 1)"))
        async with asyncio.timeout(3), database.read() as reader:
            assert (await reader.execute(text("SELECT COUNT(*) FROM lease"))).scalar_one() == 0


async def test_a_reader_writes_nothing(database: Database) -> None:
    with pytest.raises((DBAPIError, Unavailable)):
        async with database.read() as c:
            await c.execute(text("INSERT INTO lease VALUES ('a', 'b', 1)"))


async def test_commits_of_sqlite_are_durable_and_its_readers_never_block(database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("settings of SQLite")
    async with database.begin() as c:
        settings = [
            (await c.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]


async def test_foreign_keys_hold(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.begin() as c:
            await c.execute(text("INSERT INTO stock VALUES ('sl_none', 0, 0, 0, 1, 1)"))


async def test_a_database_that_does_not_answer_is_unavailable() -> None:
    gone = create_database(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none")
    for block in (gone.begin, gone.read):
        with pytest.raises(Unavailable) as unavailable:
            async with block():
                pass
        assert unavailable.value.code == "database_unavailable"
    await gone.aclose()


@pytest.mark.parametrize("url", ["mysql://x", "sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_other_databases_are_refused_with_a_clear_word(url: str) -> None:
    with pytest.raises(ValueError, match=r"sqlite\+aiosqlite"):
        create_database(url)


async def test_the_folder_of_a_new_sqlite_file_is_made(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/new/flashroom.db"
    await asyncio.to_thread(upgrade, url)
    database = create_database(url)
    await database.ping()
    await database.aclose()
