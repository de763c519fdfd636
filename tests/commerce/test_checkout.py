"""Bind: one transaction that makes a unit somebody's, whatever Redis said and however often it is asked."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, stock
from commerce.checkout import Checkout
from commerce.errors import CommerceError, Forbidden, Invalid, Refused
from commerce.hold_tokens import sign
from commerce.hot_ledger import HotLedger, connect_redis
from commerce.schema import stock as stock_table
from tests.commerce.world import ADDRESS, TOKEN_KEY, World, new_id
from tests.services import free_port


async def test_a_hold_becomes_a_placed_order_at_the_price_of_the_hold(world: World) -> None:
    sale = await world.open_sale(limit_per_buyer=2)
    hold = world.hold(sale, "gu_ana", 2)
    order = await world.bind(hold)
    assert (order.state, order.total_minor, order.hold_state) == ("placed", 19_800, "bound")
    assert order.deadline_ms == hold.expires_at_ms
    after = await world.sale(sale.sale_id)
    assert (after.capacity, after.reserved, after.sold) == (3, 2, 0)
    assert after.version > sale.version
    assert await world.events(order.order_id) == ["order_placed"]
    await world.assert_sound()


async def test_the_same_hold_gives_the_same_order_also_after_its_expiry(world: World) -> None:
    sale = await world.open_sale()
    hold = world.hold(sale, "gu_ana")
    first = await world.bind(hold)
    world.clock.pass_ms(10 * sale.hold_ms)
    assert (await world.bind(hold)).order_id == first.order_id
    assert (await world.sale(sale.sale_id)).reserved == 1


async def test_the_same_hold_bound_many_times_at_once_is_one_order(world: World) -> None:
    sale = await world.open_sale()
    hold = world.hold(sale, "gu_ana")
    found = await asyncio.gather(*(world.bind_apart(hold) for _ in range(12)))
    assert len({order.order_id for order in found}) == 1
    assert (await world.sale(sale.sale_id)).reserved == 1
    await world.assert_sound()


async def test_a_late_bind_still_leaves_time_to_pay(world: World) -> None:
    sale = await world.open_sale()
    hold = world.hold(sale, "gu_ana")
    world.clock.pass_ms(sale.hold_ms - 1)
    assert (await world.bind(hold)).deadline_ms == world.clock.now_ms + 30_000


async def test_many_buyers_race_for_the_last_unit_and_one_gets_it(world: World) -> None:
    sale = await world.open_sale(quota=1)
    answers = await asyncio.gather(
        *(world.bind_apart(world.hold(sale, f"gu_{n}")) for n in range(30)), return_exceptions=True
    )
    refused = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert refused == ["sold_out_late"] * 29
    assert (await world.sale(sale.sale_id)).reserved == 1
    await world.assert_sound()


async def test_the_constraint_alone_also_stops_overselling(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def reserve_without_looking(c: AsyncConnection, sale_id: str, units: int) -> bool:
        return await stock._change(
            c, sale_id, stock_table.c.version > 0, reserved=stock_table.c.reserved + units
        )

    sale = await world.open_sale(quota=1)
    monkeypatch.setattr(stock, "reserve", reserve_without_looking)
    answers = await asyncio.gather(
        *(world.bind_apart(world.hold(sale, f"gu_{n}")) for n in range(8)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert (await world.sale(sale.sale_id)).reserved == 1


async def test_the_limit_per_buyer_counts_all_their_orders_also_at_once(world: World) -> None:
    sale = await world.open_sale(quota=10, limit_per_buyer=2)
    answers = await asyncio.gather(
        *(world.bind_apart(world.hold(sale, "gu_ana")) for _ in range(6)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 2
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"limit_reached"}
    with pytest.raises(Refused, match="limit"):
        await world.bind(world.hold(sale, "gu_bo", 3))
    await world.assert_sound()


async def test_a_forged_foreign_or_expired_hold_is_refused_and_nothing_changes(world: World) -> None:
    sale = await world.open_sale()
    hold = world.hold(sale, "gu_ana")
    with pytest.raises(Refused) as bad:
        await world.checkout.bind(sign(b"x" * 32, hold), "gu_ana", "Lin", ADDRESS)
    assert bad.value.code == "bad_token"
    with pytest.raises(Forbidden) as foreign:
        await world.bind(hold, buyer_id="gu_bo")
    assert foreign.value.code == "not_your_hold"
    world.clock.pass_ms(sale.hold_ms)
    with pytest.raises(Refused) as late:
        await world.bind(hold)
    assert late.value.code == "hold_expired"
    assert (await world.sale(sale.sale_id)).reserved == 0
    assert await world.rows("SELECT * FROM orders") == []


@pytest.mark.parametrize(
    ("name", "address", "code"),
    [
        ("", ADDRESS, "bad_name"),
        ("x" * 101, ADDRESS, "bad_name"),
        ("a\x00b", ADDRESS, "bad_name"),
        ("Lin", {**ADDRESS, "city": ""}, "bad_address"),
        ("Lin", {**ADDRESS, "line1": 7}, "bad_address"),
        ("Lin", {**ADDRESS, "line2": "x" * 201}, "bad_address"),
        ("Lin", [], "bad_address"),
        ("Lin", {**ADDRESS, "contact": ""}, "bad_address"),
        ("Lin", {**ADDRESS, "contact": "lin"}, "bad_contact"),
        ("Lin", {**ADDRESS, "contact": "lin@home"}, "bad_contact"),
        ("Lin", {**ADDRESS, "contact": "123456"}, "bad_contact"),
    ],
)
async def test_a_receiver_that_cannot_be_reached_is_refused(
    world: World, name: str, address: dict[str, str], code: str
) -> None:
    sale = await world.open_sale()
    with pytest.raises(Invalid) as refused:
        await world.checkout.bind(sign(TOKEN_KEY, world.hold(sale, "gu_ana")), "gu_ana", name, address)
    assert refused.value.code == code


async def test_a_hold_is_honoured_after_closing_and_refused_after_settling(world: World) -> None:
    sale = await world.open_sale(duration_ms=30_000)
    early = await world.granted_hold(sale, "gu_ana")
    late = world.hold(sale, "gu_bo", expires_at_ms=world.clock.now_ms + 10**8)
    world.clock.pass_ms(30_000)
    await world.desk.tick()
    assert (await world.sale(sale.sale_id)).state == "draining"
    order = await world.bind(early)
    await world.pay(order)
    await world.desk.tick()
    assert (await world.sale(sale.sale_id)).state in ("settled", "published")
    with pytest.raises(Refused) as closed:
        await world.bind(late)
    assert closed.value.code == "sale_closed"
    await world.assert_sound()


async def test_an_order_stands_when_redis_is_gone(world: World) -> None:
    sale = await world.open_sale()
    unreachable = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    world.checkout.hot_ledger = HotLedger(unreachable)
    assert (await world.placed_order(sale)).state == "placed"
    assert (await world.sale(sale.sale_id)).reserved == 1
    await unreachable.aclose()


@pytest.mark.parametrize("point", ["bind.quota_used", "bind.reserved", "bind.before_commit"])
async def test_a_crash_inside_the_bind_leaves_nothing_and_the_retry_succeeds(
    world: World, point: str
) -> None:
    sale = await world.open_sale()
    hold = world.hold(sale, "gu_ana")
    with crash_points.armed(point) as reached, pytest.raises(crash_points.Crashed):
        await world.bind(hold)
    assert reached == [point]
    assert (await world.sale(sale.sale_id)).reserved == 0
    await world.assert_sound()
    assert (await world.bind(hold)).state == "placed"
    await world.assert_sound()


async def test_a_crash_after_the_commit_leaves_the_whole_order(world: World) -> None:
    sale = await world.open_sale()
    hold = world.hold(sale, "gu_ana")
    with crash_points.armed("bind.committed"), pytest.raises(crash_points.Crashed):
        await world.bind(hold)
    await world.assert_sound()
    assert (await world.bind(hold)).state == "placed"
    assert (await world.sale(sale.sale_id)).reserved == 1


async def test_redis_is_told_the_new_sums_after_a_bind(world: World) -> None:
    sale = await world.open_sale()
    await world.placed_order(sale)
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert (numbers.available, numbers.held, numbers.sold) == (2, 1, 0)


async def test_a_token_for_another_room_than_the_sales_is_refused(world: World) -> None:
    sale = await world.open_sale()
    with pytest.raises(CommerceError) as refused:
        await world.bind(world.hold(sale, "gu_ana", room_id="rm_other"))
    assert refused.value.code == "sale_closed"


@pytest.mark.parametrize("together", [True, False], ids=["one process", "many processes"])
async def test_one_person_under_many_names_gets_no_more_than_the_limit(world: World, together: bool) -> None:
    """Guests are free to make: who pays is counted by how they are reached, in one group of binds and across processes."""
    sale = await world.open_sale(quota=10, limit_per_buyer=2)
    writings = ["Lin@Example.com", "lin@example.com ", "LIN@example.COM", "lin@example.com"] * 2

    async def bind(number: int, contact: str) -> str:
        desk = (
            world.checkout
            if together
            else Checkout(world.database, world.hot, TOKEN_KEY, world.clock, new_id)
        )
        hold = world.hold(sale, f"gu_{number}")
        try:
            await desk.bind(sign(TOKEN_KEY, hold), hold.buyer_id, "Lin Mei", {**ADDRESS, "contact": contact})
        except Refused as refused:
            return refused.code
        return "bound"

    answers = await asyncio.gather(*(bind(number, contact) for number, contact in enumerate(writings)))
    assert sorted(answers) == ["bound"] * 2 + ["limit_reached"] * 6
    assert (await world.sale(sale.sale_id)).reserved == 2
    other = world.hold(sale, "gu_other")
    await world.checkout.bind(
        sign(TOKEN_KEY, other), "gu_other", "Bo", {**ADDRESS, "contact": "+86 138-0013-8000"}
    )
    await world.assert_sound()


async def test_positive_control_without_looking_at_contacts_one_person_gets_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: object) -> set[str]:
        return set()

    monkeypatch.setattr(stock, "contacts_over_limit", nobody)
    with pytest.raises(AssertionError):
        await test_one_person_under_many_names_gets_no_more_than_the_limit(world, together=False)


async def test_a_person_whose_order_ended_may_buy_again(world: World) -> None:
    sale = await world.open_sale(quota=2)
    same = {**ADDRESS, "contact": "0086 138 0013 8000"}
    first = world.hold(sale, "gu_ana")
    order = await world.checkout.bind(sign(TOKEN_KEY, first), "gu_ana", "Lin", same)
    assert order.address["contact"] == "+8613800138000"
    await world.cashier.cancel_order(order.order_id, "buyer")
    second = world.hold(sale, "gu_bo")
    await world.checkout.bind(sign(TOKEN_KEY, second), "gu_bo", "Lin", same)
    await world.assert_sound()
