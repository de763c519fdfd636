"""What must always hold, as SQL that returns rows only when it is broken (research/commerce.md 6.6).

The worker runs them every minute in production and `flashroom doctor` on demand; they are not only test assertions. Each runs on
SQLite and PostgreSQL, and takes `:now_ms` where time matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import Quarantined

MAX_ROWS: Final = 20


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` gives the offending rows; `meaning` says in words what holds otherwise."""

    name: str
    meaning: str
    sql: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken row."""

    name: str
    meaning: str
    row: dict[str, Any]


_BY_STATE = "COALESCE(SUM(CASE WHEN h.state IN ({states}) THEN h.quantity ELSE 0 END), 0)"
_RESERVED = _BY_STATE.format(states="'bound', 'expiring'")
_SOLD = _BY_STATE.format(states="'sold'")
_STOCK_AND_HOLDS = f"""
    SELECT s.sale_id, s.capacity, s.reserved, s.sold, {_RESERVED} AS held_units, {_SOLD} AS sold_units
    FROM stock s LEFT JOIN hold h ON h.sale_id = s.sale_id
    GROUP BY s.sale_id, s.capacity, s.reserved, s.sold
    HAVING s.reserved <> {_RESERVED} OR s.sold <> {_SOLD}
"""
_CAPACITY = """
    SELECT s.sale_id, s.capacity, COALESCE(SUM(m.units), 0) AS moved
    FROM stock s LEFT JOIN stock_movement m ON m.sale_id = s.sale_id
    GROUP BY s.sale_id, s.capacity HAVING s.capacity <> COALESCE(SUM(m.units), 0)
"""

INVARIANTS: Final = (
    Invariant(
        "never_oversold",
        "reserved + sold never pass the capacity, and none is negative",
        "SELECT sale_id, capacity, reserved, sold FROM stock WHERE reserved + sold > capacity OR reserved < 0 OR sold < 0",
    ),
    Invariant(
        "stock_equals_holds", "reserved is the sum of unpaid holds, sold that of paid ones", _STOCK_AND_HOLDS
    ),
    Invariant(
        "capacity_equals_movements", "a sale's capacity is the sum of what was moved into it", _CAPACITY
    ),
    Invariant(
        "settled_is_sold",
        "a settled sale keeps only what it sold: the rest is back on the shelf",
        """SELECT sale_id, capacity, reserved, sold FROM stock JOIN sale USING (sale_id)
           WHERE state IN ('settled', 'published') AND (capacity <> sold OR reserved <> 0)""",
    ),
    Invariant(
        "one_order_per_hold",
        "every hold has exactly one order, and they agree on sale, buyer and units",
        """SELECT h.hold_id, o.order_id FROM hold h LEFT JOIN orders o ON o.hold_id = h.hold_id AND o.order_id = h.order_id
           WHERE o.order_id IS NULL OR o.sale_id <> h.sale_id OR o.buyer_id <> h.buyer_id OR o.quantity <> h.quantity
           UNION ALL SELECT o.hold_id, o.order_id FROM orders o LEFT JOIN hold h ON h.hold_id = o.hold_id
           WHERE h.hold_id IS NULL""",
    ),
    Invariant(
        "one_live_attempt",
        "at most one attempt per order may still become money",
        """SELECT order_id, COUNT(*) AS live FROM payment_attempt
           WHERE state IN ('created', 'pending', 'unknown') GROUP BY order_id HAVING COUNT(*) > 1""",
    ),
    Invariant(
        "quota_equals_holds",
        "a buyer's used quota is the sum of their living holds",
        """SELECT q.sale_id, q.buyer_id, q.used, COALESCE(SUM(h.quantity), 0) AS held FROM buyer_quota q
           LEFT JOIN hold h ON h.sale_id = q.sale_id AND h.buyer_id = q.buyer_id
                AND h.state IN ('bound', 'expiring', 'sold')
           GROUP BY q.sale_id, q.buyer_id, q.used, q.limit_units
           HAVING q.used <> COALESCE(SUM(h.quantity), 0) OR q.used > q.limit_units""",
    ),
    Invariant(
        "order_matches_hold",
        "placed means bound, paid means sold, ended unpaid means released",
        """SELECT o.order_id, o.state, h.state AS hold_state FROM orders o JOIN hold h ON h.hold_id = o.hold_id
           WHERE NOT ((o.state = 'placed' AND h.state IN ('bound', 'expiring'))
                   OR (o.state IN ('paid', 'fulfilled') AND h.state = 'sold')
                   OR (o.state = 'refunded' AND h.state IN ('sold', 'returned'))
                   OR (o.state IN ('cancelled', 'expired') AND h.state = 'released'))""",
    ),
    Invariant(
        "paid_means_captured",
        "a paid order has captured money for all of it, and captured money has a paid order or is being sent back",
        """SELECT o.order_id, o.state, o.total_minor, COALESCE(SUM(a.captured_minor), 0) AS captured,
                  COALESCE(SUM(a.refunded_minor), 0) AS refunded
           FROM orders o LEFT JOIN payment_attempt a ON a.order_id = o.order_id AND a.state = 'succeeded'
           GROUP BY o.order_id, o.state, o.total_minor, o.refunded_minor
           HAVING (o.state IN ('paid', 'fulfilled', 'refunded')
                   AND COALESCE(SUM(a.captured_minor), 0) - COALESCE(SUM(a.refunded_minor), 0)
                       <> o.total_minor - o.refunded_minor)
               OR (o.state IN ('placed', 'cancelled', 'expired')
                   AND COALESCE(SUM(a.captured_minor), 0) <> COALESCE(SUM(a.refunded_minor), 0))""",
    ),
    Invariant(
        "refunds_add_up",
        "what an attempt has promised back is the sum of its refunds that have not failed",
        """SELECT a.attempt_id, a.refunded_minor, COALESCE(SUM(r.amount_minor), 0) AS refunds FROM payment_attempt a
           LEFT JOIN refund r ON r.attempt_id = a.attempt_id AND r.state <> 'failed'
           GROUP BY a.attempt_id, a.refunded_minor HAVING a.refunded_minor <> COALESCE(SUM(r.amount_minor), 0)""",
    ),
    Invariant(
        "ledger_balances",
        "every ledger transaction sums to zero per currency, and has entries",
        """SELECT t.transaction_id, e.currency, COALESCE(SUM(e.amount_minor), 0) AS total FROM ledger_transaction t
           LEFT JOIN ledger_entry e ON e.transaction_id = t.transaction_id GROUP BY t.transaction_id, e.currency
           HAVING COALESCE(SUM(e.amount_minor), 0) <> 0 OR COUNT(e.account) < 2""",
    ),
    Invariant(
        "ledger_matches_payments",
        "captured less refunded is what the providers' accounts say, order by order",
        """SELECT order_id, SUM(amount) AS difference FROM (
             SELECT order_id, captured_minor AS amount FROM payment_attempt WHERE state = 'succeeded'
             UNION ALL SELECT order_id, -amount_minor FROM refund WHERE state = 'succeeded'
             UNION ALL SELECT t.order_id, -e.amount_minor FROM ledger_entry e
                       JOIN ledger_transaction t ON t.transaction_id = e.transaction_id
                       WHERE e.account LIKE 'provider:%') AS amounts
           GROUP BY order_id HAVING SUM(amount) <> 0""",
    ),
    Invariant(
        "receivable_is_placed",
        "what buyers owe is the sum of the placed orders",
        """SELECT order_id, SUM(amount) AS difference FROM (
             SELECT order_id, total_minor AS amount FROM orders WHERE state = 'placed'
             UNION ALL SELECT t.order_id, -e.amount_minor FROM ledger_entry e
                       JOIN ledger_transaction t ON t.transaction_id = e.transaction_id
                       WHERE e.account = 'receivable') AS amounts
           GROUP BY order_id HAVING SUM(amount) <> 0""",
    ),
    Invariant(
        "nothing_is_stuck",
        "no hold, message, event or refund waits much longer than its bound",
        """SELECT 'hold' AS kind, hold_id AS id, deadline_ms AS since_ms FROM hold JOIN sale USING (sale_id)
             WHERE hold.state = 'bound' AND deadline_ms < :now_ms - 120000
               AND NOT (sale.state = 'paused' AND sale.state_reason = 'payment_outage')
               AND NOT EXISTS (SELECT 1 FROM payment_attempt a WHERE a.order_id = hold.order_id
                               AND a.state IN ('created', 'pending', 'unknown'))
           UNION ALL SELECT 'expiring hold', hold_id, deadline_ms FROM hold
             WHERE state = 'expiring' AND deadline_ms < :now_ms - 3600000
           UNION ALL SELECT 'inbox', event_id, received_at_ms FROM inbox
             WHERE processed_at_ms IS NULL AND received_at_ms < :now_ms - 300000
           UNION ALL SELECT 'outbox', type, created_at_ms FROM outbox
             WHERE sent_at_ms IS NULL AND created_at_ms < :now_ms - 120000
           UNION ALL SELECT 'refund', refund_id, created_at_ms FROM refund
             WHERE state = 'pending' AND created_at_ms < :now_ms - 3600000""",
    ),
    Invariant(
        "nothing_is_quarantined",
        "no payment waits for a person to look at it",
        "SELECT attempt_id, order_id, reason FROM payment_attempt WHERE state = 'quarantined'",
    ),
)


async def check(c: AsyncConnection, now_ms: int) -> list[Violation]:
    """Every violation (at most 20 rows of each invariant); empty when all is well."""
    found: list[Violation] = []
    for invariant in INVARIANTS:
        parameters = {"now_ms": now_ms} if ":now_ms" in invariant.sql else {}
        rows = await c.execute(text(invariant.sql), parameters)
        found += [
            Violation(invariant.name, invariant.meaning, dict(row._mapping))
            for row in rows.fetchmany(MAX_ROWS)
        ]
    return found


async def require_sums(c: AsyncConnection, sale_id: str) -> None:
    """Raise Quarantined("sums_do_not_hold") when this sale's numbers differ from its holds or movements."""
    for invariant in INVARIANTS[:3]:
        for row in await c.execute(text(invariant.sql)):
            if row.sale_id == sale_id:
                facts = {name: int(value) for name, value in row._mapping.items() if name != "sale_id"}
                raise Quarantined("sums_do_not_hold", invariant.meaning, invariant=invariant.name, **facts)
