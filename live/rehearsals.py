"""A show's rehearsal: a room of its own beside the show's, with copies of its products, so that nothing in it can touch a live row.

The copies are made anew each time it is prepared: a rehearsal begins with all units on the shelf, whatever the last one sold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import catalogue, sale_rows
from commerce.catalogue import Product
from commerce.errors import OutOfState
from commerce.sale_rules import OCCUPYING
from live import rooms, scripts
from live.rooms import Room
from live.schema import room, room_product, room_role

ON_AIR = ("live", "away")


async def find(c: AsyncConnection, room_id: str) -> Room | None:
    """The rehearsal of a room; None before there was one."""
    row = (await c.execute(select(room.c.room_id).where(room.c.rehearsal_of == room_id))).first()
    return None if row is None else await rooms.get(c, row.room_id)


async def prepare(c: AsyncConnection, show: Room, new_id: Callable[[str], str], now_ms: int) -> Room:
    """The room to rehearse a show in, with the show's products, order, scripts, title and people as they are now.

    One that is on air, or has a sale that goes on, stays as it is. Raises OutOfState `is_rehearsal` for a room that is one itself.
    """
    if show.rehearsal:
        raise OutOfState("is_rehearsal", "This room is a rehearsal itself.")
    before = await find(c, show.room_id)
    if before is None:
        before = await _create(c, show, new_id("rm"), now_ms)
    elif (
        before.status in ON_AIR or (await sale_rows.list_for_room(c, before.room_id, 1, states=OCCUPYING))[0]
    ):
        return before
    said = {one.product_id: one for one in await scripts.read(c, show.room_id)}
    copies = await _copies(c, show, new_id)
    await c.execute(delete(room_product).where(room_product.c.room_id == before.room_id))
    for position, (product_id, copy) in enumerate(copies.items()):
        await catalogue.put_product(c, copy)
        row = {"room_id": before.room_id, "product_id": copy.product_id, "position": position}
        spoken = {"script": said[product_id].script, "minute": said[product_id].minute}
        await c.execute(insert(room_product).values(**row, **spoken))
    await _same_people(c, show.room_id, before.room_id)
    return await rooms.change(
        c,
        before.room_id,
        title=show.title,
        host_name=show.host_name,
        status="preshow",
        pinned_product_id=None,
        pinned_at_ms=None,
        pinned_comment=None,
        slow_mode_s=show.slow_mode_s,
        review=show.review,
        chat_off=show.chat_off,
        followers_only=show.followers_only,
        run_version=room.c.run_version + 1,
        script_version=room.c.script_version + 1,
    )


async def _create(c: AsyncConnection, show: Room, room_id: str, now_ms: int) -> Room:
    await rooms.create(
        c,
        room_id=room_id,
        title=show.title,
        host_name=show.host_name,
        rehearsal=True,
        product_ids=(),
        now_ms=now_ms,
        rehearsal_of=show.room_id,
    )
    return await rooms.get(c, room_id)


async def _copies(c: AsyncConnection, show: Room, new_id: Callable[[str], str]) -> dict[str, Product]:
    """By the ids of the show's products, in its order: the same under ids of their own."""
    ids = await rooms.product_ids(c, show.room_id)
    known = {product.product_id: product for product in await catalogue.get_products(c, ids)}
    copies = {}
    for product_id in ids:
        if product_id not in known:
            continue
        product, own_id = known[product_id], new_id("pr")
        variants = tuple(
            replace(variant, variant_id=new_id("va"), product_id=own_id) for variant in product.variants
        )
        copies[product_id] = replace(product, product_id=own_id, variants=variants)
    return copies


async def _same_people(c: AsyncConnection, show_id: str, rehearsal_id: str) -> None:
    roles = select(room_role.c.user_id, room_role.c.role).where(room_role.c.room_id == show_id)
    people = (await c.execute(roles)).all()
    await c.execute(delete(room_role).where(room_role.c.room_id == rehearsal_id))
    for user_id, role in people:
        await c.execute(insert(room_role).values(room_id=rehearsal_id, user_id=user_id, role=role))
