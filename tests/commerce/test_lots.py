"""Fair windows and draws: what arrives in the same moment is put in an order that nobody could choose and everybody can check."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from redis.asyncio import Redis

from commerce.hot_ledger import Decision, HoldRequest, HotLedger, connect_redis
from commerce.lots import lot, public_buyer, salt_of, seed_of
from tests.commerce.hot_sale import HOLD_MS, HotSale

WINDOW_MS = 60_000
BUYERS = [f"b{n}" for n in range(40)]


def drawn_order(secret: str, buyers: list[str]) -> list[str]:
    """The order by the published recipe, computed here from scratch."""

    def sha256(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    seed, salt = sha256(f"flashroom seed {secret}"), sha256(f"flashroom buyers {secret}")
    return sorted(buyers, key=lambda buyer: sha256(f"{seed} {sha256(f'{salt} {buyer}')[:32]}"))


async def open_window(client: Redis) -> HotSale:
    """An open sale of three units whose first minute is drawn."""
    made = HotSale(client)
    await made.open(quota=3, rule="fair_window", window_ms=WINDOW_MS)
    return made


@pytest.fixture
async def sale(redis_client: Redis) -> HotSale:
    return await open_window(redis_client)


async def tap_all(sale: HotSale, buyers: list[str]) -> list[Decision]:
    requests = [HoldRequest("r", buyer, 1) for buyer in buyers]
    return (await sale.ledger.decide(*sale.key, requests))[0]


async def test_within_the_window_nobody_is_first(sale: HotSale) -> None:
    answers = await tap_all(sale, BUYERS)
    assert {(one.decision, one.reason) for one in answers} == {("pending", "window")}
    assert {one.decided_at_ms for one in answers} == {sale.started_ms - 1_000 + WINDOW_MS}
    assert await sale.three() == (3, 0, 0)
    assert (await sale.numbers()).undrawn == len(BUYERS)
    assert await tap_all(sale, BUYERS) == answers
    assert (await sale.numbers()).undrawn == len(BUYERS)


async def test_the_lots_decide_by_the_published_recipe_whatever_the_order_of_arrival(
    redis_client: Redis,
) -> None:
    expected = drawn_order("secret", BUYERS)
    for arrived in (BUYERS, BUYERS[::-1]):
        sale = HotSale(redis_client)
        await sale.open(quota=3, rule="fair_window", window_ms=WINDOW_MS)
        await tap_all(sale, arrived)
        sale.pass_ms(WINDOW_MS)
        answers = dict(zip(arrived, await tap_all(sale, arrived), strict=True))
        assert [buyer for buyer in expected if answers[buyer].decision == "granted"] == expected[:3]
        assert [answers[buyer].place for buyer in expected[3:]] == list(range(4, len(BUYERS) + 1))
        assert {answers[buyer].reason for buyer in expected[3:]} == {"window_lost"}
        entries, _ = await sale.ledger.read_log(*sale.key)
        assert [one.buyer_id for one in entries] == expected
        assert all(one.arrived_at_ms < sale.started_ms + WINDOW_MS <= one.at_ms for one in entries)
        assert all(one.available + one.held + one.sold == 3 for one in entries)


async def test_who_comes_after_the_window_comes_after_the_lots(sale: HotSale) -> None:
    await tap_all(sale, ["ana", "bo"])
    sale.pass_ms(WINDOW_MS)
    answers = await tap_all(sale, ["late", "later"])
    assert [(one.decision, one.seq) for one in answers] == [("granted", 3), ("refused", 4)]
    assert await sale.three() == (0, 3, 0)


async def test_two_processes_that_draw_at_once_draw_once(sale: HotSale, redis_url: str) -> None:
    await tap_all(sale, BUYERS)
    clients = [connect_redis(redis_url) for _ in range(5)]
    ledgers = [HotLedger(client, clock_offset_ms=WINDOW_MS) for client in clients]
    await asyncio.gather(*(ledger.sweep(*sale.key) for ledger in ledgers))
    sale.pass_ms(WINDOW_MS)
    numbers = await sale.numbers()
    assert (numbers.seq, numbers.held, numbers.undrawn) == (len(BUYERS), 3, 0)
    for client in clients:
        await client.aclose()


async def test_tapping_often_wins_nothing(sale: HotSale) -> None:
    answers = await tap_all(sale, ["ana"])
    again = (await sale.ledger.decide(*sale.key, [HoldRequest("other", "ana", 1)]))[0]
    assert [one.reason for one in (*answers, *again)] == ["window", "limit_reached"]


async def test_all_of_a_buyers_requests_share_one_lot(redis_client: Redis) -> None:
    sale = HotSale(redis_client)
    await sale.open(quota=2, limit_per_buyer=2, rule="fair_window", window_ms=WINDOW_MS)
    requests = [HoldRequest(f"r{n}", buyer, 1) for n in range(2) for buyer in ("ana", "bo")]
    await sale.ledger.decide(*sale.key, requests)
    sale.pass_ms(WINDOW_MS)
    await sale.ledger.sweep(*sale.key)
    entries, _ = await sale.ledger.read_log(*sale.key)
    first, second = drawn_order("secret", ["ana", "bo"])
    assert [(one.buyer_id, one.decision) for one in entries] == [
        (first, "granted"),
        (first, "granted"),
        (second, "refused"),
        (second, "refused"),
    ]


async def test_a_paused_window_is_drawn_after_the_reopening(sale: HotSale) -> None:
    await tap_all(sale, ["ana"])
    await sale.sync(state="paused")
    sale.pass_ms(WINDOW_MS)
    await sale.ledger.sweep(*sale.key)
    assert (await sale.numbers()).undrawn == 1
    await sale.sync(state="open")
    await sale.ledger.sweep(*sale.key)
    assert await sale.three() == (2, 1, 0)


async def test_a_draw_takes_entries_until_closing_and_tells_everyone(redis_client: Redis) -> None:
    sale = HotSale(redis_client)
    closes_at_ms = sale.started_ms + 30_000
    await sale.open(quota=2, rule="draw", closes_at_ms=closes_at_ms)
    await tap_all(sale, BUYERS[:5])
    assert (await sale.numbers()).available == 2
    sale.pass_ms(30_500)
    await sale.ledger.sweep(*sale.key)
    told = await sale.notices()
    assert sorted(one.buyer_id for one in told) == BUYERS[:5]
    expected = drawn_order("secret", BUYERS[:5])
    assert [one.buyer_id for one in told if one.kind == "granted"] == expected[:2]
    # A draw happens after closing: its holds end when a hold of the last moment would.
    assert {one.decision.expires_at_ms for one in told if one.kind == "granted"} == {closes_at_ms + HOLD_MS}
    assert (await sale.tap("late")).reason == "ended"


async def test_a_drawn_sale_serves_its_wait_list_like_any_other(sale: HotSale) -> None:
    await tap_all(sale, BUYERS)
    sale.pass_ms(WINDOW_MS)
    assert (await sale.tap("eve", wait=True)).place == 1
    holds = await sale.ledger.oldest_soft_holds(*sale.key, 1)
    winner = next(one for one in await sale.notices() if one.decision.hold_id == holds[0])
    await sale.release(winner.decision)
    assert [(one.kind, one.buyer_id) for one in await sale.notices()] == [("promoted", "eve")]


def test_seed_and_salt_do_not_give_each_other_away() -> None:
    assert seed_of("secret") != salt_of("secret")
    assert public_buyer(salt_of("secret"), "ana") != public_buyer(salt_of("other"), "ana")
    assert lot("seed", "a") != lot("seed", "b") != lot("other", "b")
