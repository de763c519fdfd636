"""`flashroom ledger check` and `flashroom webhooks list|replay`: what an operator asks about money at 3 a.m."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select

from commerce import invariants, ledger
from commerce.clock import wall_clock_ms
from commerce.database import Database, create_database
from commerce.errors import NotFound
from commerce.payments import webhook_inbox
from commerce.schema import inbox
from live.settings import Settings

MONEY: Final = (
    "ledger_balances",
    "ledger_matches_payments",
    "receivable_is_placed",
    "refunds_add_up",
    "paid_means_captured",
    "nothing_is_quarantined",
)
MAX_LISTED: Final = 50


def check_ledger(settings: Settings) -> int:
    """Every account per currency, and whether all movements balance; 1 when something does not, naming it."""
    return asyncio.run(_with_database(settings, _check_ledger))


async def _with_database(settings: Settings, work: Callable[[Database], Awaitable[int]]) -> int:
    async with aclosing(create_database(settings.database_url)) as database:
        return await work(database)


async def _check_ledger(database: Database) -> int:
    async with database.read() as c:
        found = await ledger.balances(c)
        violations = [one for one in await invariants.check(c, wall_clock_ms()) if one.name in MONEY]
    print(f"{'account':<28} {'currency':<8} {'minor units':>16}")
    for (account, currency), total in sorted(found.items(), key=lambda one: (one[0][1], one[0][0])):
        print(f"{account:<28} {currency:<8} {total:>16,}")
    currencies = sorted({currency for _, currency in found})
    off = 0
    for currency in currencies:
        total = sum(amount for (_, one), amount in found.items() if one == currency)
        print(f"{'sum of all accounts':<28} {currency:<8} {total:>16,}")
        off += total != 0
    if not currencies:
        print("no movements yet")
    for violation in violations:
        print(f"BROKEN {violation.name}: {violation.meaning}: {violation.row}", file=sys.stderr)
    if off or violations:
        return 1
    print("every movement balances")
    return 0


def list_webhooks(settings: Settings) -> int:
    """The newest 50 messages of payment providers, and what became of them."""

    async def work(database: Database) -> int:
        newest = select(inbox).order_by(inbox.c.received_at_ms.desc()).limit(MAX_LISTED)
        async with database.read() as c:
            rows = (await c.execute(newest)).all()
        for row in rows:
            at = datetime.fromtimestamp(row.received_at_ms / 1000, UTC).isoformat(timespec="seconds")
            state = "done" if row.processed_at_ms else f"waiting, {row.tries} tries"
            print(f"{at} {row.provider:<12} {row.event_id:<48} {state}: {row.outcome or '-'}")
        if not rows:
            print("no messages yet")
        return 0

    return asyncio.run(_with_database(settings, work))


def replay_webhook(settings: Settings, provider: str, event_id: str) -> int:
    """Have the worker process one message once more; settling is idempotent, so that does no harm."""

    async def work(database: Database) -> int:
        try:
            async with database.begin() as c:
                await webhook_inbox.replay(c, provider, event_id, wall_clock_ms())
        except NotFound as error:
            print(f"flashroom webhooks: {error.message}: {provider} {event_id}", file=sys.stderr)
            return 1
        print("the worker will process it again within a second")
        return 0

    return asyncio.run(_with_database(settings, work))
