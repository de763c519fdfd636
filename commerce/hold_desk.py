"""Taps on Buy, gathered: requests of a sale that arrive together are decided by one script call, each with its own answer.

While a call is under way the next batch fills, so a quiet sale is answered at once and a stampede is sent in calls of up to 500.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any, Final

from commerce import hold_tokens
from commerce.errors import Unavailable
from commerce.hold_tokens import HoldToken
from commerce.hot_ledger import MAX_BATCH, Decision, HoldRequest, HotLedger, SoftHold, StockNumbers

log = logging.getLogger("flashroom.holds")

MAX_WAITING: Final = 20_000
"""Requests waiting for Redis in one process; beyond it a tap is refused as `overloaded` rather than kept without end."""

PublishNumbers = Callable[[str, StockNumbers], Awaitable[None]]
_Waiting = tuple[HoldRequest, asyncio.Future[Decision]]


class HoldDesk:
    """Asks the hot ledger in batches, signs what is granted, and hands the sale's new numbers to `publish_numbers` once per batch."""

    def __init__(self, hot_ledger: HotLedger, token_key: bytes, publish_numbers: PublishNumbers) -> None:
        self._hot_ledger = hot_ledger
        self._token_key = token_key
        self._publish_numbers = publish_numbers
        self._queues: dict[tuple[str, str], deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpublished: dict[tuple[str, str], StockNumbers] = {}
        self._waiting = 0

    async def aclose(self) -> None:
        """Answer what waits, then end."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def hold(self, room_id: str, sale_id: str, request: HoldRequest) -> dict[str, Any]:
        """The decision as PROTOCOL.md shows it. Raises Unavailable; the same request id may then be sent again."""
        if self._waiting >= MAX_WAITING:
            raise Unavailable("overloaded", "Too many people are buying at this moment. Try again.")
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        key = (room_id, sale_id)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
            self._own(self._serve(key, queue), f"holds of {sale_id}")
        queue.append((request, answer))
        self._waiting += 1
        try:
            decision = await answer
        finally:
            self._waiting -= 1
        return self.shown(room_id, sale_id, decision)

    async def release(self, room_id: str, sale_id: str, hold_id: str, buyer_id: str) -> bool:
        """Let the buyer's own soft hold go; False when there is none (any more)."""
        released, numbers = await self._hot_ledger.release(room_id, sale_id, hold_id, buyer_id)
        if released and numbers is not None:
            await self._publish_numbers(room_id, numbers)
        return released

    def shown(self, room_id: str, sale_id: str, decision: Decision) -> dict[str, Any]:
        """A decision for its buyer: only the fields that apply, and a token when granted."""
        if decision.decision == "granted":
            return granted(self._token_key, room_id, sale_id, SoftHold.of(asdict(decision)))
        optional = ("place", "after_last_unit_ms", "next_hold_ends_at_ms", "opens_at_ms")
        facts = {name: getattr(decision, name) for name in optional}
        return {
            "decision": decision.decision,
            "reason": decision.reason,
            "sale_id": sale_id,
            "seq": decision.seq,
            "epoch": decision.epoch,
            **{name: value for name, value in facts.items() if value is not None},
        }

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)

    async def _serve(self, key: tuple[str, str], queue: deque[_Waiting]) -> None:
        room_id, sale_id = key
        try:
            # One turn of the loop lets everything that arrived together into the first batch.
            await asyncio.sleep(0)
            while queue:
                batch = [queue.popleft() for _ in range(min(MAX_BATCH, len(queue)))]
                await self._decide(room_id, sale_id, batch)
        finally:
            del self._queues[key]
            for _, answer in queue:
                answer.cancel()

    async def _decide(self, room_id: str, sale_id: str, batch: list[_Waiting]) -> None:
        try:
            decisions, numbers = await self._hot_ledger.decide(room_id, sale_id, [r for r, _ in batch])
        except Unavailable as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(Unavailable(error.code, error.message))
            return
        for (_, answer), decision in zip(batch, decisions, strict=True):
            if not answer.done():  # the viewer may have left meanwhile
                answer.set_result(decision)
        if numbers is not None:
            # Told beside the next batch, not before it; only the newest numbers matter.
            key = (room_id, sale_id)
            if key not in self._unpublished:
                self._own(self._publish(key), f"numbers of {sale_id}")
            self._unpublished[key] = numbers

    async def _publish(self, key: tuple[str, str]) -> None:
        await asyncio.sleep(0)
        await self._publish_numbers(key[0], self._unpublished.pop(key))


def granted(token_key: bytes, room_id: str, sale_id: str, hold: SoftHold) -> dict[str, Any]:
    """A soft hold as its buyer sees it, with the token that binds it; the same hold always gives the same token."""
    token = HoldToken(
        hold_id=hold.hold_id,
        sale_id=sale_id,
        room_id=room_id,
        epoch=hold.epoch,
        seq=hold.seq,
        buyer_id=hold.buyer_id,
        quantity=hold.quantity,
        price_minor=hold.price_minor,
        currency=hold.currency,
        granted_at_ms=hold.granted_at_ms,
        expires_at_ms=hold.expires_at_ms,
        ghost=hold.ghost,
    )
    return {
        "decision": "granted",
        "reason": "granted",
        "hold_id": hold.hold_id,
        "sale_id": sale_id,
        "token": hold_tokens.sign(token_key, token),
        "quantity": hold.quantity,
        "price_minor": hold.price_minor,
        "currency": hold.currency,
        "expires_at_ms": hold.expires_at_ms,
        "epoch": hold.epoch,
        "seq": hold.seq,
    }
