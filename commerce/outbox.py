"""Events that leave commerce: written in the transaction that made them true, handed on at least once and in order.

Order holds per aggregate: record an event after the compare-and-set that it tells of, so that the numbers follow the commits.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import lease
from commerce.clock import wall_clock_ms
from commerce.database import Database
from commerce.schema import outbox

logger = logging.getLogger(__name__)

LEASE_MS: Final = 6_000
KEEP_SENT_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """One event. `outbox_id` is its name for deduplication: a consumer may see it more than once."""

    outbox_id: int
    aggregate: str
    type: str
    payload: dict[str, Any]
    created_at_ms: int


async def record(c: AsyncConnection, aggregate: str, event_type: str, payload: dict[str, Any]) -> None:
    """Add an event to this transaction. `payload` is JSON and has `at_ms`; `aggregate` is the id whose events keep order."""
    await record_all(c, [(aggregate, event_type, payload)])


async def record_all(c: AsyncConnection, events: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Add several (aggregate, type, payload), like `record`."""
    await c.execute(
        insert(outbox),
        [
            {
                "aggregate": aggregate,
                "type": event_type,
                "payload": payload,
                "created_at_ms": payload["at_ms"],
                "tries": 0,
            }
            for aggregate, event_type, payload in events
        ],
    )


async def relay(
    database: Database,
    deliver: Callable[[OutboxEvent], Awaitable[None]],
    limit: int = 200,
    *,
    owner: str = uuid.uuid4().hex,
    clock_ms: Callable[[], int] = wall_clock_ms,
) -> int:
    """Hand up to `limit` unsent events to `deliver`, oldest first, and mark them; how many went out.

    An event whose delivery fails stays, and later ones of its aggregate wait behind it. One relay runs at a time (a lease);
    a relay that dies between delivery and mark leads to a second delivery.
    """
    started_ms = clock_ms()
    async with database.begin() as c:
        if not await lease.acquire(c, "outbox", owner, started_ms, LEASE_MS):
            return 0
        query = select(outbox).where(outbox.c.sent_at_ms.is_(None)).order_by(outbox.c.outbox_id).limit(limit)
        waiting = [_event(row) for row in await c.execute(query)]
    sent: list[int] = []
    failed: dict[str, int] = {}
    for event in waiting:
        if event.aggregate in failed:
            continue
        if clock_ms() - started_ms > LEASE_MS // 2:
            break
        try:
            await deliver(event)
        except Exception:
            logger.exception("outbox event %d (%s) was not delivered", event.outbox_id, event.type)
            failed[event.aggregate] = event.outbox_id
        else:
            sent.append(event.outbox_id)
    if sent or failed:
        async with database.begin() as c:
            await c.execute(update(outbox).where(outbox.c.outbox_id.in_(sent)).values(sent_at_ms=clock_ms()))
            again = update(outbox).where(outbox.c.outbox_id.in_(failed.values()))
            await c.execute(again.values(tries=outbox.c.tries + 1))
    return len(sent)


def _event(row: Any) -> OutboxEvent:
    return OutboxEvent(row.outbox_id, row.aggregate, row.type, row.payload, row.created_at_ms)


async def forget_sent(c: AsyncConnection, now_ms: int) -> int:
    """Delete events sent more than a week ago; how many."""
    return (await c.execute(delete(outbox).where(outbox.c.sent_at_ms < now_ms - KEEP_SENT_MS))).rowcount
