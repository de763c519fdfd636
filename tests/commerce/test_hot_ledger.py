"""The hot ledger against a real Redis: each rule of a decision, idempotency, snapshots, expiry, losing and loading."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from commerce import hot_ledger
from commerce.errors import Unavailable
from commerce.hot_ledger import HoldRequest, HotLedger, NotLoaded, SoftHold, connect_redis
from tests.commerce.hot_sale import GRACE_MS, HOLD_MS, HotSale
from tests.services import free_port


@pytest.fixture
def sale(redis_client: Redis) -> HotSale:
    return HotSale(redis_client)


async def test_a_tap_in_an_open_sale_is_granted_at_its_price_for_its_time(sale: HotSale) -> None:
    await sale.open(quota=2)
    hold = await sale.tap("ana")
    assert (hold.decision, hold.seq, hold.epoch) == ("granted", 1, 1)
    assert (hold.price_minor, hold.currency, hold.quantity) == (9_900, "CNY", 1)
    assert hold.expires_at_ms is not None
    assert hold.granted_at_ms is not None
    assert hold.expires_at_ms - hold.granted_at_ms == HOLD_MS
    assert await sale.three() == (1, 1, 0)
    assert (await sale.numbers()).next_hold_ends_at_ms == hold.expires_at_ms


async def test_a_sale_that_is_not_loaded_refuses_and_is_never_zero(sale: HotSale) -> None:
    decisions, numbers = await sale.ledger.decide(*sale.key, [HoldRequest("r1", "ana", 1)])
    assert [(d.decision, d.reason) for d in decisions] == [("refused", "not_loaded")]
    assert numbers is None
    assert await sale.ledger.numbers(*sale.key) is None
    await sale.open()
    assert (await sale.tap("ana", request="r1")).decision == "granted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "armed"}, "not_open"),
        ({"state": "ready"}, "not_open"),
        ({"state": "paused"}, "paused"),
        ({"state": "draining"}, "ended"),
        ({"state": "settled"}, "ended"),
        ({"state": "published"}, "ended"),
    ],
)
async def test_only_an_open_sale_grants(sale: HotSale, changes: dict[str, Any], reason: str) -> None:
    await sale.open(**changes)
    assert (await sale.tap("ana")).reason == reason
    assert await sale.three() == (2, 0, 0)


@pytest.mark.parametrize("state", ["ready", "settled", "published"])
async def test_an_attempt_after_the_end_is_answered_and_no_longer_logged(sale: HotSale, state: str) -> None:
    await sale.open(state=state)
    refused = await sale.tap("ana", wait=True)
    assert (refused.decision, refused.seq) == ("refused", None)
    assert (await sale.numbers()).seq == 0
    assert await sale.ledger.log_is_empty(*sale.key)


async def test_the_servers_clock_opens_and_closes_a_sale_whatever_the_worker_does(sale: HotSale) -> None:
    opens_at_ms = sale.started_ms + 50_000
    await sale.open(state="countdown", opens_at_ms=opens_at_ms, closes_at_ms=opens_at_ms + 60_000)
    early = await sale.tap("ana")
    assert (early.reason, early.opens_at_ms) == ("not_open", opens_at_ms)
    sale.pass_ms(51_000)
    assert (await sale.tap("ana")).decision == "granted"
    sale.pass_ms(60_000)
    assert (await sale.tap("bo")).reason == "ended"


async def test_the_limit_counts_soft_and_bound_units(sale: HotSale) -> None:
    await sale.open(quota=10, limit_per_buyer=3)
    first = await sale.granted("ana", 2)
    assert (await sale.tap("ana", 2)).reason == "limit_reached"
    await sale.bind(first)
    assert (await sale.tap("ana", 2)).reason == "limit_reached"
    assert (await sale.tap("ana", 1)).decision == "granted"
    assert (await sale.tap("ana", 1)).reason == "limit_reached"
    assert (await sale.tap("bo", 3)).decision == "granted"


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "2", None])
async def test_a_quantity_that_is_no_positive_integer_is_refused_alone(sale: HotSale, quantity: int) -> None:
    await sale.open()
    decisions, _ = await sale.ledger.decide(
        *sale.key, [HoldRequest("r1", "ana", quantity), HoldRequest("r1", "bo", 1)]
    )
    assert [d.reason for d in decisions] == ["bad_quantity", "granted"]
    assert await sale.three() == (1, 1, 0)


async def test_all_held_is_not_sold_out_and_says_when_a_hold_can_end(sale: HotSale) -> None:
    await sale.open(quota=1)
    hold = await sale.granted("ana")
    refused = await sale.tap("bo")
    assert (refused.reason, refused.next_hold_ends_at_ms) == ("all_held", hold.expires_at_ms)
    await sale.bind(hold)
    refused = await sale.tap("bo")
    assert (refused.reason, refused.next_hold_ends_at_ms) == ("all_held", hold.expires_at_ms)
    await sale.sync(reserved=0, sold=1)
    assert (await sale.tap("bo")).reason == "sold_out"
    assert await sale.three() == (0, 0, 1)


async def test_fewer_units_than_asked_for_is_not_enough_and_says_how_many_there_are(sale: HotSale) -> None:
    await sale.open(quota=1, limit_per_buyer=2)
    refused = await sale.tap("ana", 2)
    assert (refused.reason, refused.available, refused.place) == ("not_enough", 1, None)
    assert (await sale.tap("ana", 1)).decision == "granted"


async def test_a_refused_buyer_learns_their_place_and_how_late_they_were(sale: HotSale) -> None:
    await sale.open(quota=1)
    await sale.granted("ana")
    sale.pass_ms(700)
    decisions, _ = await sale.ledger.decide(*sale.key, [HoldRequest("r", f"b{n}", 1) for n in range(3)])
    assert [d.place for d in decisions] == [1, 2, 3]
    assert all(700 <= (d.after_last_unit_ms or 0) < 5_000 for d in decisions)
    assert (await sale.tap("late")).place == 4


async def test_the_same_request_gives_the_same_answer_and_no_second_log_entry(sale: HotSale) -> None:
    await sale.open(quota=1, limit_per_buyer=5)
    first = await sale.tap("ana", request="same")
    refused = await sale.tap("bo", request="same")
    for _ in range(3):
        assert await sale.tap("ana", request="same") == first
        assert await sale.tap("bo", request="same") == refused
    assert (first.decision, refused.decision) == ("granted", "refused")
    assert (await sale.numbers()).seq == 2
    entries, _ = await sale.ledger.read_log(*sale.key)
    assert [entry.decision for entry in entries] == ["granted", "refused"]


async def test_the_same_request_twice_in_one_batch_is_one_request(sale: HotSale) -> None:
    await sale.open(quota=5, limit_per_buyer=5)
    decisions, numbers = await sale.ledger.decide(*sale.key, [HoldRequest("same", "ana", 1)] * 3)
    assert decisions[0] == decisions[1] == decisions[2]
    assert numbers is not None
    assert (numbers.held, numbers.seq) == (1, 1)


async def test_a_request_id_belongs_to_its_buyer(sale: HotSale) -> None:
    await sale.open(quota=2)
    assert (await sale.tap("ana", request="1")).hold_id != (await sale.tap("bo", request="1")).hold_id
    assert await sale.three() == (0, 2, 0)


async def test_a_batch_is_decided_in_order_and_numbered_without_gaps(sale: HotSale) -> None:
    await sale.open(quota=3)
    decisions, numbers = await sale.ledger.decide(
        *sale.key, [HoldRequest("r", f"b{n}", 1) for n in range(hot_ledger.MAX_BATCH)]
    )
    assert [d.seq for d in decisions] == list(range(1, hot_ledger.MAX_BATCH + 1))
    assert [d.decision for d in decisions[:4]] == ["granted"] * 3 + ["refused"]
    assert numbers is not None
    assert (numbers.available, numbers.held, numbers.seq) == (0, 3, hot_ledger.MAX_BATCH)
    entries, _ = await sale.ledger.read_log(*sale.key)
    assert [entry.seq for entry in entries] == [d.seq for d in decisions]
    assert {entry.available + entry.held + entry.sold for entry in entries} == {3}
    with pytest.raises(ValueError, match="at most"):
        await sale.ledger.decide(*sale.key, [HoldRequest("r", "b", 1)] * (hot_ledger.MAX_BATCH + 1))


async def test_many_connections_at_once_never_grant_more_than_there_is(sale: HotSale, redis_url: str) -> None:
    await sale.open(quota=50)
    clients = [connect_redis(redis_url) for _ in range(8)]

    async def crowd(number: int, client: Redis) -> int:
        ledger = HotLedger(client)
        granted = 0
        for start in range(0, 100, 10):
            batch = [HoldRequest("r", f"b{number}_{n}", 1) for n in range(start, start + 10)]
            decisions, _ = await ledger.decide(*sale.key, batch)
            granted += sum(d.decision == "granted" for d in decisions)
        return granted

    counts = await asyncio.gather(*(crowd(n, client) for n, client in enumerate(clients)))
    assert sum(counts) == 50
    numbers = await sale.numbers()
    assert (numbers.available, numbers.held, numbers.seq) == (0, 50, 800)
    for client in clients:
        await client.aclose()


async def test_the_version_of_the_numbers_grows_with_every_change_and_only_then(sale: HotSale) -> None:
    await sale.open(quota=2)
    versions = [(await sale.numbers()).value_version]
    hold = await sale.granted("ana")
    versions.append((await sale.numbers()).value_version)
    await sale.bind(hold)
    versions.append((await sale.numbers()).value_version)
    await sale.sync(reserved=0, sold=1)
    versions.append((await sale.numbers()).value_version)
    await sale.release(await sale.granted("bo"))
    versions.append((await sale.numbers()).value_version)
    assert versions == sorted(set(versions))
    assert (await sale.numbers()).value_version == versions[-1]
    loaded, numbers = await sale.ledger.load(replace(sale.snapshot, epoch=2))
    assert loaded
    assert numbers.value_version > versions[-1]
    assert numbers.value_version < 2**53


async def test_a_hold_is_freed_only_after_its_grace_and_its_buyer_is_told(sale: HotSale) -> None:
    await sale.open(quota=1)
    hold = await sale.granted("ana")
    sale.pass_ms(HOLD_MS + GRACE_MS - 2_000)
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (0, 1, 0)
    assert (await sale.tap("bo")).reason == "all_held"
    sale.pass_ms(2_500)
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (1, 0, 0)
    told = await sale.notices()
    assert [(one.kind, one.buyer_id, one.decision.hold_id) for one in told] == [
        ("expired", "ana", hold.hold_id)
    ]
    await sale.ledger.sweep(*sale.key)
    assert await sale.notices() == []


async def test_a_tap_frees_what_is_over_without_waiting_for_the_sweep_and_its_buyer_is_told_all_the_same(
    sale: HotSale,
) -> None:
    await sale.open(quota=1)
    await sale.granted("ana")
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    assert (await sale.tap("bo")).decision == "granted"
    assert [one.buyer_id for one in await sale.notices()] == ["ana"]


async def test_notices_stay_until_they_are_told(sale: HotSale) -> None:
    await sale.open(quota=1)
    await sale.granted("ana")
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    await sale.ledger.sweep(*sale.key)
    first, _ = await sale.ledger.read_notices(*sale.key)
    second, record_ids = await sale.ledger.read_notices(*sale.key)
    assert first == second != []
    await sale.ledger.trim_notices(*sale.key, record_ids)
    assert await sale.ledger.read_notices(*sale.key) == ([], [])


async def test_a_released_unit_is_free_at_once_and_its_hold_never_comes_back(sale: HotSale) -> None:
    await sale.open(quota=1)
    hold = await sale.tap("ana", request="r1")
    assert hold.hold_id
    assert not (await sale.ledger.release(*sale.key, hold.hold_id, "bo"))[0]
    assert await sale.release(hold)
    assert not await sale.release(hold)
    assert await sale.three() == (1, 0, 0)
    assert (await sale.tap("bo")).decision == "granted"
    assert await sale.tap("ana", request="r1") == hold  # the old answer, not a new unit
    assert await sale.three() == (0, 1, 0)
    entries, _ = await sale.ledger.read_log(*sale.key)
    assert [entry.decision for entry in entries] == ["granted", "released", "granted"]


async def test_a_bound_hold_is_counted_once_and_never_comes_back(sale: HotSale) -> None:
    await sale.open(quota=2)
    hold = await sale.tap("ana", request="r1")
    numbers = await sale.bind(hold)
    assert (numbers.available, numbers.held, numbers.soft) == (1, 1, 0)
    assert await sale.tap("ana", request="r1") == hold
    assert hold.hold_id
    assert not (await sale.ledger.release(*sale.key, hold.hold_id, "ana"))[0]
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (1, 1, 0)
    assert await sale.notices() == []


async def test_older_and_repeated_snapshots_change_nothing(sale: HotSale) -> None:
    await sale.open(quota=5)
    old = sale.snapshot
    await sale.sync(reserved=2)
    newest = await sale.sync(reserved=1, sold=2)
    assert await sale.ledger.sync(old) == newest
    assert await sale.ledger.sync(sale.snapshot) == newest
    assert await sale.ledger.sync(replace(old, version=2, capacity=99)) == newest
    assert await sale.three() == (2, 1, 2)


async def test_snapshots_in_any_order_end_in_the_newest(sale: HotSale) -> None:
    await sale.open(quota=9)
    snapshots = [replace(sale.snapshot, version=2 + n, reserved=n) for n in range(6)]
    for n in (3, 0, 5, 1, 4, 2):
        await sale.ledger.sync(snapshots[n], bound_units={"ana": n})
    assert await sale.three() == (4, 5, 0)
    assert (await sale.tap("ana")).reason == "limit_reached"


async def test_a_buyers_bound_units_are_absolute_and_versioned(sale: HotSale) -> None:
    await sale.open(quota=9, limit_per_buyer=2)
    await sale.ledger.sync(replace(sale.snapshot, version=5), bound_units={"ana": 0})
    await sale.ledger.sync(replace(sale.snapshot, version=4), bound_units={"ana": 2})
    assert (await sale.tap("ana", 2)).decision == "granted"


async def test_a_snapshot_of_another_epoch_is_not_taken(sale: HotSale) -> None:
    await sale.open(quota=5)
    with pytest.raises(NotLoaded):
        await sale.ledger.sync(replace(sale.snapshot, epoch=2, version=9, capacity=1))
    assert await sale.three() == (5, 0, 0)
    with pytest.raises(NotLoaded):
        await HotSale(sale.ledger.redis).sync()


async def test_only_a_newer_epoch_replaces_what_is_there(sale: HotSale) -> None:
    await sale.open(quota=5)
    await sale.granted("ana")
    loaded, numbers = await sale.ledger.load(replace(sale.snapshot, version=50, capacity=9))
    assert (loaded, numbers.quota, numbers.held) == (False, 5, 1)
    loaded, numbers = await sale.ledger.load(replace(sale.snapshot, epoch=3, capacity=9), last_seq=40)
    assert (loaded, numbers.quota, numbers.held, numbers.epoch) == (True, 9, 0, 3)
    assert not (await sale.ledger.load(replace(sale.snapshot, epoch=2, version=60)))[0]
    assert (await sale.tap("bo")).seq == 41


async def test_a_load_carries_living_holds_over_and_revives_no_ended_one(sale: HotSale) -> None:
    await sale.open(quota=3)
    living = await sale.tap("ana", request="r1")
    ended = await sale.tap("bo", request="r1")
    records = [
        SoftHold(
            **{name: getattr(one, name) for name in SoftHold.__dataclass_fields__}  # what a log remembers
        )
        for one in (living, ended)
    ]
    await sale.ledger.drop(*sale.key)
    sale.snapshot = replace(sale.snapshot, epoch=2)
    await sale.ledger.load(sale.snapshot, soft_holds=records[:1], ended_holds=records[1:], last_seq=2)
    assert await sale.three() == (2, 1, 0)
    assert await sale.tap("ana", request="r1") == living
    assert await sale.tap("bo", request="r1") == ended
    assert (await sale.tap("ana")).reason == "limit_reached"
    assert (await sale.tap("bo")).decision == "granted"
    assert await sale.ledger.buyer_holds(*sale.key, "ana") == records[:1]
    assert await sale.release(living)
    assert await sale.three() == (2, 1, 0)


async def test_a_buyers_own_holds_are_found(sale: HotSale) -> None:
    await sale.open(quota=9, limit_per_buyer=5)
    first, second = await sale.granted("ana", 2), await sale.granted("ana")
    await sale.granted("bo")
    found = await sale.ledger.buyer_holds(*sale.key, "ana")
    assert {(one.hold_id, one.quantity) for one in found} == {(first.hold_id, 2), (second.hold_id, 1)}
    await sale.release(first)
    await sale.bind(second)
    assert await sale.ledger.buyer_holds(*sale.key, "ana") == []
    assert await sale.ledger.buyer_holds(*sale.key, "nobody") == []


async def test_units_taken_away_under_soft_holds_show_as_none_available_never_below(sale: HotSale) -> None:
    await sale.open(quota=3)
    await sale.granted("ana")
    await sale.granted("bo")
    numbers = await sale.sync(capacity=1)
    assert (numbers.available, numbers.held, numbers.sold, numbers.quota) == (0, 1, 0, 1)
    assert (await sale.tap("cai")).reason == "all_held"


async def test_a_log_nobody_persists_refuses_taps_instead_of_filling_memory(
    sale: HotSale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hot_ledger, "MAX_UNPERSISTED", 3)
    await sale.open(quota=9)
    for buyer in ("ana", "bo", "cai"):
        await sale.granted(buyer)
    with pytest.raises(Unavailable) as refused:
        await sale.tap("dan")
    assert refused.value.code == "overloaded"
    entries, record_ids = await sale.ledger.read_log(*sale.key)
    await sale.ledger.trim_log(*sale.key, record_ids, entries[-1].seq)
    assert (await sale.tap("dan")).decision == "granted"


async def test_a_fenced_epoch_decides_nothing_and_keeps_its_log(sale: HotSale) -> None:
    await sale.open(quota=9)
    await sale.granted("ana")
    await sale.ledger.fence(*sale.key, 0)
    assert (await sale.tap("bo")).decision == "granted"
    await sale.ledger.fence(*sale.key, 1)
    assert (await sale.tap("cai")).reason == "not_loaded"
    entries, record_ids = await sale.ledger.read_log(*sale.key)
    assert [entry.buyer_id for entry in entries] == ["ana", "bo"]
    await sale.ledger.trim_log(*sale.key, record_ids, entries[-1].seq)
    assert await sale.ledger.numbers(*sale.key) is None  # trimming does not make half a sale of it
    assert await sale.ledger.log_is_empty(*sale.key)


async def test_dropping_a_sale_leaves_nothing_in_redis(sale: HotSale) -> None:
    await sale.open(quota=1)
    await sale.granted("ana")
    await sale.tap("bo", wait=True)
    sale.pass_ms(HOLD_MS + GRACE_MS + 500)
    await sale.ledger.sweep(*sale.key)
    assert len(await sale.ledger.redis.keys(f"{{room:{sale.room_id}}}*")) > 5
    await sale.ledger.drop(*sale.key)
    assert await sale.ledger.redis.keys(f"*{sale.sale_id}*") == []


async def test_every_key_carries_the_rooms_hash_tag(sale: HotSale) -> None:
    await sale.open(quota=1)
    await sale.granted("ana")
    for key in await sale.ledger.redis.keys(f"*{sale.sale_id}*"):
        assert f"{{room:{sale.room_id}}}:" in str(key)


async def test_a_silent_redis_is_unavailable_and_is_asked_once() -> None:
    client = connect_redis(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(Unavailable) as refused:
        await HotLedger(client).decide("rm_1", "sl_1", [HoldRequest("r", "ana", 1)])
    assert refused.value.code == "redis_unavailable"
    assert client.connection_pool.connection_kwargs["retry"]._retries == 0
    await client.aclose()


def test_a_snapshot_never_shows_its_secret(redis_client: Redis) -> None:
    assert "secret" not in repr(HotSale(redis_client).snapshot)


async def test_soft_holds_gain_a_payment_outage_once_and_none_ends_in_it(sale: HotSale) -> None:
    await sale.open(quota=2)
    hold = await sale.granted("ana")
    await sale.sync(state="paused", state_reason="payment_outage")
    sale.pass_ms(HOLD_MS + GRACE_MS + 60_000)
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (1, 1, 0)  # nobody can pay, so nobody's time ends
    for _ in range(2):
        await sale.ledger.lengthen(*sale.key, HOLD_MS, 1_000)
    assert hold.expires_at_ms is not None
    (told,) = await sale.notices()
    assert (told.kind, told.buyer_id) == ("extended", "ana")
    assert told.decision.expires_at_ms == hold.expires_at_ms + HOLD_MS
    (mine,) = await sale.ledger.buyer_holds(*sale.key, "ana")
    assert mine.expires_at_ms == hold.expires_at_ms + HOLD_MS
    await sale.sync(state="open", state_reason=None)
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (1, 1, 0)
    sale.pass_ms(HOLD_MS)
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (2, 0, 0)
