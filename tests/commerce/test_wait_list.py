"""The wait list: a unit that comes back goes to its head before anyone else is asked, and everyone in it gets a final answer."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from commerce.hot_ledger import HoldRequest
from tests.commerce.hot_sale import GRACE_MS, HOLD_MS, HotSale


@pytest.fixture
async def sale(redis_client: Redis) -> HotSale:
    """One unit, held by ana; bo, cai and dan wait in this order."""
    made = HotSale(redis_client)
    await made.open(quota=1)
    await made.granted("ana")
    for buyer in ("bo", "cai", "dan"):
        await made.tap(buyer, request="wait", wait=True)
    return made


async def promoted(sale: HotSale) -> list[str]:
    return [one.buyer_id for one in await sale.notices() if one.kind == "promoted"]


async def test_places_are_given_in_the_order_of_asking_and_shown_to_everyone(sale: HotSale) -> None:
    assert [await sale.ledger.place(*sale.key, buyer) for buyer in ("bo", "cai", "dan")] == [1, 2, 3]
    assert (await sale.numbers()).waiting == 3
    late = await sale.tap("eve", wait=True)
    assert (late.decision, late.reason, late.place) == ("waiting", "joined", 4)


async def test_asking_again_keeps_the_place(sale: HotSale) -> None:
    again = await sale.tap("bo", request="wait", wait=True)
    other = await sale.tap("bo", request="another", wait=True)
    assert (again.decision, again.place) == (other.decision, other.place) == ("waiting", 1)
    assert (await sale.numbers()).waiting == 3


async def test_joining_twice_in_one_batch_is_one_place(sale: HotSale) -> None:
    requests = [HoldRequest(f"r{n}", "eve", 1, wait=True) for n in range(2)]
    decisions, numbers = await sale.ledger.decide(*sale.key, requests)
    assert [d.place for d in decisions] == [4, 4]
    assert numbers is not None
    assert numbers.waiting == 4


async def test_while_there_are_units_joining_is_buying(redis_client: Redis) -> None:
    sale = HotSale(redis_client)
    await sale.open(quota=1)
    assert (await sale.tap("ana", wait=True)).decision == "granted"


async def test_a_unit_freed_by_expiry_goes_to_the_head_of_the_wait_list(sale: HotSale) -> None:
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    await sale.ledger.sweep(*sale.key)
    told = await sale.notices()
    assert [(one.kind, one.buyer_id) for one in told] == [("expired", "ana"), ("promoted", "bo")]
    assert told[1].decision.decision == "granted"
    assert told[1].decision.expires_at_ms
    assert [one.buyer_id for one in await sale.ledger.buyer_holds(*sale.key, "bo")] == ["bo"]
    assert await sale.three() == (0, 1, 0)
    assert (await sale.numbers()).waiting == 2
    assert await sale.tap("bo", request="wait", wait=True) == told[1].decision


async def test_nobody_who_taps_at_the_moment_of_return_comes_before_the_head(sale: HotSale) -> None:
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    assert (await sale.tap("fast")).reason == "all_held"
    assert await promoted(sale) == ["bo"]


async def test_every_way_a_unit_can_come_back_serves_the_head(sale: HotSale) -> None:
    (hold,) = await sale.ledger.buyer_holds(*sale.key, "ana")
    assert (await sale.ledger.release(*sale.key, hold.hold_id, "ana"))[0]
    (told,) = await sale.notices()
    assert (told.kind, told.buyer_id) == ("promoted", "bo")
    await sale.sync(capacity=2)  # stock added
    assert await promoted(sale) == ["cai"]
    await sale.bind(told.decision)
    assert await promoted(sale) == []
    await sale.sync(reserved=0)  # bo's order was let go
    assert await promoted(sale) == ["dan"]
    assert await sale.three() == (0, 2, 0)
    assert (await sale.numbers()).waiting == 0


async def test_places_are_served_in_order_without_exception(redis_client: Redis) -> None:
    sale = HotSale(redis_client)
    await sale.open(quota=1)
    holder = "first"
    await sale.granted(holder)
    line = [f"b{n}" for n in range(20)]
    for buyer in line:
        await sale.tap(buyer, wait=True)
    served = []
    for _ in line:
        (hold,) = await sale.ledger.buyer_holds(*sale.key, holder)
        await sale.ledger.release(*sale.key, hold.hold_id, holder)
        (holder,) = await promoted(sale)
        served.append(holder)
    assert served == line


async def test_a_head_that_wants_more_than_came_back_gets_that_and_nobody_overtakes(
    redis_client: Redis,
) -> None:
    sale = HotSale(redis_client)
    await sale.open(quota=2, limit_per_buyer=2)
    first, _ = await sale.granted("ana"), await sale.granted("ben")
    await sale.tap("bo", 2, wait=True)
    await sale.tap("cai", 1, wait=True)
    await sale.release(first)
    (told,) = await sale.notices()
    assert (told.buyer_id, told.decision.quantity) == ("bo", 1)
    assert await sale.ledger.place(*sale.key, "cai") == 1


async def test_a_head_who_reached_the_limit_meanwhile_is_told_so_and_the_next_is_served(
    redis_client: Redis,
) -> None:
    sale = HotSale(redis_client)
    await sale.open(quota=1)
    hold = await sale.granted("ana")
    await sale.tap("bo", wait=True)
    await sale.tap("cai", wait=True)
    await sale.ledger.sync(sale.snapshot, bound_units={"bo": 1})  # an order of theirs came alive again
    await sale.release(hold)
    told = await sale.notices()
    assert [(one.kind, one.buyer_id, one.decision.reason) for one in told] == [
        ("refused", "bo", "limit_reached"),
        ("promoted", "cai", "granted"),
    ]


async def test_leaving_gives_the_place_up_for_good(sale: HotSale) -> None:
    assert (await sale.ledger.leave(*sale.key, "bo"))[0]
    assert not (await sale.ledger.leave(*sale.key, "bo"))[0]
    assert await sale.ledger.place(*sale.key, "cai") == 1
    left = await sale.tap("bo", request="wait", wait=True)
    assert (left.decision, left.reason) == ("refused", "left")
    assert (await sale.tap("bo", wait=True)).place == 3


async def test_a_pause_keeps_the_list_and_the_reopening_serves_it_first(sale: HotSale) -> None:
    await sale.sync(state="paused")
    (hold,) = await sale.ledger.buyer_holds(*sale.key, "ana")
    await sale.ledger.release(*sale.key, hold.hold_id, "ana")
    assert await sale.three() == (1, 0, 0)
    assert await promoted(sale) == []
    await sale.sync(state="open")
    assert await promoted(sale) == ["bo"]


async def test_after_closing_units_still_go_to_the_list_as_long_as_there_is_time_to_buy(
    sale: HotSale,
) -> None:
    closes_at_ms = sale.started_ms + 10_000
    sale.pass_ms(10_500)
    await sale.sync(
        state="draining", state_reason="time_up", closes_at_ms=closes_at_ms, closed_at_ms=closes_at_ms
    )
    (hold,) = await sale.ledger.buyer_holds(*sale.key, "ana")
    await sale.ledger.release(*sale.key, hold.hold_id, "ana")
    (told,) = await sale.notices()
    assert (told.kind, told.buyer_id) == ("promoted", "bo")
    assert told.decision.expires_at_ms == closes_at_ms + HOLD_MS  # the sale settles then
    sale.pass_ms(HOLD_MS)
    await sale.ledger.sweep(*sale.key)
    told_last = await sale.notices()
    assert [(one.kind, one.buyer_id, one.decision.reason) for one in told_last] == [
        ("refused", "cai", "ended"),
        ("refused", "dan", "ended"),
    ]
    assert (await sale.numbers()).waiting == 0


async def test_a_sale_the_host_ended_promotes_nobody_and_says_so(sale: HotSale) -> None:
    await sale.sync(state="draining", state_reason="ended_early: host", closed_at_ms=sale.started_ms)
    told = await sale.notices()
    assert [(one.kind, one.buyer_id, one.decision.reason) for one in told] == [
        ("refused", buyer, "ended") for buyer in ("bo", "cai", "dan")
    ]


async def test_the_moment_between_closing_time_and_the_workers_word_dismisses_nobody(sale: HotSale) -> None:
    await sale.sync(closes_at_ms=sale.started_ms + 1_000)
    sale.pass_ms(5_000)
    await sale.ledger.sweep(*sale.key)
    assert (await sale.tap("eve", wait=True)).reason == "ended"
    assert (await sale.numbers()).waiting == 3


async def test_a_closed_sale_takes_nobody_into_its_list(sale: HotSale) -> None:
    await sale.sync(state="paused")
    assert (await sale.tap("eve", wait=True)).reason == "paused"
    assert (await sale.numbers()).waiting == 3


async def test_the_log_tells_the_whole_story_of_the_list(sale: HotSale) -> None:
    await sale.ledger.leave(*sale.key, "cai")
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    await sale.ledger.sweep(*sale.key)
    await sale.sync(state="settled")
    entries, _ = await sale.ledger.read_log(*sale.key)
    assert [(one.buyer_id, one.decision, one.reason) for one in entries] == [
        ("ana", "granted", "granted"),
        ("bo", "waiting", "joined"),
        ("cai", "waiting", "joined"),
        ("dan", "waiting", "joined"),
        ("cai", "left", "left"),
        ("bo", "granted", "promoted"),
        ("dan", "left", "ended"),
    ]
    assert all(one.available + one.held + one.sold == 1 for one in entries)
