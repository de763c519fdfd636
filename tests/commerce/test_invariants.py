"""Each invariant finds the fault that is planted for it, and a busy, sound shop breaks none."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from commerce import invariants
from tests.commerce.world import DECLINED_CARD, World

PLANTED = {
    "never_oversold": "UPDATE stock SET sold = capacity + 1",
    "stock_equals_holds": "UPDATE stock SET reserved = reserved + 1 WHERE reserved + sold < capacity",
    "capacity_equals_movements": "UPDATE stock SET capacity = capacity + 1",
    "settled_is_sold": "UPDATE sale SET state = 'settled'",
    "one_order_per_hold": "UPDATE orders SET quantity = 2, total_minor = unit_price_minor * 2 WHERE state = 'paid'",
    "one_live_attempt": """INSERT INTO payment_attempt (attempt_id, order_id, number, request_key, provider, amount_minor, currency,
        state, captured_minor, refunded_minor, created_at_ms, changed_at_ms, next_poll_at_ms, polls)
        SELECT 'pa_x', order_id, 9, 'k', provider, 1, 'CNY', 'unknown', 0, 0, 0, 0, 0, 0
        FROM payment_attempt WHERE state = 'pending'""",
    "quota_equals_holds": "UPDATE buyer_quota SET used = 0",
    "order_matches_hold": "UPDATE hold SET state = 'released' WHERE state = 'sold'",
    "paid_means_captured": "UPDATE payment_attempt SET captured_minor = 0",
    "refunds_add_up": "UPDATE payment_attempt SET refunded_minor = 1 WHERE captured_minor > 0",
    "ledger_balances": "UPDATE ledger_entry SET amount_minor = amount_minor + 1 WHERE account = 'sales'",
    "ledger_matches_payments": "DELETE FROM ledger_entry WHERE account = 'provider:sandbox'",
    "receivable_is_placed": "UPDATE orders SET state = 'cancelled' WHERE state = 'placed'",
    "nothing_is_stuck": "UPDATE outbox SET sent_at_ms = NULL, created_at_ms = 0",
    "nothing_is_quarantined": "UPDATE payment_attempt SET state = 'quarantined'",
}


async def busy_shop(world: World) -> None:
    """Placed, paid, declined and expired orders in one sale."""
    sale = await world.open_sale(quota=5, limit_per_buyer=1)
    late = await world.placed_order(sale, "gu_late")
    world.clock.now_ms = late.deadline_ms
    await world.cashier.let_go()
    await world.pay(await world.placed_order(sale, "gu_ana"))
    await world.pay(await world.placed_order(sale, "gu_bo"), DECLINED_CARD)


async def test_a_busy_shop_breaks_no_invariant(world: World) -> None:
    await busy_shop(world)
    await world.assert_sound()


def test_every_invariant_has_a_planted_fault() -> None:
    assert set(PLANTED) == {invariant.name for invariant in invariants.INVARIANTS}


@pytest.mark.alters_tables
@pytest.mark.parametrize("name", sorted(PLANTED))
async def test_a_planted_fault_is_found(world: World, name: str) -> None:
    await busy_shop(world)
    await world.assert_sound()
    async with world.database.begin() as c:
        if name == "one_live_attempt":
            await c.execute(text("DROP INDEX uq_payment_attempt_live"))
            await c.execute(text("UPDATE payment_attempt SET state = 'pending' WHERE state = 'declined'"))
        if name == "never_oversold" and world.database.dialect == "postgresql":
            await c.execute(text("ALTER TABLE stock DROP CONSTRAINT ck_stock_never_oversold"))
        if world.database.dialect == "sqlite":
            await c.execute(text("PRAGMA ignore_check_constraints=ON"))
        if name == "paid_means_captured":
            await c.execute(text("UPDATE payment_attempt SET refunded_minor = 0"))
        await c.execute(text(PLANTED[name]))
    async with world.database.read() as c:
        found = await invariants.check(c, world.clock.now_ms)
    assert name in {violation.name for violation in found}
    assert all(violation.row for violation in found)
