"""Tasks of the command line that run to their end: `flashroom migrate`, `seed` and `reset`."""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import aclosing
from pathlib import Path
from typing import Final

from commerce.clock import wall_clock_ms
from commerce.database import create_database
from live.processes import CannotStart, port_is_free, redis_address
from live.redis_server import is_ours_to_run
from live.settings import Settings

log = logging.getLogger("flashroom.tasks")

OURS: Final = (
    "flashroom.db",
    "flashroom.db-wal",
    "flashroom.db-shm",
    "redis",
    "logs",
    "secret",
    "demo-host.txt",
    "demo-moderator.txt",
)
"""What a development show puts into its data folder; `reset` removes these and nothing else."""


def migrate(settings: Settings) -> int:
    """Bring the tables up to date; nothing happens when they are."""
    from live import migrations

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrations.upgrade(settings.database_url)
    log.info("tables are up to date")
    return 0


def seed(settings: Settings) -> int:
    """Put the sample show in where it is missing; the tables must be there."""
    from live.seed import seed as put_in

    async def main() -> bool:
        async with aclosing(create_database(settings.database_url)) as database:
            return await put_in(database, settings.data_dir, wall_clock_ms())

    is_new = asyncio.run(main())
    log.info("the sample show is in place%s", "" if is_new else " (it was before)")
    return 0


def reset(settings: Settings) -> int:
    """Forget all data of the development show. Raises CannotStart while it runs, in production, or when the data lies elsewhere."""
    if settings.is_production:
        raise CannotStart("FLASHROOM_ENV is production: nothing was removed. Reset is for development only.")
    if not is_ours_to_run(settings.redis_url) or not _is_in(settings.data_dir, settings.database_url):
        raise CannotStart(
            "FLASHROOM_REDIS_URL or FLASHROOM_DATABASE_URL names a server of its own: nothing was removed. Empty them there."
        )
    host, port = redis_address(settings.redis_url)
    for what, at, number in (("Redis", host, port), ("web", settings.host, settings.web_port)):
        if not port_is_free(at, number):
            raise CannotStart(
                f"Something answers on port {number} ({what}): stop the show first (Ctrl-C in its terminal). Nothing was removed."
            )
    removed = [name for name in OURS if _remove(settings.data_dir / name)]
    log.info("removed %s from %s", ", ".join(removed) or "nothing", settings.data_dir)
    return 0


def _is_in(folder: Path, database_url: str) -> bool:
    return database_url.startswith("sqlite") and database_url.endswith(str(folder / "flashroom.db"))


def _remove(path: Path) -> bool:
    if path.is_dir():
        shutil.rmtree(path)
        return True
    if path.exists():
        path.unlink()
        return True
    return False
