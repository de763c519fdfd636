"""The migrations of live's tables and the code agree."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from live.migrations import VERSION_TABLE
from live.schema import metadata
from tests.commerce.test_database import sync_url
from tests.live.conftest import Shop


async def test_migrations_lead_to_exactly_the_tables_of_the_code(shop: Shop) -> None:
    engine = create_engine(sync_url(shop.wiring.database.url.render_as_string(False)))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences: list[Any] = compare_metadata(context, metadata)
    engine.dispose()
    # Commerce's tables are in the same database, with their indices.
    assert [one for one in differences if one[0] not in ("remove_table", "remove_index")] == []
