"""Units move by conditional updates with a row count, and the constraints stand behind them."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from commerce import stock
from commerce.errors import Quarantined, Refused
from tests.commerce.world import World


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE stock SET sold = capacity - reserved + 1",
        "UPDATE stock SET reserved = -1",
        "UPDATE stock SET sold = -1",
        "UPDATE variant SET on_hand = -1",
        "INSERT INTO buyer_quota SELECT sale_id, 'gu_x', 2, 1 FROM sale",
        "INSERT INTO buyer_quota SELECT sale_id, 'gu_x', -1, 1 FROM sale",
        "UPDATE sale SET state = 'bogus'",
    ],
)
async def test_no_statement_however_wrong_gets_past_the_constraints(world: World, broken: str) -> None:
    await world.open_sale()
    with pytest.raises(IntegrityError):
        async with world.database.begin() as c:
            await c.execute(text(broken))


async def test_every_change_raises_the_version(world: World) -> None:
    sale = await world.open_sale()
    async with world.database.begin() as c:
        assert await stock.reserve(c, sale.sale_id, 2)
        await stock.sell_reserved(c, sale.sale_id, 1)
        await stock.release_reserved(c, sale.sale_id, 1)
        assert await stock.sell_free(c, sale.sale_id, 1)
        await stock.unsell(c, sale.sale_id, 1)
    after = await world.sale(sale.sale_id)
    assert (after.reserved, after.sold, after.version) == (0, 1, sale.version + 5)


async def test_units_that_were_never_reserved_or_sold_do_not_come_back(world: World) -> None:
    sale = await world.open_sale()
    for change in (stock.sell_reserved, stock.release_reserved, stock.unsell):
        with pytest.raises(Quarantined):
            async with world.database.begin() as c:
                await change(c, sale.sale_id, 1)
    with pytest.raises(Quarantined):
        async with world.database.begin() as c:
            await stock.free_quota(c, sale.sale_id, "gu_ana", 1)


async def test_quota_is_counted_exactly_under_a_race(world: World) -> None:
    sale = await world.open_sale()

    async def use() -> int | None:
        async with world.database.begin() as c:
            return await stock.use_quota(c, sale.sale_id, "gu_ana", 2, 5)

    used = await asyncio.gather(*(use() for _ in range(6)))
    assert sorted(units for units in used if units is not None) == [2, 4]


async def test_a_movement_is_made_once_and_wholly_or_not_at_all(world: World) -> None:
    sale = await world.open_sale()

    async def move(movement_id: str, units: int) -> bool:
        async with world.database.begin() as c:
            return await stock.move(
                c,
                movement_id=movement_id,
                variant_id=world.variant_id,
                sale_id=sale.sale_id,
                units=units,
                reason="test",
                at_ms=1,
            )

    assert await move("m1", 5)
    assert not await move("m1", 5)
    for units in (1_000, -9):
        with pytest.raises(Refused):
            await move(f"m{units}", units)
    assert await move("m2", -8)
    assert ((await world.sale(sale.sale_id)).capacity, await world.on_hand()) == (0, 100)
    await world.assert_sound()
