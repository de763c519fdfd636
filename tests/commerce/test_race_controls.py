"""Positive controls: each race test of commerce fails when what guards its race is switched off.

On PostgreSQL, because SQLite's single writer hides most races. A guard is often one of several: then all of them are taken out, and
reads are slowed down so that everybody has read before anybody writes. (The hot ledger's races are in `test_redis_mutations`.)
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import Column, Update, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import visitors

from commerce import allocation_log, idempotency, lease, orders, sale_rows, stock, upsert
from commerce.after_sales import AfterSales
from commerce.database import create_database
from commerce.errors import CommerceError
from commerce.hot_ledger import HotLedger
from commerce.idempotency import Begun, Replay
from commerce.payments import attempts
from commerce.payments.provider import NewRefund
from commerce.payments.sandbox import Sandbox
from commerce.sale_rules import OCCUPYING
from commerce.schema import buyer_quota
from commerce.schema import hold as hold_table
from commerce.schema import idempotency as idempotency_table
from commerce.schema import stock as stock_table
from tests.commerce import (
    test_after_sales,
    test_allocation_log,
    test_cashier,
    test_checkout,
    test_group_commit,
    test_idempotency,
    test_letting_go,
    test_sales,
    test_sandbox,
    test_stock,
)
from tests.commerce.databases import PostgresServer
from tests.commerce.merchant_webhooks import test_deliveries
from tests.commerce.world import World, new_id

READING_S = 0.15
"""Long enough for all that run at once to have read, on a busy machine too."""
COMPARED = frozenset({"state", "refunded_minor", "extended", "begun_at_ms", "status"})


class Blind(Update):
    """An UPDATE that looks for its keys only: a compare-and-set that compares nothing."""

    inherit_cache = True

    def where(self, *criteria: Any) -> Blind:
        kept = [one for one in criteria if not COMPARED & _columns(one)]
        return super().where(*kept)


def _columns(criterion: Any) -> set[str]:
    return {part.name for part in visitors.iterate(criterion) if isinstance(part, Column)}


def compare_nothing(patch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        patch.setattr(f"commerce.{module}.update", Blind)


def lock_no_order(patch: pytest.MonkeyPatch) -> None:
    async def lock_order(c: Any, order_id: str) -> Any:
        return (await c.execute(select(hold_table).where(hold_table.c.order_id == order_id))).one()

    patch.setattr(attempts, "lock_order", lock_order)


def lock_no_order_and_wait(patch: pytest.MonkeyPatch) -> None:
    lock_no_order(patch)
    slowly(attempts, "lock_order")(patch)


def slowly(module: Any, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """What this coroutine function of the module has read is old by the time it is used."""

    def guard(patch: pytest.MonkeyPatch) -> None:
        real = getattr(module, name)

        async def read(*given: Any) -> Any:
            found = await real(*given)
            await asyncio.sleep(READING_S)
            return found

        patch.setattr(module, name, read)

    return guard


def believe_every_write(patch: pytest.MonkeyPatch) -> None:
    """ON CONFLICT DO NOTHING is taken for a write of one's own."""
    real = upsert.wrote

    async def wrote(c: Any, statement: Any) -> bool:
        await real(c, statement)
        return True

    patch.setattr(upsert, "wrote", wrote)


def reserve_after_reading(patch: pytest.MonkeyPatch) -> None:
    async def reserve(c: Any, sale_id: str, units: int) -> bool:
        if await stock.free_units(c, sale_id) < units:
            return False
        await asyncio.sleep(READING_S)
        more = {"reserved": stock_table.c.reserved + units}
        return await stock._change(c, sale_id, stock_table.c.version > 0, **more)

    patch.setattr(stock, "reserve", reserve)


def reserve_without_looking(patch: pytest.MonkeyPatch) -> None:
    async def reserve(c: Any, sale_id: str, units: int) -> bool:
        more = {"reserved": stock_table.c.reserved + units}
        return await stock._change(c, sale_id, stock_table.c.version > 0, **more)

    patch.setattr(stock, "reserve", reserve)


def count_quota_after_reading(patch: pytest.MonkeyPatch) -> None:
    async def use_quota(c: Any, sale_id: str, buyer_id: str, units: int, limit: int) -> int | None:
        used = await stock.used_quota(c, sale_id, buyer_id)
        if used + units > limit:
            return None
        await asyncio.sleep(READING_S)
        mine = {"sale_id": sale_id, "buyer_id": buyer_id}
        row = upsert.insert_into(c, buyer_quota).values(**mine, used=used + units, limit_units=limit)
        keys = ["sale_id", "buyer_id"]
        await c.execute(row.on_conflict_do_update(index_elements=keys, set_={"used": used + units}))
        return used + units

    patch.setattr(stock, "use_quota", use_quota)


def count_no_contacts(patch: pytest.MonkeyPatch) -> None:
    async def contacts_over_limit(*_: Any) -> set[str]:
        return set()

    patch.setattr(stock, "contacts_over_limit", contacts_over_limit)


def any_order_may_expire_again(patch: pytest.MonkeyPatch) -> None:
    real = orders.next_state

    def next_state(state: str, action: str) -> str:
        return "expired" if (state, action) == ("expired", "expire") else real(state, action)

    patch.setattr(orders, "next_state", next_state)


def release_under_living_attempts(patch: pytest.MonkeyPatch) -> None:
    real = attempts.list_for_order

    async def list_for_order(c: Any, order_id: str) -> Any:
        return [one for one in await real(c, order_id) if one.state not in attempts.LIVE]

    patch.setattr("commerce.payments.letting_go.attempts", _Attempts(list_for_order))


def settle_slowly(patch: pytest.MonkeyPatch) -> None:
    """Between the look at the hold and what is made of it, everything else may happen."""
    real = attempts.change

    async def change(c: Any, attempt_id: str, outcome: str, now_ms: int, **values: Any) -> bool:
        if outcome == "succeeded":
            await asyncio.sleep(4 * READING_S)
        return await real(c, attempt_id, outcome, now_ms, **values)

    patch.setattr(attempts, "change", change)


class _Attempts:
    """The module `attempts` as `letting_go` sees it, with one function exchanged."""

    def __init__(self, list_for_order: Callable[..., Awaitable[Any]]) -> None:
        self.list_for_order = list_for_order

    def __getattr__(self, name: str) -> Any:
        return getattr(attempts, name)


def let_orders_have_many_attempts(patch: pytest.MonkeyPatch) -> None:
    real, real_add = attempts.list_for_order, attempts.add
    numbers = itertools.count(100)

    async def add(c: Any, **row: Any) -> Any:
        return await real_add(c, **(row | {"number": next(numbers)}))

    async def all_but_live(c: Any, order_id: str) -> Any:
        found = await real(c, order_id)
        return [replace(one, state="declined") if one.state in attempts.LIVE else one for one in found]

    patch.setattr(attempts, "list_for_order", all_but_live)
    patch.setattr(attempts, "add", add)


def claim_after_reading(patch: pytest.MonkeyPatch) -> None:
    """The key is looked for, and written when it was not there."""

    async def begin(c: Any, principal: str, key: str, call: str, now_ms: int) -> Begun | Replay:
        mine = (idempotency_table.c.principal == principal, idempotency_table.c.key == key)
        found = (await c.execute(select(idempotency_table).where(*mine))).first()
        await asyncio.sleep(READING_S)
        if found is not None:
            raise AssertionError("came second")
        row = {"principal": principal, "key": key, "fingerprint": call, "begun_at_ms": now_ms}
        await c.execute(upsert.insert_into(c, idempotency_table).values(row).on_conflict_do_nothing())
        return Begun()

    patch.setattr(idempotency, "begin", begin)


def lease_to_everybody(patch: pytest.MonkeyPatch) -> None:
    async def acquire(*_: Any) -> bool:
        return True

    patch.setattr(lease, "acquire", acquire)


def name_every_try_of_a_refund_anew(patch: pytest.MonkeyPatch) -> None:
    real = Sandbox.refund

    async def refund(self: Sandbox, asked: NewRefund) -> Any:
        return await real(self, replace(asked, refund_id=uuid.uuid4().hex))

    patch.setattr(Sandbox, "refund", refund)


def bring_no_unit_to_the_shelf(patch: pytest.MonkeyPatch) -> None:
    """A returned unit stays in its sale without a look at whether that has settled meanwhile."""
    patch.setattr("commerce.after_sales.OCCUPYING", (*OCCUPYING, "settled", "published"))


@dataclass(frozen=True)
class Control:
    """`race` fails without `guards`, with what `sql` takes away gone too. `tries`: how often the race may be run to be lost once."""

    race: Callable[..., Awaitable[None]]
    guards: tuple[Callable[[pytest.MonkeyPatch], None], ...] = ()
    blind: tuple[str, ...] = ()
    sql: tuple[str, ...] = ()
    more: tuple[Any, ...] = ("world",)
    tries: int = 5


PAYING = ("payments.attempts", "payments.settlement", "payments.letting_go")
CONTROLS = (
    Control(
        test_checkout.test_the_same_hold_bound_many_times_at_once_is_one_order,
        (slowly(orders, "find_by_hold"),),
        sql=(
            "ALTER TABLE hold DROP CONSTRAINT pk_hold CASCADE",
            "ALTER TABLE hold DROP CONSTRAINT uq_hold_order_id CASCADE",
        ),
    ),
    Control(
        test_checkout.test_many_buyers_race_for_the_last_unit_and_one_gets_it,
        (reserve_after_reading,),
        sql=("ALTER TABLE stock DROP CONSTRAINT ck_stock_never_oversold",),
    ),
    Control(
        test_checkout.test_the_limit_per_buyer_counts_all_their_orders_also_at_once,
        (count_quota_after_reading, count_no_contacts),
    ),
    Control(
        test_checkout.test_one_person_under_many_names_gets_no_more_than_the_limit,
        (count_no_contacts,),
        more=("world", False),
    ),
    Control(
        test_group_commit.test_groups_of_several_processes_race_and_nothing_is_oversold,
        (reserve_without_looking,),
        sql=("ALTER TABLE stock DROP CONSTRAINT ck_stock_never_oversold",),
        more=("world", 3),
    ),
    Control(test_stock.test_quota_is_counted_exactly_under_a_race, (count_quota_after_reading,)),
    Control(
        test_cashier.test_two_cards_at_once_charge_once,
        (lock_no_order_and_wait, let_orders_have_many_attempts),
        sql=("DROP INDEX uq_payment_attempt_live",),
    ),
    Control(
        test_cashier.test_settling_many_times_at_once_sells_once, (lock_no_order_and_wait,), blind=PAYING
    ),
    Control(
        test_letting_go.test_two_workers_at_once_release_once,
        (lock_no_order_and_wait, any_order_may_expire_again),
        blind=PAYING,
    ),
    Control(
        test_letting_go.test_paying_races_with_letting_go_and_the_order_ends_one_way,
        (lock_no_order, release_under_living_attempts, settle_slowly),
        blind=PAYING,
    ),
    Control(
        test_letting_go.test_cancelling_while_the_money_comes_ends_as_paid_or_cancelled_never_both,
        (lock_no_order, release_under_living_attempts, settle_slowly),
        blind=PAYING,
    ),
    Control(
        test_after_sales.test_the_same_key_refunds_once_however_often_and_fast,
        (lock_no_order_and_wait,),
        blind=("after_sales", "payments.refunds"),
        more=("world", "after_sales"),
    ),
    Control(
        test_after_sales.test_refunding_races_with_settling_and_no_unit_is_lost,
        (bring_no_unit_to_the_shelf,),
        more=("world", "after_sales"),
        tries=20,
    ),
    Control(
        test_allocation_log.test_two_workers_at_once_write_each_line_once,
        (slowly(allocation_log, "_known"),),
        sql=("ALTER TABLE allocation_entry DROP CONSTRAINT pk_allocation_entry",),
    ),
    Control(
        test_idempotency.test_of_many_first_calls_at_once_one_begins,
        (claim_after_reading,),
        more=("database",),
    ),
    Control(
        test_idempotency.test_a_call_that_died_is_taken_over_once_after_five_seconds,
        blind=("idempotency",),
        more=("database",),
    ),
    Control(test_sandbox.test_calls_that_come_twice_at_once_count_once, (name_every_try_of_a_refund_anew,)),
    Control(
        test_deliveries.test_two_senders_send_each_message_once, (lease_to_everybody,), more=("database",)
    ),
    Control(
        test_sales.test_sales_of_one_variant_never_overlap_however_close_they_are_armed,
        (slowly(sale_rows, "is_occupied"),),
        sql=("DROP INDEX uq_sale_occupying",),
    ),
    Control(
        test_sales.test_stock_is_added_once_per_movement_and_only_what_is_on_the_shelf, (believe_every_write,)
    ),
    Control(
        test_sales.test_a_sale_is_extended_once_and_only_if_its_terms_said_so,
        (slowly(sale_rows, "get"),),
        blind=("sale_rows",),
    ),
    Control(test_sales.test_fire_twice_is_one_countdown, (slowly(sale_rows, "get"),), blind=("sale_rows",)),
    Control(
        test_sales.test_ending_early_honours_holds_and_returns_the_rest_to_the_shelf_once,
        (slowly(sale_rows, "get"),),
        blind=("sale_rows",),
    ),
)


@pytest.fixture
async def world(postgres: PostgresServer, redis_client: Redis) -> AsyncIterator[World]:
    name = postgres.take_database()
    database = create_database(postgres.url(name))
    made = World(database, HotLedger(redis_client))
    await made.stock_shelf()
    yield made
    await database.aclose()
    postgres.give_back(name, altered=True)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.race.__name__)
async def test_without_its_guards_the_race_is_lost(
    control: Control, monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    for statement in control.sql:
        async with world.database.begin() as c:
            await c.execute(text(statement))
    for guard in control.guards:
        guard(monkeypatch)
    compare_nothing(monkeypatch, *control.blind)
    for _ in range(control.tries):
        given = {
            "world": world,
            "database": world.database,
            "after_sales": AfterSales(world.database, world.hot, world.clock, new_id),
        }
        try:
            await control.race(
                *(given.get(one, one) if isinstance(one, str) else one for one in control.more)
            )
        except (AssertionError, pytest.fail.Exception, CommerceError, IntegrityError):
            return
        world = World(world.database, world.hot)
        await world.stock_shelf()
    pytest.fail(f"{control.race.__name__} lived without its guards")
