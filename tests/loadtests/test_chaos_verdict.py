"""The judge of chaos finds what is wrong: a verdict that always says "sound" would prove nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from redis.asyncio import Redis
from sqlalchemy import text

from commerce import invariants
from commerce.database import Database
from commerce.hot_ledger import HotLedger
from loadtests import chaos_verdict
from tests.commerce.conftest import database, database_url, postgres, redis_client, sqlite_file
from tests.commerce.world import World

__all__ = ["database", "database_url", "postgres", "redis_client", "sqlite_file"]


@dataclass
class Told:
    orders: dict[str, str] = field(default_factory=dict)
    two_orders: int = 0
    paid: set[str] = field(default_factory=set)
    unanswered: list[str] = field(default_factory=list)


async def world_with_a_paid_order(database: Database, redis: Redis) -> tuple[World, str]:
    world = World(database, HotLedger(redis))
    await world.stock_shelf()
    order = await world.placed_order(await world.open_sale())
    await world.pay(order)
    return world, order.order_id


async def test_a_sound_shop_is_found_sound(database: Database, redis_client: Redis) -> None:
    world, order_id = await world_with_a_paid_order(database, redis_client)
    before = await chaos_verdict.units(database)
    assert before[world.variant_id] == 100
    verdict = await chaos_verdict.judge(database, Told(paid={order_id}), before, [])
    assert verdict.is_sound, verdict.findings
    assert set(verdict.counts().values()) == {0}
    assert await chaos_verdict.what_is_open(database)  # the sale still runs


async def test_each_kind_of_wrong_is_counted_where_it_belongs(
    database: Database, redis_client: Redis
) -> None:
    _, order_id = await world_with_a_paid_order(database, redis_client)
    before = await chaos_verdict.units(database)
    async with database.begin() as c:
        await c.execute(text("UPDATE orders SET state = 'expired'"))
        await c.execute(text("UPDATE variant SET on_hand = on_hand + 1"))
        await c.execute(text("UPDATE buyer_quota SET used = used - 1"))
        await c.execute(
            text("UPDATE ledger_entry SET amount_minor = amount_minor + 1 WHERE account = 'receivable'")
        )
    told = Told(paid={order_id}, orders={"hd_1": "or_gone"}, unanswered=["hold: offline"], two_orders=1)
    counts = (await chaos_verdict.judge(database, told, before, ["1 holds: hd_1"])).counts()
    assert {name for name, count in counts.items() if count} == {
        "double_sold",
        "lost_paid",
        "leaked",
        "unanswered",
        "unbalanced",
    }
    assert counts["lost_paid"] >= 3  # paid and expired, given and gone, state against hold


def test_every_invariant_counts_somewhere() -> None:
    assert set(chaos_verdict.COUNT_OF) == {invariant.name for invariant in invariants.INVARIANTS}
    assert set(chaos_verdict.COUNT_OF.values()) <= set(chaos_verdict.COUNTS)
