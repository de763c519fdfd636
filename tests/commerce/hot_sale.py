"""One sale in a real Redis without SQL: its snapshot as the test wants it, taps by short names, and a clock that can be moved."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from commerce.hot_ledger import Decision, HoldRequest, HotLedger, Notice, Snapshot, StockNumbers

HOLD_MS = 120_000
GRACE_MS = 5_000


class HotSale:
    """`await sale.open(quota=3)`, then `await sale.tap("ana")`. Each one has a room of its own."""

    def __init__(self, redis: Redis) -> None:
        self.ledger = HotLedger(redis)
        self.room_id = f"rm_{uuid.uuid4().hex}"
        self.sale_id = f"sl_{uuid.uuid4().hex}"
        self.key = (self.room_id, self.sale_id)
        self.started_ms = time.time_ns() // 1_000_000
        self.snapshot = Snapshot(
            room_id=self.room_id,
            sale_id=self.sale_id,
            epoch=1,
            version=1,
            capacity=2,
            reserved=0,
            sold=0,
            state="open",
            opens_at_ms=self.started_ms - 1_000,
            closes_at_ms=self.started_ms + 600_000,
            limit_per_buyer=1,
            hold_ms=HOLD_MS,
            price_minor=9_900,
            currency="CNY",
            seed="secret",
        )

    async def open(self, quota: int = 2, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, capacity=quota, **changes)
        loaded, _ = await self.ledger.load(self.snapshot)
        assert loaded

    async def sync(self, **changes: Any) -> StockNumbers:
        """SQL has changed: the next version with these changes."""
        self.snapshot = replace(self.snapshot, version=self.snapshot.version + 1, **changes)
        return await self.ledger.sync(self.snapshot)

    async def tap(
        self, buyer: str, quantity: int = 1, request: str | None = None, *, wait: bool = False
    ) -> Decision:
        request_id = request or uuid.uuid4().hex
        decisions, _ = await self.ledger.decide(
            *self.key, [HoldRequest(request_id, buyer, quantity, wait=wait)]
        )
        return decisions[0]

    async def granted(self, buyer: str, quantity: int = 1) -> Decision:
        decision = await self.tap(buyer, quantity)
        assert decision.decision == "granted", decision
        return decision

    async def bind(self, hold: Decision) -> StockNumbers:
        """SQL has made an order of this hold."""
        assert hold.hold_id
        assert hold.buyer_id
        assert hold.quantity
        self.snapshot = replace(
            self.snapshot,
            version=self.snapshot.version + 1,
            reserved=self.snapshot.reserved + hold.quantity,
        )
        return await self.ledger.bound(self.snapshot, hold.hold_id, hold.buyer_id, hold.quantity)

    async def release(self, hold: Decision) -> bool:
        assert hold.hold_id
        assert hold.buyer_id
        return (await self.ledger.release(*self.key, hold.hold_id, hold.buyer_id))[0]

    def pass_ms(self, milliseconds: int) -> None:
        self.ledger.clock_offset_ms += milliseconds

    async def numbers(self) -> StockNumbers:
        found = await self.ledger.numbers(*self.key)
        assert found is not None
        return found

    async def three(self) -> tuple[int, int, int]:
        """(available, held, sold)"""
        numbers = await self.numbers()
        return numbers.available, numbers.held, numbers.sold

    async def notices(self) -> list[Notice]:
        """What buyers are to be told, and forget it."""
        found, record_ids = await self.ledger.read_notices(*self.key)
        await self.ledger.trim_notices(*self.key, record_ids)
        return found
