"""Rooms: what is on air, which products are in it, what is pinned, the rules of its chat, and who may do what.

`version` grows with every change of what viewers see, and is the version of the room's values on the wire.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import NotFound, OutOfState, Refused
from live.schema import room, room_product
from realtime.broker import ChatRules
from realtime.protocol import Value

MAX_ROOMS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room as it stands in SQL. `title` is by language."""

    room_id: str
    title: dict[str, str]
    host_name: str
    status: str
    rehearsal: bool
    rehearsal_of: str | None
    starts_at_ms: int | None
    started_at_ms: int | None
    pinned_product_id: str | None
    pinned_at_ms: int | None
    slow_mode_s: int
    review: bool
    chat_off: bool
    followers_only: bool
    pinned_comment: dict[str, str] | None
    version: int
    desk_user_id: str | None
    desk_since_ms: int | None
    desk_asker_id: str | None
    desk_asked_at_ms: int | None
    desk_answer: str | None
    run_version: int
    script_version: int
    second_person_minor: int | None
    second_person_currency: str | None
    approvals_version: int

    @property
    def chat_rules(self) -> ChatRules:
        """What hubs apply to comments."""
        return ChatRules(self.slow_mode_s, self.review, self.chat_off, self.followers_only)

    def values(self) -> dict[str, Value]:
        """The values `room`, `pin`, `chat`, `desk`, `run`, `scripts` and `approvals` of realtime/PROTOCOL.md."""
        return {
            "room": (
                self.version,
                {
                    "status": self.status,
                    "title": self.title,
                    "host_name": self.host_name,
                    "rehearsal": self.rehearsal,
                    "starts_at_ms": self.starts_at_ms,
                    "started_at_ms": self.started_at_ms,
                },
            ),
            "pin": (self.version, {"product_id": self.pinned_product_id, "at_ms": self.pinned_at_ms}),
            "chat": (
                self.version,
                {
                    "slow_mode_s": self.slow_mode_s,
                    "review": self.review,
                    "off": self.chat_off,
                    "followers_only": self.followers_only,
                    "pinned_comment": self.pinned_comment,
                },
            ),
            # Viewers hear it, too: an id says nothing to them, and a name is the API's to give.
            "desk": (
                self.version,
                {
                    "holder_id": self.desk_user_id,
                    "since_ms": self.desk_since_ms,
                    "asker_id": self.desk_asker_id,
                    "asked_at_ms": self.desk_asked_at_ms,
                    "answer": self.desk_answer,
                },
            ),
            "run": (self.version, {"version": self.run_version}),
            "scripts": (self.version, {"version": self.script_version}),
            "approvals": (self.version, {"version": self.approvals_version}),
        }


_COLUMNS: Final = [column for column in room.c if column.name not in ("created_at_ms", "saved_replies")]


async def create(
    c: AsyncConnection,
    *,
    room_id: str,
    title: dict[str, str],
    host_name: str,
    rehearsal: bool,
    product_ids: Sequence[str],
    now_ms: int,
    rehearsal_of: str | None = None,
) -> None:
    """A room before its show, with its products in order; does nothing when it exists. Raises OutOfState `rooms_full`."""
    known = set((await c.execute(select(room.c.room_id))).scalars())
    if room_id in known:
        return
    if len(known) >= MAX_ROOMS:
        raise OutOfState("rooms_full", f"There are {MAX_ROOMS} rooms already.", most=MAX_ROOMS)
    await c.execute(
        insert(room).values(
            room_id=room_id,
            title=title,
            host_name=host_name,
            status="preshow",
            rehearsal=rehearsal,
            rehearsal_of=rehearsal_of,
            slow_mode_s=0,
            review=False,
            chat_off=False,
            version=1,
            run_version=1,
            created_at_ms=now_ms,
        )
    )
    for position, product_id in enumerate(product_ids):
        await c.execute(
            insert(room_product).values(room_id=room_id, product_id=product_id, position=position)
        )


async def get(c: AsyncConnection, room_id: str) -> Room:
    """Raises NotFound `unknown_room`."""
    row = (await c.execute(select(*_COLUMNS).where(room.c.room_id == room_id))).first()
    if row is None:
        raise NotFound("unknown_room", "There is no such room.")
    return _room(row)


async def list_all(c: AsyncConnection) -> list[Room]:
    """Every room, newest first (at most 200)."""
    query = select(*_COLUMNS).order_by(room.c.created_at_ms.desc(), room.c.room_id).limit(MAX_ROOMS)
    return [_room(row) for row in await c.execute(query)]


async def product_ids(c: AsyncConnection, room_id: str) -> list[str]:
    """The room's products in the host's order."""
    query = (
        select(room_product.c.product_id)
        .where(room_product.c.room_id == room_id)
        .order_by(room_product.c.position)
    )
    return list((await c.execute(query)).scalars())


async def all_product_ids(c: AsyncConnection) -> Mapping[str, list[str]]:
    """The products of every room."""
    found: dict[str, list[str]] = defaultdict(list)
    for room_id, product_id in await c.execute(select(room_product.c.room_id, room_product.c.product_id)):
        found[room_id].append(product_id)
    return found


async def change(c: AsyncConnection, room_id: str, **values: Any) -> Room:
    """Change columns and raise the version; gives the room after it. Raises NotFound."""
    await c.execute(
        update(room).where(room.c.room_id == room_id).values(version=room.c.version + 1, **values)
    )
    return await get(c, room_id)


async def pin(c: AsyncConnection, room_id: str, product_id: str | None, now_ms: int) -> Room:
    """Show one of the room's products as "now showing", or none. Raises Refused `not_in_room`."""
    if product_id is not None and product_id not in await product_ids(c, room_id):
        raise Refused("not_in_room", "This product is not in the room.")
    return await change(c, room_id, pinned_product_id=product_id, pinned_at_ms=now_ms)


async def set_status(c: AsyncConnection, room_id: str, status: str, now_ms: int) -> Room:
    """Go on air, away, or end; the first time on air after preshow or an end sets when the show started."""
    before = await get(c, room_id)
    started_at_ms = before.started_at_ms
    if status == "live" and (started_at_ms is None or before.status in ("preshow", "ended")):
        started_at_ms = now_ms
    return await change(c, room_id, status=status, started_at_ms=started_at_ms)


async def room_values(c: AsyncConnection, room_id: str) -> dict[str, Value]:
    """What viewers see of a room itself, ready to publish. Raises NotFound."""
    return (await get(c, room_id)).values()


def _room(row: Row[Any]) -> Room:
    return Room(**row._mapping)
