"""Bind: a granted hold becomes an order in one SQL transaction (DESIGN.md 5.3). Only this makes a unit somebody's.

Binds that arrive together are committed as a group, each with its own answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import (
    allocation_log,
    crash_points,
    hold_tokens,
    ledger,
    orders,
    outbox,
    sale_rows,
    snapshots,
    stock,
    upsert,
)
from commerce.bind_group import GroupConflict, bind_group
from commerce.bind_rows import (
    BindJob,
    Bound,
    check_address,
    check_name,
    hold_released,
    hold_row,
    limit_reached,
    order_row,
    placed_order,
    refusal,
    sold_out_late,
)
from commerce.database import Database
from commerce.errors import Forbidden
from commerce.group_commit import GroupCommit
from commerce.hot_ledger import HotLedger
from commerce.orders import Order
from commerce.sale_rules import Sale
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table


class Checkout:
    """Turns hold tokens into orders. Give each process one: what it is asked at the same time shares a commit."""

    def __init__(
        self,
        database: Database,
        hot_ledger: HotLedger,
        token_key: bytes,
        clock_ms: Callable[[], int],
        new_id: Callable[[str], str],
        max_group: int = 256,
    ) -> None:
        self.database = database
        self.hot_ledger = hot_ledger
        self.token_key = token_key
        self.clock_ms = clock_ms
        self.new_id = new_id
        self._groups: GroupCommit[BindJob, Bound] = GroupCommit(self._commit, max_group)

    async def bind(
        self, token: str, buyer_id: str, name: str, address: dict[str, Any], buyer_name: str | None = None
    ) -> Order:
        """The order that this hold becomes; the same hold always gives the same order, also when called twice at once.

        `name` and `address` are the receiver's, `buyer_name` (default: `name`) is what the room may see, masked.
        Raises Refused: bad_token, hold_expired, hold_released, sale_closed, sold_out_late, limit_reached; Forbidden: not_your_hold;
        Invalid: bad_name, bad_address, bad_contact; Unavailable.
        """
        hold = hold_tokens.verify(self.token_key, token)
        if hold.buyer_id != buyer_id:
            raise Forbidden("not_your_hold", "this hold was granted to somebody else")
        job = BindJob(hold, check_name(name), check_address(address), check_name(buyer_name or name)[:80])
        return (await self._groups.run(job)).order

    async def aclose(self) -> None:
        """Wait for the commit that is under way."""
        await self._groups.aclose()

    async def _commit(self, jobs: list[BindJob]) -> list[Bound | BaseException]:
        """One transaction for all jobs; when another process was in the way, one transaction each."""
        answers: list[Bound | BaseException] = []
        if len(jobs) > 1:
            try:
                async with self.database.begin() as c:
                    answers += await bind_group(c, jobs, self.clock_ms())
                    sales = await sale_rows.get_many(c, {job.hold.sale_id for job in jobs})
            except GroupConflict:
                answers = []
        if not answers:
            sales = {}
            for job in jobs:
                answer, sale = await self._commit_one(job)
                answers.append(answer)
                if sale is not None:
                    sales[sale.sale_id] = sale
        crash_points.reach("bind.committed")
        await self._tell(jobs, answers, sales)
        return answers

    async def _commit_one(self, job: BindJob) -> tuple[Bound | BaseException, Sale | None]:
        try:
            async with self.database.begin() as c:
                bound = await self._bind(c, job)
                return bound, await sale_rows.get(c, job.hold.sale_id)
        except Exception as error:  # noqa: BLE001 - it is this job's answer; the others of the group have their own
            return error, None

    async def _tell(
        self, jobs: list[BindJob], answers: list[Bound | BaseException], sales: dict[str, Sale]
    ) -> None:
        """Tell Redis which soft holds are orders now: one call per sale."""
        holds: dict[str, list[str]] = {}
        used: dict[str, dict[str, int]] = {}
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Bound):
                holds.setdefault(job.hold.sale_id, []).append(job.hold.hold_id)
                used.setdefault(job.hold.sale_id, {})[job.hold.buyer_id] = answer.used
        await asyncio.gather(
            *(
                snapshots.tell_bound(self.hot_ledger, sales[sale_id], hold_ids, used[sale_id])
                for sale_id, hold_ids in holds.items()
            )
        )

    async def _bind(self, c: AsyncConnection, job: BindJob) -> Bound:
        """One hold in a transaction of its own: all or nothing."""
        hold = job.hold
        found = await orders.find_by_hold(c, hold.hold_id)
        if found is not None:
            return Bound(found, await stock.used_quota(c, hold.sale_id, hold.buyer_id))
        now_ms = self.clock_ms()
        sale = await sale_rows.find(c, hold.sale_id)
        refused = refusal(hold, sale, now_ms)
        if refused is not None or sale is None:
            raise refused or sold_out_late()
        if await allocation_log.was_released(c, [hold.hold_id]):
            raise hold_released()
        row = hold_row(job, now_ms)
        insert_hold = upsert.insert_into(c, hold_table).values(row)
        if not await upsert.wrote(c, insert_hold.on_conflict_do_nothing()):
            # Another process has bound this hold at this very moment; the primary key made us wait for it.
            order = await orders.find_by_hold(c, hold.hold_id)
            assert order is not None
            return Bound(order, await stock.used_quota(c, hold.sale_id, hold.buyer_id))
        used = await stock.use_quota(c, hold.sale_id, hold.buyer_id, hold.quantity, sale.limit_per_buyer)
        if used is None:
            raise limit_reached(sale)
        crash_points.reach("bind.quota_used")
        if not await stock.reserve(c, hold.sale_id, hold.quantity):
            raise sold_out_late()
        if await stock.contacts_over_limit(c, hold.sale_id, [row["contact_key"]]):
            raise limit_reached(sale)
        crash_points.reach("bind.reserved")
        ordered = order_row(job, sale, now_ms)
        await c.execute(insert(order_table).values(ordered))
        order = placed_order(ordered, row["deadline_ms"])
        await ledger.post(c, ledger.placed(order.order_id, order.total_minor, order.currency), now_ms)
        await outbox.record(c, order.order_id, "order_placed", orders.event_payload(order, now_ms))
        crash_points.reach("bind.before_commit")
        return Bound(order, used)
