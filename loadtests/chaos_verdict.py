"""What the record says after chaos: read from SQL, held against the invariants, the provider's books, and what people were told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Protocol

from sqlalchemy import text

from commerce import allocation_log, invariants, sale_rows
from commerce.clock import wall_clock_ms
from commerce.database import Database
from commerce.log_verification import VerificationFailed, verify_export

COUNTS: Final = ("oversold", "double_sold", "lost_paid", "leaked", "unanswered", "unbalanced")
COUNT_OF: Final = {
    "never_oversold": "oversold",
    "stock_equals_holds": "leaked",
    "capacity_equals_movements": "leaked",
    "settled_is_sold": "leaked",
    "one_order_per_hold": "double_sold",
    "one_live_attempt": "double_sold",
    "quota_equals_holds": "double_sold",
    "order_matches_hold": "lost_paid",
    "paid_means_captured": "lost_paid",
    "refunds_add_up": "unbalanced",
    "ledger_balances": "unbalanced",
    "ledger_matches_payments": "unbalanced",
    "receivable_is_placed": "unbalanced",
    "nothing_is_stuck": "leaked",
    "nothing_is_quarantined": "lost_paid",
}
"""Under which of the six each invariant counts."""

OPEN: Final = {
    "sales": "SELECT sale_id FROM sale WHERE state NOT IN ('draft', 'ready', 'published')",
    "holds": "SELECT hold_id FROM hold WHERE state IN ('bound', 'expiring')",
    "payments": "SELECT attempt_id FROM payment_attempt WHERE state IN ('created', 'pending', 'unknown')",
    "webhooks": "SELECT event_id FROM inbox WHERE processed_at_ms IS NULL",
    "events": "SELECT outbox_id FROM outbox WHERE sent_at_ms IS NULL",
    "refunds": "SELECT refund_id FROM refund WHERE state = 'pending'",
}
"""What has to come to its end by itself."""

_UNITS = """
    SELECT v.variant_id, v.on_hand + COALESCE((SELECT SUM(m.units) FROM stock_movement m WHERE m.variant_id = v.variant_id), 0) AS units
    FROM variant v
"""
_PROVIDER_ONLY = """
    SELECT p.attempt_id FROM sandbox_payment p LEFT JOIN payment_attempt a ON a.attempt_id = p.attempt_id
    WHERE p.state = 'succeeded' AND (a.attempt_id IS NULL OR a.captured_minor <> p.amount_minor)
"""


class WhatPeopleWereTold(Protocol):
    """The part of `chaos.Told` that is judged."""

    orders: dict[str, str]
    two_orders: int
    paid: set[str]
    unanswered: list[str]


@dataclass
class Verdict:
    """The six counts, and one line for everything that was found."""

    found: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def add(self, count: str, finding: str) -> None:
        """One more."""
        self.found[count] += 1
        self.findings.append(f"{count}: {finding}")

    def counts(self) -> dict[str, int]:
        """All six, also where they are 0."""
        return {name: self.found[name] for name in COUNTS}

    @property
    def is_sound(self) -> bool:
        return not self.findings


async def units(database: Database) -> dict[str, int]:
    """Every variant's units, on the shelf and moved into sales together: no fault may change this sum."""
    async with database.read() as c:
        return {row.variant_id: int(row.units) for row in await c.execute(text(_UNITS))}


async def what_is_open(database: Database) -> list[str]:
    """Whatever has not come to its end, in words."""
    found = []
    async with database.read() as c:
        for what, sql in OPEN.items():
            ids = [str(row[0]) for row in await c.execute(text(sql))]
            if ids:
                found.append(f"{len(ids)} {what}: {', '.join(ids[:5])}")
    return found


async def judge(
    database: Database, told: WhatPeopleWereTold, units_before: dict[str, int], still_open: list[str]
) -> Verdict:
    """Everything that is not as it has to be."""
    verdict = Verdict()
    for silence in told.unanswered:
        verdict.add("unanswered", silence)
    for what in still_open:
        verdict.add("leaked", f"did not come to an end: {what}")
    for _ in range(told.two_orders):
        verdict.add("double_sold", "one hold became two orders")
    async with database.read() as c:
        for violation in await invariants.check(c, wall_clock_ms()):
            verdict.add(COUNT_OF[violation.name], f"{violation.name} {violation.row}")
        states = {
            row.order_id: row.state for row in await c.execute(text("SELECT order_id, state FROM orders"))
        }
        for row in await c.execute(text(_PROVIDER_ONLY)):
            verdict.add("lost_paid", f"the provider captured {row.attempt_id}, we have not")
    for order_id in told.orders.values():
        if order_id not in states:
            verdict.add("lost_paid", f"{order_id} was given to a buyer and is gone")
    for order_id in told.paid:
        if states.get(order_id) not in ("paid", "fulfilled", "refunded"):
            verdict.add("lost_paid", f"{order_id} was paid, is {states.get(order_id)}")
    units_now = await units(database)
    for variant_id, before in units_before.items():
        if units_now.get(variant_id) != before:
            verdict.add("leaked", f"{variant_id} had {before} units, has {units_now.get(variant_id)}")
    await _check_logs(database, verdict)
    return verdict


async def _check_logs(database: Database, verdict: Verdict) -> None:
    """Every published sale's log verifies as anybody would verify it."""
    async with database.read() as c:
        ids = [
            row.sale_id for row in await c.execute(text("SELECT sale_id FROM sale WHERE state = 'published'"))
        ]
        sales = await sale_rows.get_many(c, set(ids))
    for sale in sales.values():
        lines = [line async for line in allocation_log.export(database, sale)]
        try:
            verify_export(lines)
        except VerificationFailed as failed:
            verdict.add("double_sold", f"log of {sale.sale_id}: {failed}")
