"""The sale desk: every control of PRODUCT.md 2.1 with its interlocks, on real SQL and a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlalchemy import update

from commerce import crash_points, sale_rules
from commerce.errors import Invalid, NotFound, OutOfState, Quarantined, Refused
from commerce.hot_ledger import HotLedger, connect_redis
from commerce.sale_rules import RESUME_COUNTDOWN_MS, Problem, Sale, hash_terms
from commerce.sales import SaleDesk
from commerce.schema import variant
from tests.commerce.world import World, new_id
from tests.services import free_port


async def test_a_draft_becomes_ready_armed_and_fired_and_opens_by_the_clock(world: World) -> None:
    draft = await world.desk.create(world.room_id, world.terms(quota=10, countdown_ms=10_000))
    assert (draft.state, draft.round, draft.capacity, draft.list_price_minor) == ("draft", 1, 0, 19_900)
    assert await world.desk.validate(draft.sale_id) == []
    assert (await world.sale(draft.sale_id)).state == "ready"
    armed = await world.desk.arm(draft.sale_id)
    assert (armed.state, armed.capacity, await world.on_hand()) == ("armed", 10, 90)
    assert armed.terms_hash == hash_terms(armed)
    fired = await world.desk.fire(draft.sale_id)
    assert fired.opens_at_ms == world.clock.now_ms + 10_000
    assert fired.closes_at_ms == fired.opens_at_ms + fired.duration_ms
    assert await world.desk.tick() == []
    world.clock.pass_ms(10_000)
    assert [sale.state for sale in await world.desk.tick()] == ["open"]
    assert await world.desk.tick() == []
    assert await world.events(draft.sale_id) == ["sale_changed"] * 4
    await world.assert_sound()


async def test_arming_shows_every_red_light_and_changes_nothing(world: World) -> None:
    draft = await world.desk.create(
        world.room_id, world.terms(quota=101, price_minor=19_900, limit_per_buyer=99)
    )
    with pytest.raises(Refused) as refused:
        await world.desk.arm(draft.sale_id)
    problems = refused.value.facts["problems"]
    assert isinstance(problems, list)
    assert {problem["code"] for problem in problems} == {"quota_above_stock", "price_not_below_list"}
    assert (await world.sale(draft.sale_id)).state == "draft"
    assert await world.on_hand() == 100
    codes = [problem.code for problem in await world.desk.validate(draft.sale_id)]
    assert codes == ["quota_above_stock", "price_not_below_list"]


async def test_sales_of_one_variant_never_overlap_however_close_they_are_armed(world: World) -> None:
    drafts = [await world.desk.create(world.room_id, world.terms()) for _ in range(4)]
    answers = await asyncio.gather(
        *(world.desk.arm(draft.sale_id) for draft in drafts), return_exceptions=True
    )
    assert sum(isinstance(answer, Sale) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"preflight"}
    assert await world.on_hand() == 97
    await world.assert_sound()


async def test_terms_are_frozen_once_armed_and_free_after_disarming(world: World) -> None:
    sale = await world.armed_sale()
    with pytest.raises(OutOfState) as refused:
        await world.desk.edit(sale.sale_id, {"price_minor": 1})
    assert refused.value.facts["allowed_in"] == ["draft", "ready"]
    ready = await world.desk.disarm(sale.sale_id)
    assert (ready.state, ready.capacity, ready.terms_hash, await world.on_hand()) == ("ready", 0, None, 100)
    edited = await world.desk.edit(sale.sale_id, {"price_minor": 5_000, "quota": 7})
    assert (edited.state, edited.price_minor, edited.quota) == ("draft", 5_000, 7)
    again = await world.desk.arm(sale.sale_id)
    assert (again.capacity, await world.on_hand()) == (7, 93)
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert numbers.available == 7
    await world.assert_sound()


async def test_a_countdown_is_aborted_until_three_seconds_before_it_ends(world: World) -> None:
    sale = await world.armed_sale(countdown_ms=10_000)
    await world.desk.fire(sale.sale_id)
    world.clock.pass_ms(7_001)
    with pytest.raises(Refused) as late:
        await world.desk.abort(sale.sale_id, "wrong item")
    assert late.value.code == "too_late_to_abort"
    world.clock.pass_ms(-1)
    with pytest.raises(Invalid):
        await world.desk.abort(sale.sale_id, "  ")
    back = await world.desk.abort(sale.sale_id, "wrong item")
    assert (back.state, back.state_reason, back.opens_at_ms, await world.on_hand()) == (
        "ready",
        "wrong item",
        None,
        100,
    )
    await world.assert_sound()


async def test_a_pause_stops_the_sales_clock_and_a_resume_warns_first(world: World) -> None:
    sale = await world.open_sale(duration_ms=60_000)
    world.clock.pass_ms(20_000)
    paused = await world.desk.pause(sale.sale_id, "stream_lost")
    assert (paused.state, paused.state_reason) == ("paused", "stream_lost")
    world.clock.pass_ms(500_000)
    assert await world.desk.tick() == []
    resumed = await world.desk.resume(sale.sale_id)
    assert (resumed.state, resumed.opens_at_ms) == ("countdown", world.clock.now_ms + RESUME_COUNTDOWN_MS)
    assert resumed.opens_at_ms is not None
    assert resumed.closes_at_ms == resumed.opens_at_ms + 40_000
    with pytest.raises(OutOfState) as refused:
        await world.desk.abort(sale.sale_id, "no")
    assert refused.value.code == "sale_was_open"
    world.clock.pass_ms(RESUME_COUNTDOWN_MS)
    await world.desk.tick()
    assert (await world.sale(sale.sale_id)).state == "open"


async def test_unpaid_orders_gain_the_length_of_a_payment_outage_and_of_no_other_pause(world: World) -> None:
    sale = await world.open_sale()
    order = await world.placed_order(sale)
    await world.desk.pause(sale.sale_id, "payment_outage")
    world.clock.pass_ms(1_000_000)
    assert await world.cashier.let_go() == 0  # nobody loses a unit because the provider is down
    await world.desk.resume(sale.sale_id)
    assert (await world.order(order.order_id)).deadline_ms == order.deadline_ms + 1_000_000
    world.clock.pass_ms(RESUME_COUNTDOWN_MS)
    await world.desk.tick()
    await world.desk.pause(sale.sale_id, "host")
    world.clock.pass_ms(1_000)
    await world.desk.resume(sale.sale_id)
    assert (await world.order(order.order_id)).deadline_ms == order.deadline_ms + 1_000_000


async def test_soft_holds_gain_the_outage_too_and_bind_with_their_new_token(world: World) -> None:
    sale = await world.open_sale(hold_ms=60_000)
    hold = await world.granted_hold(sale, "gu_ana")
    await world.desk.pause(sale.sale_id, "payment_outage")
    world.clock.pass_ms(100_000)
    await world.desk.resume(sale.sale_id)
    (longer,) = await world.hot.buyer_holds(sale.room_id, sale.sale_id, "gu_ana")
    assert longer.expires_at_ms == hold.expires_at_ms + 100_000
    order = await world.bind(replace(hold, expires_at_ms=longer.expires_at_ms))
    assert order.state == "placed"
    assert (await world.bind(hold)).order_id == order.order_id  # the token from before is as good
    await world.assert_sound()


async def test_a_resume_that_dies_half_way_gives_the_whole_outage_once(world: World) -> None:
    sale = await world.open_sale(hold_ms=60_000)
    hold = await world.granted_hold(sale, "gu_ana")
    await world.desk.pause(sale.sale_id, "payment_outage")
    world.clock.pass_ms(100_000)
    with crash_points.armed("resume.lengthened"), pytest.raises(crash_points.Crashed):
        await world.desk.resume(sale.sale_id)
    world.clock.pass_ms(20_000)
    await world.desk.resume(sale.sale_id)
    (longer,) = await world.hot.buyer_holds(sale.room_id, sale.sale_id, "gu_ana")
    assert longer.expires_at_ms == hold.expires_at_ms + 120_000


@pytest.mark.parametrize("step_ms", [-1, 0])
async def test_a_hold_gains_the_outage_also_when_redis_was_not_told(world: World, step_ms: int) -> None:
    """The old token binds for as long as its hold has gained, and not a millisecond longer."""
    sale = await world.open_sale(hold_ms=60_000)
    hold = world.hold(sale, "gu_ana")
    away = SaleDesk(
        world.database, HotLedger(connect_redis("redis://127.0.0.1:1/0")), world.clock, world.desk.new_id
    )
    await world.desk.pause(sale.sale_id, "payment_outage")
    world.clock.pass_ms(100_000)
    await away.resume(sale.sale_id)
    world.clock.now_ms = hold.expires_at_ms + 100_000 + step_ms
    if step_ms < 0:
        assert (await world.bind(hold)).state == "placed"
    else:
        with pytest.raises(Refused) as expired:
            await world.bind(hold)
        assert expired.value.facts["expires_at_ms"] == hold.expires_at_ms + 100_000
    await away.hot_ledger.redis.aclose()
    await world.assert_sound()


async def test_a_price_below_the_variants_floor_is_a_red_light(world: World) -> None:
    async with world.database.begin() as c:
        await c.execute(update(variant).values(floor_minor=9_000))
    sale = await world.desk.create(world.room_id, world.terms(price_minor=8_999))
    assert [problem.code for problem in await world.desk.validate(sale.sale_id)] == ["price_below_floor"]
    await world.desk.edit(sale.sale_id, {"price_minor": 9_000})
    assert await world.desk.validate(sale.sale_id) == []


async def test_a_red_light_from_outside_blocks_arming_too(world: World) -> None:
    async def lights() -> list[Problem]:
        return [Problem("payments_down", "nobody answers")]

    desk = SaleDesk(world.database, world.hot, world.clock, world.desk.new_id, lights=lights)
    sale = await desk.create(world.room_id, world.terms())
    assert [problem.code for problem in await desk.validate(sale.sale_id)] == ["payments_down"]
    with pytest.raises(Refused) as red:
        await desk.arm(sale.sale_id)
    assert [problem["code"] for problem in red.value.facts["problems"]] == ["payments_down"]
    assert (await world.sale(sale.sale_id)).state == "draft"


async def test_stock_is_added_once_per_movement_and_only_what_is_on_the_shelf(world: World) -> None:
    sale = await world.open_sale()
    await asyncio.gather(*(world.desk.add_stock(sale.sale_id, 5, "tap-1") for _ in range(4)))
    added = await world.desk.add_stock(sale.sale_id, 2, "tap-2")
    assert (added.capacity, await world.on_hand()) == (10, 90)
    with pytest.raises(Refused) as short:
        await world.desk.add_stock(sale.sale_id, 91, "tap-3")
    assert short.value.facts["on_hand"] == 90
    for units in (0, -1, 10**9, True):
        with pytest.raises(Invalid):
            await world.desk.add_stock(sale.sale_id, units, "tap-4")
    await world.assert_sound()


async def test_only_available_units_are_withdrawn(world: World) -> None:
    sale = await world.open_sale(quota=10)
    await world.placed_order(sale)
    await world.granted_hold(sale, "gu_bo")
    with pytest.raises(Refused) as short:
        await world.desk.withdraw_stock(sale.sale_id, 9, "tap-1")
    assert short.value.facts["withdrawable"] == 8
    assert (await world.sale(sale.sale_id)).capacity == 10
    after = await world.desk.withdraw_stock(sale.sale_id, 8, "tap-2")
    assert (after.capacity, after.reserved, await world.on_hand()) == (2, 1, 98)
    assert (await world.desk.withdraw_stock(sale.sale_id, 8, "tap-2")).capacity == 2
    await world.assert_sound()


async def test_a_hold_granted_during_a_withdrawal_keeps_its_unit(world: World) -> None:
    sale = await world.open_sale(quota=4)

    class GrantsInBetween(HotLedger):
        async def numbers(self, room_id: str, sale_id: str):  # type: ignore[no-untyped-def]
            seen = await super().numbers(room_id, sale_id)
            for buyer in ("gu_ana", "gu_bo"):
                await world.granted_hold(sale, buyer)
            return seen

    world.desk.hot_ledger = GrantsInBetween(world.hot.redis)
    after = await world.desk.withdraw_stock(sale.sale_id, 4, "tap")
    assert (after.capacity, await world.on_hand()) == (2, 98)
    await world.assert_sound()


async def test_a_sale_is_extended_once_and_only_if_its_terms_said_so(world: World) -> None:
    sale = await world.open_sale(extendable_ms=30_000)
    assert sale.closes_at_ms is not None
    answers = await asyncio.gather(
        *(world.desk.extend(sale.sale_id) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, Sale) for answer in answers) == 1
    after = await world.sale(sale.sale_id)
    assert (after.closes_at_ms, after.extended) == (sale.closes_at_ms + 30_000, True)


async def test_a_sale_without_the_words_is_never_extended(world: World) -> None:
    sale = await world.open_sale()
    with pytest.raises(Refused) as refused:
        await world.desk.extend(sale.sale_id)
    assert refused.value.code == "not_extendable"


async def test_ending_early_honours_holds_and_returns_the_rest_to_the_shelf_once(world: World) -> None:
    sale = await world.open_sale(quota=5)
    hold = await world.granted_hold(sale, "gu_ana")
    ended = await world.desk.end_early(sale.sale_id, "host")
    assert (ended.state, ended.state_reason) == ("draining", "ended_early: host")
    assert await world.desk.tick() == []  # a soft hold is alive
    order = await world.bind(hold)
    assert await world.desk.tick() == []  # an unpaid order is alive
    await world.pay(order)
    ticks = await asyncio.gather(*(world.desk.tick() for _ in range(3)))
    assert any(ticks)
    done = await world.sale(sale.sale_id)
    assert done.state in ("settled", "published")
    told = await world.rows("SELECT payload FROM outbox WHERE aggregate = :a", a=sale.sale_id)
    assert str(told).count("'settle'") + str(told).count('"settle"') == 1
    assert (done.capacity, done.sold, await world.on_hand()) == (1, 1, 99)
    await world.assert_sound()


async def test_a_sale_closes_settles_and_publishes_by_itself(world: World) -> None:
    sale = await world.open_sale(quota=5)
    world.clock.pass_ms(sale.duration_ms)
    await world.desk.tick()
    done = await world.sale(sale.sale_id)
    assert (done.state, done.state_reason, done.capacity, await world.on_hand()) == (
        "published",
        "time_up",
        0,
        100,
    )
    assert await world.desk.seed(sale.sale_id) is not None
    await world.assert_sound()


async def test_without_word_from_redis_a_sale_waits_for_the_last_possible_expiry(world: World) -> None:
    sale = await world.open_sale()
    unreachable = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    world.desk.hot_ledger = HotLedger(unreachable)
    world.clock.pass_ms(sale.duration_ms)
    await world.desk.tick()
    world.clock.pass_ms(sale.hold_ms + sale_rules.HOLD_GRACE_MS - 1)
    assert await world.desk.tick() == []
    world.clock.pass_ms(1)
    await world.desk.tick()
    assert (
        await world.sale(sale.sale_id)
    ).state == "settled"  # not published: Redis may still have lines of its log
    world.desk.hot_ledger = world.hot
    await world.desk.tick()
    assert (await world.sale(sale.sale_id)).state == "published"
    await unreachable.aclose()


async def test_a_sold_out_sale_opens_again_when_stock_is_added_in_time(world: World) -> None:
    sale = await world.open_sale(quota=1)
    await world.pay(await world.placed_order(sale))
    await world.desk.tick()
    assert (await world.sale(sale.sale_id)).state_reason == "sold_out"
    again = await world.desk.add_stock(sale.sale_id, 2, "tap")
    assert (again.state, again.state_reason, again.base) == ("open", None, 2)
    world.clock.pass_ms(sale.duration_ms)
    await world.desk.tick()
    with pytest.raises(OutOfState):
        await world.desk.add_stock(sale.sale_id, 1, "tap-2")  # settled: that round is over
    await world.assert_sound()


async def test_the_same_offer_again_is_a_visible_new_round(world: World) -> None:
    first = await world.open_sale()
    second = await world.desk.create(world.room_id, world.terms())
    assert (first.round, second.round) == (1, 2)
    await world.desk.end_early(first.sale_id)
    await world.desk.tick()
    assert (await world.desk.arm(second.sale_id)).round == 2
    never_fired = await world.desk.disarm(second.sale_id)
    assert (await world.desk.arm(never_fired.sale_id)).round == 2


async def test_a_sale_that_slept_through_its_life_catches_up_in_one_tick(world: World) -> None:
    sale = await world.armed_sale(countdown_ms=10_000)
    await world.desk.fire(sale.sale_id)
    world.clock.pass_ms(10_000 + sale.duration_ms + 10_000_000)
    await world.desk.tick()
    done = await world.sale(sale.sale_id)
    assert (done.state, await world.on_hand()) == ("published", 100)
    assert done.opened_at_ms is not None
    await world.assert_sound()


async def test_reconcile_shows_a_sum_that_does_not_hold(world: World) -> None:
    sale = await world.open_sale()
    assert (await world.desk.reconcile(sale.sale_id)).capacity == 3
    async with world.database.begin() as c:
        await c.exec_driver_sql("UPDATE stock SET reserved = 1")
    with pytest.raises(Quarantined) as broken:
        await world.desk.reconcile(sale.sale_id)
    assert broken.value.facts["reserved"] == 1


async def test_no_action_is_possible_in_a_state_where_the_table_has_none(world: World) -> None:
    sale = await world.armed_sale()
    desk, sale_id = world.desk, sale.sale_id
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: desk.arm(sale_id),
        lambda: desk.validate(sale_id),
        lambda: desk.abort(sale_id, "x"),
        lambda: desk.pause(sale_id),
        lambda: desk.resume(sale_id),
        lambda: desk.extend(sale_id),
        lambda: desk.end_early(sale_id),
        lambda: desk.add_stock(sale_id, 1, "m"),
        lambda: desk.withdraw_stock(sale_id, 1, "m"),
    ]
    for action in refused:
        with pytest.raises(OutOfState):
            await action()
    assert await world.sale(sale_id) == sale


async def test_fire_twice_is_one_countdown(world: World) -> None:
    sale = await world.armed_sale()
    answers = await asyncio.gather(*(world.desk.fire(sale.sale_id) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, Sale) for answer in answers) == 1


async def test_unknown_sales_variants_and_terms_are_named(world: World) -> None:
    with pytest.raises(NotFound):
        await world.desk.get("sl_none")
    with pytest.raises(NotFound) as unknown:
        await world.desk.create(world.room_id, replace(world.terms(), variant_id="va_none"))
    assert unknown.value.code == "unknown_variant"
    draft = await world.desk.create(world.room_id, world.terms())
    with pytest.raises(Invalid):
        await world.desk.edit(draft.sale_id, {"state": "open"})


async def test_a_rooms_sales_come_in_pages_newest_first(world: World) -> None:
    made = []
    for _ in range(5):
        made.append((await world.desk.create(world.room_id, world.terms())).sale_id)
        world.clock.pass_ms(1)
    await world.desk.create(new_id("rm"), world.terms())
    first, cursor = await world.desk.list(world.room_id, 3)
    rest, end = await world.desk.list(world.room_id, 3, cursor)
    assert [sale.sale_id for sale in first + rest] == made[::-1]
    assert end is None


async def test_arming_works_when_redis_is_down_and_redis_learns_of_it_later(world: World) -> None:
    unreachable = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    world.desk.hot_ledger = HotLedger(unreachable)
    sale = await world.armed_sale()
    assert sale.state == "armed"
    await unreachable.aclose()
    world.desk.hot_ledger = world.hot
    await world.desk.fire(sale.sale_id)
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert numbers.available == 3
