"""Rooms as everyone sees them, and what the host does with one: pin, go on air, announce, look at its numbers and its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from starlette.responses import Response

from commerce import catalogue, orders, sale_rows
from commerce.catalogue import Product
from commerce.pages import MAX_PAGE
from commerce.sale_rules import OCCUPYING, STATES
from live import audit, followers, open_consoles, people, reminders, rooms, shows
from live.api import models
from live.api.desk import in_time, saw
from live.api.endpoint import CURSOR, LIMIT, MODERATE, PRODUCE, READ, SELL, Call, Endpoint, Query, record
from live.api.sales import shown_sales
from live.decision_times import percentile_ms
from live.identity import SOURCES
from live.media_time import with_media_time
from live.projector import PRIVATE_STATES
from live.rooms import Room
from live.shared_reads import SharedReads
from realtime import delays

SALES_SHOWN: Final = 30
AUDIT_SEARCH: Final = Query("q", "Part of an action, of who did it or of what it was done to.", r"^.{1,80}$")
AUDIT_SOURCE: Final = Query("source", f"How it was done: {', '.join(SOURCES)}.", rf"^({'|'.join(SOURCES)})$")
_NOTED: Final = ("status", "pinned_product_id", "started_at_ms")
_PUBLIC_STATES: Final = tuple(state for state in STATES if state not in PRIVATE_STATES)


async def _list(call: Call) -> models.RoomList:
    async with call.wiring.database.read() as c:
        found = await rooms.list_all(c)
    return models.RoomList(rooms=[room_shown(room) for room in found])


async def _page(call: Call) -> models.RoomPage | Response:
    role = call.caller.role_in(call.in_room.room_id)
    if role in READ:
        return await _read_page(call, role)

    async def read() -> bytes:
        return (await _read_page(call, role)).model_dump_json().encode()

    # A crowd that arrives at once sees the same page; what changes within the moment comes by the WebSocket.
    shared: SharedReads[bytes] = call.request.app.state.room_pages
    content = await shared.get((call.in_room.room_id, role), read)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


async def _read_page(call: Call, role: str | None) -> models.RoomPage:
    room = call.in_room
    async with call.wiring.database.read() as c:
        ids = await rooms.product_ids(c, room.room_id)
        products = {product.product_id: product for product in await catalogue.get_products(c, ids)}
        states = STATES if role in READ else _PUBLIC_STATES
        recent, _ = await sale_rows.list_for_room(c, room.room_id, SALES_SHOWN, states=states)
        # However many drafts and rounds are newer: what can be bought now is never missing.
        active, _ = await sale_rows.list_for_room(c, room.room_id, MAX_PAGE, states=OCCUPYING)
    shown = {sale.sale_id: sale for sale in (*recent, *active)}
    sales = sorted(shown.values(), key=lambda sale: (sale.created_at_ms, sale.sale_id), reverse=True)
    return models.RoomPage(
        room=room_shown(room),
        products=[product_shown(products[product_id]) for product_id in ids if product_id in products],
        pinned_product_id=room.pinned_product_id,
        sales=await shown_sales(call.wiring, sales),
        role=role,
        run_version=room.run_version,
    )


async def _pin(call: Call) -> models.RoomShown:
    body: models.Pin = call.body
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        before = await rooms.get(c, room_id)
        after = await rooms.pin(c, room_id, body.product_id, call.now_ms)
        await _record(c, call, "pin", body.product_id or "none", before, after)
    event = await _cue(call, {"product_id": body.product_id, "at_ms": call.now_ms})
    await call.wiring.broker.publish(
        room_id, events=[("pin", event)], values=after.values(), once=f"pin:{call.action_id}"
    )
    if body.product_id is not None:  # nobody need ask for it any more
        await in_time(room_id, call.wiring.requests.clear(room_id, [body.product_id]))
    return room_shown(after)


async def _status(call: Call) -> models.RoomShown:
    body: models.Status = call.body
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        before = await rooms.get(c, room_id)
        after = await rooms.set_status(c, room_id, body.status, call.now_ms)
        await _record(c, call, "status", body.status, before, after)
    if after.started_at_ms is not None and after.started_at_ms != before.started_at_ms:
        await shows.begin_views(call.wiring.redis, room_id, after.started_at_ms)
    event = await _cue(call, {"status": body.status, "at_ms": call.now_ms})
    await call.wiring.broker.publish(
        room_id, events=[("room", event)], values=after.values(), once=f"status:{call.action_id}"
    )
    if body.status == "ended":
        await in_time(room_id, call.wiring.requests.clear(room_id))
    return room_shown(after)


async def _announce(call: Call) -> None:
    body: models.Announcement = call.body
    room_id = call.in_room.room_id
    await call.wiring.broker.publish(
        room_id,
        events=[("announcement", await _cue(call, {"text": body.text, "at_ms": call.now_ms}))],
        once=f"announce:{call.action_id}",
    )
    async with call.wiring.database.begin() as c:
        await record(
            c,
            call,
            "announce",
            room_id,
            after={"text": body.text},
        )


async def _cue(call: Call, data: dict[str, Any]) -> dict[str, Any]:
    return await with_media_time(call.wiring.broker, call.in_room.room_id, data)


async def _stats(call: Call) -> models.Stats:
    room_id = call.in_room.room_id
    broker = call.wiring.broker
    await saw(call)  # every open console asks for these numbers
    presence = await broker.presence(room_id)
    likes = (await broker.values(room_id)).get("likes")
    here = await open_consoles.who(call.wiring.redis, room_id, call.now_ms)
    async with call.wiring.database.read() as c:
        counted = await orders.counts(c, room_id)
        wanted = await reminders.counts(c, room_id)
        works_here = await people.list_people(c, room_id)
        following, new = await followers.counts(c, room_id, call.in_room.started_at_ms)
    moderators = [one.name for one in works_here if one.role == "moderator" and one.user_id in (here or ())]
    return models.Stats(
        watching=presence.count,
        peak=presence.peak,
        ghosts=presence.ghosts,
        likes=likes[1]["total"] if likes else 0,
        comments=await broker.comment_count(room_id),
        orders=counted,
        moderators=None if here is None else moderators,
        delay_ms=_median_ms(await broker.delays(room_id)),
        reminders=wanted,
        followers=following,
        new_followers=new,
    )


def _median_ms(counts: Sequence[int]) -> int | None:
    pages = [sum(one) for one in zip(*delays.by_way(counts).values(), strict=True)]
    return round(percentile_ms(pages, 0.5, delays.BOUNDS_MS)) if sum(pages) else None


async def _audit(call: Call) -> models.AuditPage:
    async with call.wiring.database.read() as c:
        entries, next_cursor = await audit.entries(
            c, call.in_room.room_id, call.limit, call.query("cursor"), call.query("q"), call.query("source")
        )
    return models.AuditPage(
        entries=[models.AuditEntry(**asdict(entry)) for entry in entries], next_cursor=next_cursor
    )


async def _record(c: Any, call: Call, action: str, target: str, before: Room, after: Room) -> None:
    await record(
        c,
        call,
        action,
        target,
        before={name: getattr(before, name) for name in _NOTED},
        after={name: getattr(after, name) for name in _NOTED},
    )


def room_shown(room: Room) -> models.RoomShown:
    """A room as the API gives it."""
    return models.RoomShown(
        room_id=room.room_id,
        title=room.title,
        status=room.status,
        rehearsal=room.rehearsal,
        rehearsal_of=room.rehearsal_of,
        host_name=room.host_name,
        starts_at_ms=room.starts_at_ms,
        started_at_ms=room.started_at_ms,
    )


def product_shown(product: Product) -> models.ProductShown:
    return models.ProductShown(
        product_id=product.product_id,
        title=product.title,
        description=product.description,
        picture_url=f"/pictures/{product.picture}.svg",
        currency=product.currency,
        variants=[
            models.VariantShown(
                variant_id=variant.variant_id,
                title=variant.title,
                price_minor=variant.price_minor,
                stock=variant.on_hand,
            )
            for variant in product.variants
        ],
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms",
        summary="All rooms, newest first",
        tag="rooms",
        handler=_list,
        answer=models.RoomList,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}",
        summary="A room with its products and sales; drafts only for those who work in it",
        tag="rooms",
        handler=_page,
        answer=models.RoomPage,
    ),
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/pin",
        summary="Show a product as now showing, or none",
        tag="rooms",
        handler=_pin,
        roles=SELL,
        body=models.Pin,
        answer=models.RoomShown,
    ),
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/status",
        summary="Go on air, away, or end the show",
        tag="rooms",
        handler=_status,
        roles=PRODUCE,
        body=models.Status,
        answer=models.RoomShown,
    ),
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/announcements",
        summary="Say something to everybody",
        tag="rooms",
        handler=_announce,
        roles=MODERATE,
        body=models.Announcement,
        status=204,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/stats",
        summary="Live numbers of people (ghosts apart); orders placed, paid and refunded are never mixed",
        tag="rooms",
        handler=_stats,
        roles=READ,
        answer=models.Stats,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/audit",
        summary="Every console action: who, what, before and after, and how it was done",
        tag="rooms",
        handler=_audit,
        roles=READ,
        answer=models.AuditPage,
        queries=(AUDIT_SEARCH, AUDIT_SOURCE, LIMIT, CURSOR),
    ),
)
