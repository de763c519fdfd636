"""What the host says of each item of the run of show, and in which minute of the show its turn is planned.

For those who work in the room. Viewers get none of it: only its version is among the room's values, so that consoles read it again.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import NotFound, OutOfState
from live import rooms
from live.rooms import Room
from live.schema import room, room_product

MAX_CHARACTERS: Final = 4_000
MAX_MINUTE: Final = 24 * 60 - 1
_ITEM: Final = room_product.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """`minute` is counted from the start of the show; None where none is planned. `version` grows with every change."""

    product_id: str
    script: str
    minute: int | None
    version: int


_COLUMNS: Final = (_ITEM.product_id, _ITEM.script, _ITEM.minute, _ITEM.script_version.label("version"))


def clean(text: str) -> str:
    """A script as it is kept: lines end with a line feed. Raises ValueError for one that is too long or not text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip()
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"at most {MAX_CHARACTERS} characters")
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" for c in text):
        raise ValueError("must not hold control characters")
    return text


async def read(c: AsyncConnection, room_id: str) -> list[Script]:
    """The scripts of all items, in the run's order; an item without one has an empty text."""
    rows = await c.execute(select(*_COLUMNS).where(_ITEM.room_id == room_id).order_by(_ITEM.position))
    return [Script(**row._mapping) for row in rows]


async def get(c: AsyncConnection, room_id: str, product_id: str) -> Script:
    """Raises NotFound `not_in_run`."""
    query = select(*_COLUMNS).where(_ITEM.room_id == room_id, _ITEM.product_id == product_id)
    row = (await c.execute(query)).first()
    if row is None:
        raise NotFound("not_in_run", "This product is not in the run of show.")
    return Script(**row._mapping)


async def write(
    c: AsyncConnection, room_id: str, product_id: str, *, script: str, minute: int | None, based_on: int
) -> tuple[Room, Script]:
    """Change one item's script, if it is still the one of version `based_on` or reads as wanted already.

    Raises NotFound `not_in_run`, and OutOfState `script_changed` with the script as it is now.
    """
    after = await put(c, room_id, {product_id: {"script": script, "minute": minute}}, based_on)
    now = await get(c, room_id, product_id)
    if now.version != after.script_version and (now.script, now.minute) != (script, minute):
        raise OutOfState(
            "script_changed",
            "Somebody else has changed this script meanwhile.",
            script=now.script,
            minute=now.minute,
            version=now.version,
        )
    return after, now


async def put(
    c: AsyncConnection, room_id: str, changes: Mapping[str, Mapping[str, Any]], based_on: int | None = None
) -> Room:
    """Set `script`, `minute` or both of some items; with `based_on` only of those that still have this version."""
    # First the room: its row is what two who write at the same moment wait for.
    after = await rooms.change(c, room_id, script_version=room.c.script_version + 1)
    for product_id, values in changes.items():
        statement = update(room_product).where(_ITEM.room_id == room_id, _ITEM.product_id == product_id)
        if based_on is not None:
            statement = statement.where(_ITEM.script_version == based_on)
        await c.execute(statement.values(script_version=after.script_version, **values))
    return after
