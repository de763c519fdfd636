"""The random shop can fail: with one guard taken out of the protocol it finds a broken sum within a few seeds.

The guards are those whose absence research/commerce.md 6.7 measured; a suite that lets one of these mutants live is not finished.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from commerce import stock
from commerce.database import create_database
from commerce.hot_ledger import HotLedger
from commerce.payments import attempts, refunds
from commerce.payments.provider import NewRefund
from commerce.payments.sandbox import Sandbox
from commerce.schema import payment_attempt
from commerce.schema import stock as stock_table
from tests.commerce.databases import copy_sqlite
from tests.commerce.test_random_shop import (
    test_every_sum_holds_after_every_step_and_everything_comes_to_rest as run_shop,
)
from tests.commerce.world import World

MAX_SEEDS = 8


def without_the_conditional_stock_update(patch: pytest.MonkeyPatch) -> None:
    """Redis decides, SQL only records."""

    async def reserve(c: Any, sale_id: str, units: int) -> bool:
        await c.execute(text("PRAGMA ignore_check_constraints=ON"))
        mine = update(stock_table).where(stock_table.c.sale_id == sale_id)
        await c.execute(
            mine.values(reserved=stock_table.c.reserved + units, version=stock_table.c.version + 1)
        )
        return True

    patch.setattr(stock, "reserve", reserve)
    patch.setattr("commerce.bind_group.sold_out_late", lambda: None)


def without_compare_and_set_on_attempts(patch: pytest.MonkeyPatch) -> None:
    """The same money counts whenever somebody hears of it."""

    async def change(c: Any, attempt_id: str, outcome: str, now_ms: int, **values: Any) -> bool:
        mine = update(payment_attempt).where(payment_attempt.c.attempt_id == attempt_id)
        state = values.pop("state", outcome)
        await c.execute(mine.values(state=state, changed_at_ms=now_ms, **values))
        return True

    patch.setattr(attempts, "change", change)


def without_a_late_payment_path(patch: pytest.MonkeyPatch) -> None:
    """Money that comes for nothing is kept."""

    async def promise(*_: object) -> None:
        return None

    patch.setattr(refunds, "promise", promise)


def without_giving_quota_back(patch: pytest.MonkeyPatch) -> None:
    async def free_quota(*_: object) -> int:
        return 0

    patch.setattr(stock, "free_quota", free_quota)


def with_a_new_id_for_every_try_of_a_refund(patch: pytest.MonkeyPatch) -> None:
    real = Sandbox.refund

    async def refund(self: Sandbox, asked: NewRefund) -> Any:
        answer = await real(self, replace(asked, refund_id=uuid.uuid4().hex))
        if asked.amount_minor < 9_900:
            answer = await real(self, replace(asked, refund_id=uuid.uuid4().hex))
        return answer

    patch.setattr(Sandbox, "refund", refund)


MUTANTS = (
    without_the_conditional_stock_update,
    without_compare_and_set_on_attempts,
    without_a_late_payment_path,
    without_giving_quota_back,
    with_a_new_id_for_every_try_of_a_refund,
)


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
async def test_the_random_shop_kills_the_protocol(
    mutate: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    sqlite_file: Path,
    tmp_path: Path,
    redis_client: Redis,
) -> None:
    mutate(monkeypatch)
    for seed in range(MAX_SEEDS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        database = create_database(copy_sqlite(sqlite_file, folder))
        world = World(database, HotLedger(redis_client))
        await world.stock_shelf()
        try:
            await run_shop(world, seed)
        except (AssertionError, IntegrityError):  # a broken sum, or the database's own last word
            return
        finally:
            await database.aclose()
    pytest.fail(f"{mutate.__name__} lived through {MAX_SEEDS} seeds")
