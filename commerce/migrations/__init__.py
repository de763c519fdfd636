"""Bring a database's tables up to date, one transaction for all missing steps, safe to run from several processes at once.

    upgrade(url)                                                            # commerce's own tables
    upgrade(url, Path("live/migrations"), "alembic_version_live", metadata)  # another package's, same machinery

A package with migrations has a folder with `env.py` (`from commerce.migrations import run_environment; run_environment()`),
`script.py.mako` and `versions/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import make_url

from commerce.schema import metadata as commerce_metadata

SCRIPTS: Final = Path(__file__).parent
VERSION_TABLE: Final = "alembic_version_commerce"
LOCK_NUMBER: Final = 7_305_521  # any constant; two processes that migrate at once take turns on it


def upgrade(
    url: str,
    script_location: Path = SCRIPTS,
    version_table: str = VERSION_TABLE,
    metadata: MetaData = commerce_metadata,
) -> None:
    """Run every migration the database lacks. `url` as for `create_database`; blocks, so call it outside an event loop."""
    engine = _sync_engine(url)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
            command.upgrade(_config(script_location, version_table, metadata, connection), "head")
    finally:
        engine.dispose()


def revise(
    url: str, message: str, script_location: Path = SCRIPTS, version_table: str = VERSION_TABLE
) -> None:
    """For developers: write a new migration from the difference between the tables' metadata and an up-to-date database."""
    engine = _sync_engine(url)
    try:
        with engine.begin() as connection:
            config = _config(script_location, version_table, commerce_metadata, connection)
            number = len(list(ScriptDirectory.from_config(config).walk_revisions())) + 1
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
    finally:
        engine.dispose()


def _config(script_location: Path, version_table: str, metadata: MetaData, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(script_location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, version_table=version_table, metadata=metadata)
    return config


def run_environment() -> None:
    """What every `env.py` does: run the asked-for steps on the connection that `upgrade` opened."""
    attributes: dict[str, Any] = context.config.attributes
    tables: MetaData = attributes["metadata"]

    def ours(thing: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
        return kind != "table" or not reflected or name in tables.tables

    context.configure(
        connection=attributes["connection"],
        target_metadata=tables,
        version_table=attributes["version_table"],
        include_object=ours,
        render_as_batch=True,
        transaction_per_migration=False,
        compare_type=False,
    )
    context.run_migrations()


def _sync_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed)
    Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed.set(drivername="sqlite"), connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
