"""What buyers and sellers see of orders: pages, search, and numbers that say what they mean."""

from __future__ import annotations

import pytest

from commerce import orders
from commerce.bind_rows import order_number_of
from commerce.errors import Invalid, NotFound
from commerce.pages import decode_cursor, encode_cursor
from tests.commerce.world import World


async def test_lists_come_in_pages_newest_first_and_nothing_is_shown_twice_when_orders_come_in(
    world: World,
) -> None:
    sale = await world.open_sale(quota=20, limit_per_buyer=20)
    placed = []
    for number in range(5):
        placed.append((await world.placed_order(sale)).order_id)
        world.clock.pass_ms(number % 2)
    async with world.database.read() as c:
        first, cursor = await orders.list_for_room(c, world.room_id, limit=2)
    await world.placed_order(sale)
    seen = [order.order_id for order in first]
    while cursor is not None:
        async with world.database.read() as c:
            more, cursor = await orders.list_for_room(c, world.room_id, limit=2, cursor=cursor)
        seen += [order.order_id for order in more]
    assert sorted(seen) == sorted(placed)


async def test_a_buyer_sees_their_own_orders_only(world: World) -> None:
    sale = await world.open_sale()
    mine, other = await world.placed_order(sale, "gu_ana"), await world.placed_order(sale, "gu_bo")
    async with world.database.read() as c:
        found, _ = await orders.list_for_buyer(c, "gu_ana", world.room_id)
        assert [order.order_id for order in found] == [mine.order_id]
        assert await orders.list_for_buyer(c, "gu_ana", "rm_other") == ([], None)
        assert (await orders.get(c, mine.order_id, "gu_ana")).order_id == mine.order_id
        with pytest.raises(NotFound):
            await orders.get(c, other.order_id, "gu_ana")
        assert await orders.bound_hold_ids(c, "gu_ana", [mine.hold_id, other.hold_id, "hd_x"]) == {
            mine.hold_id
        }


async def test_a_room_is_searched_by_state_number_and_name(world: World) -> None:
    sale = await world.open_sale()
    one, _ = await world.pay(await world.placed_order(sale, "gu_ana"))
    await world.placed_order(sale, "gu_bo")
    async with world.database.read() as c:
        paid, _ = await orders.list_for_room(c, world.room_id, state="paid")
        by_number, _ = await orders.list_for_room(c, world.room_id, query=one.order_number.lower())
        by_name, _ = await orders.list_for_room(c, world.room_id, query="lin")
        nothing, _ = await orders.list_for_room(c, world.room_id, query="%")
        assert [order.order_id for order in paid] == [one.order_id] == [order.order_id for order in by_number]
        assert (len(by_name), nothing) == (2, [])
        for state, query, cursor in (("bogus", None, None), (None, "x" * 81, None), (None, None, "nonsense")):
            with pytest.raises(Invalid):
                await orders.list_for_room(c, world.room_id, state, query, cursor=cursor)


async def test_placed_paid_and_refunded_are_never_mixed_and_ghosts_count_apart(world: World) -> None:
    sale = await world.open_sale(quota=5, limit_per_buyer=5)
    await world.placed_order(sale)
    await world.pay(await world.placed_order(sale))
    await world.pay(await world.bind(world.hold(sale, "gu_ghost", ghost=True)))
    async with world.database.read() as c:
        assert await orders.counts(c, world.room_id) == {
            "placed": 2,
            "paid": 1,
            "refunded": 0,
            "placed_minor": 19_800,
            "paid_minor": 9_900,
            "refunded_minor": 0,
            "ghost_placed": 1,
            "ghost_paid": 1,
        }
        assert set((await orders.counts(c, "rm_none")).values()) == {0}


def test_order_numbers_are_readable_and_tell_nothing() -> None:
    numbers = {order_number_of(f"or_{n}") for n in range(1_000)}
    assert len(numbers) == 1_000
    assert all(len(number) == 15 and not set("ILOU") & set(number[3:]) for number in numbers)


@pytest.mark.parametrize("cursor", ["", "x.y", "1.", ".a", "-1.a", "9" * 30 + ".a", "1." + "a" * 100])
def test_a_cursor_of_others_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        decode_cursor(cursor)
    assert decode_cursor(encode_cursor(5, "or_1")) == (5, "or_1")
