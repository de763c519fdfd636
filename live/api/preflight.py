"""What should be right before a show goes on air, as far as a server can see it; the console adds what only a browser knows."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final, Literal

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import catalogue, sale_rows
from live import audit, people, rehearsals, rooms
from live.api.endpoint import READ, Call, Endpoint
from live.api.models import Model
from live.media_time import media_now
from live.rooms import Room

HOUR_BYTES: Final = 1_000_000_000
"""An hour of film at 2.2 Mbit/s."""
HOURS: Final = 2
REHEARSALS_READ: Final = 20
PLANNED: Final = ("draft", "ready", "armed")

Light = Literal["good", "warn", "bad"]


class Check(Model):
    """One light. `facts` are whole numbers that its words need, times in UTC ms; what they are hangs on `check`."""

    check: Literal[
        "picture", "clock", "payments", "stock", "floors", "moderator", "words", "rehearsal", "space"
    ]
    light: Light
    facts: dict[str, int] = Field(default_factory=dict)


class PreflightShown(Model):
    """`rehearsal_of`: the room whose show is rehearsed here."""

    checks: list[Check]
    rehearsal_of: str | None


async def _preflight(call: Call) -> PreflightShown:
    room, wiring = call.in_room, call.wiring
    media = await media_now(wiring.broker, room.room_id)
    red = {problem.code for problem in await wiring.preflight.lights()}
    async with wiring.database.read() as c:
        checks = [await _stock(c, room), await _floors(c, room), await _moderator(c, room)]
        rehearsal = None if room.rehearsal else await _rehearsal(c, room)
    settings = wiring.settings
    words = len(settings.blocked_words)
    space = await asyncio.to_thread(_space, settings.data_dir, settings.recording_free_mb << 20)
    return PreflightShown(
        rehearsal_of=room.rehearsal_of,
        checks=[
            Check(check="picture", light="good" if media is not None and media.get("publishing") else "warn"),
            Check(check="clock", light="bad" if "clock_skew" in red else "good"),
            Check(check="payments", light="bad" if "payments_down" in red else "good"),
            *checks,
            Check(check="words", light="good" if words else "warn", facts={"words": words}),
            *([rehearsal] if rehearsal is not None else []),
            *([space] if settings.recordings and not room.rehearsal else []),
        ],
    )


async def _stock(c: AsyncConnection, room: Room) -> Check:
    products = await catalogue.get_products(c, await rooms.product_ids(c, room.room_id))
    empty = sum(variant.on_hand == 0 for product in products for variant in product.variants)
    light: Light = "bad" if not products else "warn" if empty else "good"
    return Check(check="stock", light=light, facts={"products": len(products), "empty": empty})


async def _floors(c: AsyncConnection, room: Room) -> Check:
    """Sales that are planned, and list prices, that are below the lowest price allowed."""
    products = await catalogue.get_products(c, await rooms.product_ids(c, room.room_id))
    floors = {v.variant_id: v.floor_minor for p in products for v in p.variants if v.floor_minor is not None}
    sales, _ = await sale_rows.list_for_room(c, room.room_id, 200, states=PLANNED)
    below = sum(sale.price_minor < floors.get(sale.variant_id, 0) for sale in sales)
    below += sum(v.price_minor < floors.get(v.variant_id, 0) for p in products for v in p.variants)
    return Check(check="floors", light="bad" if below else "good", facts={"below": below})


async def _moderator(c: AsyncConnection, room: Room) -> Check:
    found = sum(person.role == "moderator" for person in await people.list_people(c, room.room_id))
    return Check(check="moderator", light="good" if found else "warn", facts={"moderators": found})


async def _rehearsal(c: AsyncConnection, room: Room) -> Check:
    """Whether this run of show was on air in a rehearsal, and when."""
    twin = await rehearsals.find(c, room.room_id)
    if twin is None or twin.started_at_ms is None:
        return Check(check="rehearsal", light="warn", facts={})
    prepared = await audit.done_since(c, room.room_id, {"room_rehearse"}, 0, REHEARSALS_READ)
    shown = [line.after["run_version"] for line in prepared if line.at_ms <= twin.started_at_ms]
    is_same = bool(shown) and shown[-1] == room.run_version
    facts = {"at_ms": twin.started_at_ms, "changed": int(not is_same)}
    return Check(check="rehearsal", light="good" if is_same else "warn", facts=facts)


def _space(data_dir: Path, floor_bytes: int) -> Check:
    """Of this machine's disk: where media processes run elsewhere, theirs says so in the room while it records."""
    free = shutil.disk_usage(data_dir).free
    left = max(0, free - floor_bytes)
    light: Light = "bad" if not left else "warn" if left < HOURS * HOUR_BYTES else "good"
    return Check(check="space", light=light, facts={"free_mb": free >> 20, "hours": left // HOUR_BYTES})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/preflight",
        summary="What should be right before the show goes on air: one light each",
        tag="rooms",
        handler=_preflight,
        roles=READ,
        answer=PreflightShown,
    ),
)
