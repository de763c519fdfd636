"""Each test of commerce's SQL runs on SQLite and on PostgreSQL, against a fresh, migrated database and a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from commerce.database import Database, create_database
from commerce.hot_ledger import HotLedger, connect_redis
from tests.commerce.databases import PostgresServer, copy_sqlite, postgres_server, sqlite_template
from tests.commerce.world import World


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "alters_tables: takes a constraint away, so its database is not used again"
    )


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sqlite_template(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database; the test runs once for each kind."""
    if request.param == "sqlite":
        yield copy_sqlite(request.getfixturevalue("sqlite_file"), tmp_path)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.take_database()
    yield server.url(name)
    server.give_back(name, altered=request.node.get_closest_marker("alters_tables") is not None)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = create_database(database_url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    client = connect_redis(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def world(database: Database, redis_client: Redis) -> World:
    """A shop with one product, its desk, checkout and cashier, and a clock that the test moves."""
    made = World(database, HotLedger(redis_client))
    await made.stock_shelf()
    return made
