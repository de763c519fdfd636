"""Taps on Buy, gathered: requests of a sale that arrive together are decided by one script call, each with its own answer.

While a call is under way the next batch fills, so a quiet sale is answered at once and a stampede is sent in calls of up to 500.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from commerce import hold_tokens
from commerce.errors import Unavailable
from commerce.hold_tokens import HoldToken
from commerce.hot_ledger import (
    MAX_BATCH,
    Decision,
    HoldRequest,
    HotLedger,
    Notice,
    SoftHold,
    StockNumbers,
)

log = logging.getLogger("flashroom.holds")

MAX_WAITING: Final = 20_000
"""Requests waiting for Redis in one process; beyond it a tap is refused as `overloaded` rather than kept without end."""
CALL_TIMEOUT_S: Final = 2.0
"""A tap whose call to Redis takes longer is told to try again; the same request id then finds what was decided."""
MAX_WAIT_S: Final = 4.0
SHORT_WINDOW_MS: Final = 2_000
"""So long a tap in a fair window waits for its lot; in a longer one it is answered `pending` and told later."""
LOT_PAUSE_S: Final = 0.02
LOT_TRIES: Final = 50

PublishNumbers = Callable[[str, StockNumbers], Awaitable[None]]
_SHOWN: Final = (
    "place",
    "after_last_unit_ms",
    "next_hold_ends_at_ms",
    "opens_at_ms",
    "available",
    "decided_at_ms",
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: HoldRequest
    answer: asyncio.Future[Decision]
    since_s: float


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
        """The decision as PROTOCOL.md shows it. Raises Unavailable; the same request id may then be sent again.

        With `request.wait` it is a place in the wait list where a plain request would be refused because every unit is held or sold.
        """
        decision = await self._ask(room_id, sale_id, request)
        for attempt in range(LOT_TRIES):
            if decision.decision != "pending" or decision.decided_at_ms is None or decision.at_ms is None:
                break
            wait_ms = decision.decided_at_ms - decision.at_ms
            if wait_ms > SHORT_WINDOW_MS:
                break
            await asyncio.sleep(LOT_PAUSE_S if attempt else wait_ms / 1000)
            decision = await self._ask(room_id, sale_id, request)
        return shown(self._token_key, room_id, sale_id, decision)

    async def release(self, room_id: str, sale_id: str, hold_id: str, buyer_id: str) -> bool:
        """Let the buyer's own soft hold go; False when there is none (any more)."""
        released, numbers = await self._hot_ledger.release(room_id, sale_id, hold_id, buyer_id)
        if released and numbers is not None:
            await self._publish_numbers(room_id, numbers)
        return released

    async def leave(self, room_id: str, sale_id: str, buyer_id: str) -> bool:
        """Give the buyer's place in the wait list up; False when there is none."""
        left, numbers = await self._hot_ledger.leave(room_id, sale_id, buyer_id)
        if left and numbers is not None:
            await self._publish_numbers(room_id, numbers)
        return left

    async def _ask(self, room_id: str, sale_id: str, request: HoldRequest) -> Decision:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("overloaded", "Too many people are buying at this moment. Try again.")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), loop.time())
        key = (room_id, sale_id)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
            self._own(self._serve(key, queue), f"holds of {sale_id}")
        queue.append(waiting)
        self._waiting += 1
        try:
            return await waiting.answer
        finally:
            self._waiting -= 1

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
                oldest_s = asyncio.get_running_loop().time() - MAX_WAIT_S
                batch = [queue.popleft() for _ in range(min(MAX_BATCH, len(queue)))]
                # A viewer who left, or whose turn comes too late, is not asked for: nothing was decided.
                _fail([one for one in batch if one.since_s < oldest_s], "redis_unavailable")
                batch = [one for one in batch if not one.answer.done()]
                if batch:
                    await self._decide(room_id, sale_id, batch)
        finally:
            del self._queues[key]
            _fail(queue, "redis_unavailable")

    async def _decide(self, room_id: str, sale_id: str, batch: list[_Waiting]) -> None:
        requests = [one.request for one in batch]
        code = "redis_unavailable"
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                decisions, numbers = await self._hot_ledger.decide(room_id, sale_id, requests)
        except (Unavailable, TimeoutError) as error:
            code = error.code if isinstance(error, Unavailable) else code
            return
        else:
            for one, decision in zip(batch, decisions, strict=True):
                if not one.answer.done():  # the viewer may have left meanwhile
                    one.answer.set_result(decision)
        finally:
            _fail(batch, code)  # whatever went wrong, nobody is left without an answer
        if numbers is not None:
            # Told beside the next batch, not before it; only the newest numbers matter.
            key = (room_id, sale_id)
            if key not in self._unpublished:
                self._own(self._publish(key), f"numbers of {sale_id}")
            self._unpublished[key] = numbers

    async def _publish(self, key: tuple[str, str]) -> None:
        await asyncio.sleep(0)
        await self._publish_numbers(key[0], self._unpublished.pop(key))


def _fail(waiting: Iterable[_Waiting], code: str) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_exception(
                Unavailable(code, "The sale can't answer right now. Try again in a moment.")
            )


def shown(token_key: bytes, room_id: str, sale_id: str, decision: Decision) -> dict[str, Any]:
    """A decision for its buyer: only the fields that apply, and a token when granted."""
    if decision.decision == "granted":
        return granted(token_key, room_id, sale_id, SoftHold.of(asdict(decision)))
    facts = {name: getattr(decision, name) for name in _SHOWN}
    if decision.decision == "waiting" and decision.place is not None:
        facts["ahead"] = decision.place - 1
    return {
        "decision": decision.decision,
        "reason": decision.reason,
        "sale_id": sale_id,
        "seq": decision.seq,
        "epoch": decision.epoch,
        **{name: value for name, value in facts.items() if value is not None},
    }


def personal_message(
    token_key: bytes, room_id: str, sale_id: str, notice: Notice, at_ms: int
) -> tuple[str, dict[str, Any]]:
    """Type and data of the personal message (PROTOCOL.md) that tells a buyer this."""
    if notice.kind == "expired":
        return "hold_expired", {"hold_id": notice.decision.hold_id, "sale_id": sale_id, "at_ms": at_ms}
    return f"hold_{notice.kind}", shown(token_key, room_id, sale_id, notice.decision)


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
