"""Tables of `live`, brought up to date by the same machinery as commerce's (see `commerce.migrations`)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from commerce import migrations
from live.schema import metadata

SCRIPTS: Final = Path(__file__).parent
VERSION_TABLE: Final = "alembic_version_live"


def upgrade(url: str) -> None:
    """Bring commerce's and live's tables up to date. Blocks: call it outside an event loop."""
    migrations.upgrade(url)
    migrations.upgrade(url, SCRIPTS, VERSION_TABLE, metadata)
