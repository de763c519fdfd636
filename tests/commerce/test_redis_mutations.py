"""Every guard of the hot ledger and of what stands around it has a test that dies without it.

Each mutant takes one guard out and runs the test that is about it, which must fail. Together with `test_mutations` these are the
variants of research/commerce.md 6.7; the positive controls of the hot ledger's races are among them, those of SQL's in
`test_race_controls`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from commerce import allocation_log, bind_group, bind_rows, hot_ledger, reconciliation
from commerce.hot_ledger import HotLedger, connect_redis
from commerce.payments import attempts
from commerce.payments.cashier import Cashier
from tests.commerce import (
    test_checkout,
    test_hot_ledger,
    test_letting_go,
    test_lots,
    test_reconciliation,
    test_wait_list,
)
from tests.commerce.hot_sale import HotSale
from tests.commerce.world import World
from tests.services import running_redis

Test = Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class LuaMutant:
    """`guard` in the script becomes `without`; `dies` is the test that must notice, which wants `arguments`."""

    name: str
    script: str
    guard: str
    without: str
    dies: Test
    arguments: tuple[str, ...] = ("sale",)


def waiting_sale_test(test: Test) -> Test:
    """A test of the wait list, whose fixture is a sale with one unit that is held."""

    async def run(sale: HotSale) -> None:
        await sale.open(quota=1)
        await sale.granted("ana")
        await test(sale)

    return run


def window_sale_test(test: Test) -> Test:
    """A test of the lots, whose fixture is a sale with a fair window."""

    async def run(client: Redis, redis_url: str) -> None:
        await test(await test_lots.open_window(client), redis_url)

    return run


MUTANTS = (
    LuaMutant(
        "a missing key is an empty sale, not an unloaded one",
        "decide",
        "if not read_sale() then return {} end",
        "if not read_sale() then return {cmsgpack.pack({{decision = 'refused', reason = 'sold_out', epoch = 0, seq = 0}}), "
        "{0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0}} end",
        test_hot_ledger.test_a_sale_that_is_not_loaded_refuses_and_is_never_zero,
    ),
    LuaMutant(
        "stock is not looked at: the control of the race for units",
        "decide",
        "not in_window and available() < quantity",
        "not in_window and available() < quantity - 1",
        test_hot_ledger.test_many_connections_at_once_never_grant_more_than_there_is,
        ("sale", "redis_url"),
    ),
    LuaMutant(
        "soft holds are not counted",
        "ledger_common",
        "sale.capacity - sale.reserved - sale.sold - sale.soft)",
        "sale.capacity - sale.reserved - sale.sold)",
        test_hot_ledger.test_all_held_is_not_sold_out_and_says_when_a_hold_can_end,
    ),
    LuaMutant(
        "the limit is not looked at",
        "decide",
        "quantity > allowance(buyer_of(buyer_id))",
        "quantity > allowance(buyer_of(buyer_id)) + 9",
        test_hot_ledger.test_the_limit_counts_soft_and_bound_units,
    ),
    LuaMutant(
        "the same request is decided again",
        "decide",
        "elseif answered[i] then",
        "elseif false then",
        test_hot_ledger.test_the_same_request_gives_the_same_answer_and_no_second_log_entry,
    ),
    LuaMutant(
        "a hold is freed at its expiry, without grace",
        "ledger_common",
        "local GRACE_MS = 5000",
        "local GRACE_MS = 0",
        test_hot_ledger.test_a_hold_is_freed_only_after_its_grace_and_its_buyer_is_told,
    ),
    LuaMutant(
        "older snapshots are taken",
        "ledger_common",
        "if snapshot.version <= sale.version then return end",
        "",
        test_hot_ledger.test_older_and_repeated_snapshots_change_nothing,
    ),
    LuaMutant(
        "snapshots are added up instead of taken",
        "ledger_common",
        "sale[name] = value",
        "if name == 'reserved' or name == 'sold' then value = value + (sale[name] or 0) end sale[name] = value",
        test_hot_ledger.test_snapshots_in_any_order_end_in_the_newest,
    ),
    LuaMutant(
        "buyers' units are taken from older snapshots",
        "ledger_common",
        "if not known or tonumber(string.match(known, '^(%d+):')) <= version then",
        "if true then",
        test_hot_ledger.test_a_buyers_bound_units_are_absolute_and_versioned,
    ),
    LuaMutant(
        "a snapshot of another epoch is taken",
        "sync",
        "if snapshot.epoch ~= sale.epoch then return {} end",
        "",
        test_hot_ledger.test_a_snapshot_of_another_epoch_is_not_taken,
    ),
    LuaMutant(
        "an older epoch is loaded over a newer one",
        "load",
        "if read_sale() and sale.epoch >= snapshot.epoch then return {0, numbers()} end",
        "read_sale()",
        test_hot_ledger.test_only_a_newer_epoch_replaces_what_is_there,
    ),
    LuaMutant(
        "a fenced epoch goes on",
        "fence",
        "redis.call('DEL', META)",
        "",
        test_hot_ledger.test_a_fenced_epoch_decides_nothing_and_keeps_its_log,
    ),
    LuaMutant(
        "the client's call opens the sale, not the clock",
        "decide",
        "if now < sale.opens_at_ms then return 'not_open' end",
        "",
        test_hot_ledger.test_the_servers_clock_opens_and_closes_a_sale_whatever_the_worker_does,
    ),
    LuaMutant(
        "a bound hold stays a soft one too",
        "sync",
        "local hold = drop_hold(hold_id)",
        "local hold = nil",
        test_hot_ledger.test_a_bound_hold_is_counted_once_and_never_comes_back,
    ),
    LuaMutant(
        "the lots are drawn again: the control of the race of two drawers",
        "draw",
        "redis.call('DEL', WINDOW)",
        "",
        window_sale_test(test_lots.test_two_processes_that_draw_at_once_draw_once),
        ("redis_client", "redis_url"),
    ),
    LuaMutant(
        "who comes last is served first",
        "ledger_common",
        "redis.call('ZRANGE', QUEUE, 0, 0)[1]",
        "redis.call('ZREVRANGE', QUEUE, 0, 0)[1]",
        test_wait_list.test_places_are_served_in_order_without_exception,
        ("redis_client",),
    ),
    LuaMutant(
        "who taps at the moment of return comes before the line",
        "decide",
        "drop_expired(100)\npromote()",
        "drop_expired(100)",
        waiting_sale_test(test_wait_list.test_nobody_who_taps_at_the_moment_of_return_comes_before_the_head),
    ),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
async def test_a_script_without_its_guard_is_noticed(
    mutant: LuaMutant, monkeypatch: pytest.MonkeyPatch, redis_client: Redis, redis_url: str
) -> None:
    real = hot_ledger._source

    def source(name: str) -> str:
        text = real(name)
        if name != mutant.script:
            return text
        assert mutant.guard in text, "the script has changed: bring this mutant up to date"
        return text.replace(mutant.guard, mutant.without, 1)

    monkeypatch.setattr(hot_ledger, "_source", source)
    given = {"sale": HotSale(redis_client), "redis_client": redis_client, "redis_url": redis_url}
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await mutant.dies(*(given[name] for name in mutant.arguments))


def accepting_a_bind_after_expiry(patch: pytest.MonkeyPatch) -> Test:
    for module in (bind_group, "commerce.checkout"):
        name = module if isinstance(module, str) else module.__name__
        patch.setattr(
            f"{name}.refusal",
            lambda hold, sale, now_ms: bind_rows.refusal(hold, sale, hold.expires_at_ms - 1),
        )
    return test_checkout.test_a_forged_foreign_or_expired_hold_is_refused_and_nothing_changes


def releasing_before_the_provider_has_closed(patch: pytest.MonkeyPatch) -> Test:
    async def close(self: Cashier, attempt: Any) -> None:
        """Nobody is asked; the attempt is taken for dead."""

        async with self.database.begin() as c:
            await attempts.change(c, attempt.attempt_id, "closed", self.clock_ms())

    patch.setattr(Cashier, "_close", close)
    return test_letting_go.test_a_provider_that_says_paid_when_asked_to_close_ends_in_a_paid_order


def forgetting_that_redis_is_told_after_a_bind(patch: pytest.MonkeyPatch) -> Test:
    async def tell(*_: Any) -> None:
        return None

    patch.setattr("commerce.snapshots.tell_bound", tell)
    return test_checkout.test_redis_is_told_the_new_sums_after_a_bind


@pytest.mark.parametrize(
    "mutate",
    [
        accepting_a_bind_after_expiry,
        releasing_before_the_provider_has_closed,
        forgetting_that_redis_is_told_after_a_bind,
    ],
)
async def test_the_engine_without_a_guard_is_noticed(
    mutate: Callable[[pytest.MonkeyPatch], Test], monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    test = mutate(monkeypatch)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await test(world)


async def ignoring_another_incarnation(patch: pytest.MonkeyPatch, database: Any, tmp_path: Path) -> None:
    async def run_id(self: HotLedger, room_id: str) -> str:
        return "always the same"

    patch.setattr(HotLedger, "run_id", run_id)
    await test_reconciliation.test_a_restarted_redis_that_kept_its_data_is_rebuilt_all_the_same(
        database, tmp_path
    )


async def ignoring_numbers_that_go_back(patch: pytest.MonkeyPatch, database: Any, tmp_path: Path) -> None:
    async def last_decided(*_: Any) -> int:
        return 0

    patch.setattr(allocation_log, "last_decided", last_decided)
    with running_redis(tmp_path / "redis") as server:
        client = connect_redis(server.url)
        shop = World(database, HotLedger(client))
        await shop.stock_shelf()
        try:
            await test_reconciliation.test_numbers_that_go_back_mean_a_lost_tail_and_a_new_epoch(shop)
        finally:
            await client.aclose()


async def two_rebuilders_that_load_over_each_other(
    patch: pytest.MonkeyPatch, database: Any, tmp_path: Path
) -> None:
    real = hot_ledger._source
    guard = "if read_sale() and sale.epoch >= snapshot.epoch then"

    def source(name: str) -> str:
        assert name != "load" or guard in real(name)
        return real(name).replace(guard, "if read_sale() and sale.epoch > snapshot.epoch then")

    real_load, number = HotLedger.load, itertools.count()

    async def load(self: HotLedger, *given: Any, **named: Any) -> Any:
        await asyncio.sleep(next(number) * 0.004)  # one after another, with taps between
        return await real_load(self, *given, **named)

    patch.setattr(hot_ledger, "_source", source)
    patch.setattr(HotLedger, "load", load)
    with running_redis(tmp_path / "redis") as server:
        client = connect_redis(server.url)
        shop = World(database, HotLedger(client))
        await shop.stock_shelf()
        try:
            await test_reconciliation.test_two_rebuilders_at_once_leave_one_epoch_and_one_truth(shop)
        finally:
            await client.aclose()


async def a_rebuild_in_the_same_epoch(patch: pytest.MonkeyPatch, database: Any, tmp_path: Path) -> None:
    async def rebuild(*_: Any) -> Any:
        raise AssertionError("no new epoch")

    patch.setattr(reconciliation, "_rebuild", rebuild)
    with running_redis(tmp_path / "redis") as server:
        client = connect_redis(server.url)
        shop = World(database, HotLedger(client))
        await shop.stock_shelf()
        try:
            await test_reconciliation.test_redis_emptied_in_mid_sale_the_sale_goes_on_without_overselling(
                shop
            )
        finally:
            await client.aclose()


@pytest.mark.parametrize(
    "mutate",
    [
        ignoring_another_incarnation,
        ignoring_numbers_that_go_back,
        a_rebuild_in_the_same_epoch,
        two_rebuilders_that_load_over_each_other,
    ],
)
async def test_recovery_without_a_guard_is_noticed(
    mutate: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch, database: Any, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError):
        await mutate(monkeypatch, database, tmp_path)


async def test_a_client_that_repeats_commands_by_itself_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(redis_url: str) -> Redis:
        return Redis.from_url(redis_url, retry=Retry(NoBackoff(), 3))

    monkeypatch.setattr(test_hot_ledger, "connect_redis", connect)
    with pytest.raises(AssertionError):
        await test_hot_ledger.test_a_silent_redis_is_unavailable_and_is_asked_once()
