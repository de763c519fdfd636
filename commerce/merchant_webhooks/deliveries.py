"""Deliveries as rows: one per event and endpoint, tried with growing pauses for two days, then kept as dead until somebody replays it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, lease, upsert
from commerce.clock import wall_clock_ms
from commerce.database import Database
from commerce.errors import Invalid, NotFound
from commerce.merchant_webhooks import endpoints, messages
from commerce.merchant_webhooks.endpoints import WebhookEndpoint
from commerce.schema import webhook_delivery, webhook_endpoint

PAUSES_MS: Final = (
    5_000,
    30_000,
    120_000,
    600_000,
    1_800_000,
    3_600_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
)
"""After the first, second ... failure; about two days in all. One more failure and the delivery is dead."""
JITTER: Final = 0.2
AT_ONCE: Final = 8
LEASE_MS: Final = 60_000
KEEP_DONE_MS: Final = 14 * 86_400_000
GONE: Final = 410
"""The status by which a receiver says that it wants nothing any more."""

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[tuple[int, str | None]]]
"""(url, headers, body) -> (HTTP status or 0, what went wrong or None); bounded in time, never raises for what the receiver does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one endpoint. `state`: pending, delivered or dead."""

    delivery_id: int
    endpoint_id: str
    event_id: str
    event_type: str
    state: str
    tries: int
    created_at_ms: int
    next_try_at_ms: int
    done_at_ms: int | None
    last_status: int | None
    last_error: str | None


async def enqueue(
    c: AsyncConnection, event_id: str, outbox_type: str, payload: Mapping[str, Any], now_ms: int
) -> int:
    """Rows for every endpoint of the event's room that wants it; how many. Repeated for the same event it adds nothing."""
    event_type = messages.type_of(outbox_type, payload)
    if event_type is None or "room_id" not in payload:
        return 0
    body = messages.body(event_type, payload)
    return await _add(c, event_id, event_type, body, payload["room_id"], now_ms)


async def is_wanted(c: AsyncConnection, outbox_type: str, payload: Mapping[str, Any]) -> bool:
    """Whether anybody is to be told: a look that writes nothing, for most rooms have no endpoint."""
    event_type = messages.type_of(outbox_type, payload)
    if event_type is None or "room_id" not in payload:
        return False
    return any(one.wants(event_type) for one in await endpoints.list_for_room(c, payload["room_id"]))


async def ping(c: AsyncConnection, endpoint: WebhookEndpoint, event_id: str, now_ms: int) -> None:
    """A test message to one endpoint."""
    body = messages.body("ping", {"room_id": endpoint.room_id, "at_ms": now_ms})
    await _insert(c, endpoint, event_id, "ping", body, now_ms)


async def _add(
    c: AsyncConnection, event_id: str, event_type: str, body: bytes, room_id: str, now_ms: int
) -> int:
    wanted = [one for one in await endpoints.list_for_room(c, room_id) if one.wants(event_type)]
    for endpoint in wanted:
        await _insert(c, endpoint, event_id, event_type, body, now_ms)
    return len(wanted)


async def _insert(
    c: AsyncConnection, endpoint: WebhookEndpoint, event_id: str, event_type: str, body: bytes, now_ms: int
) -> None:
    row = {
        "endpoint_id": endpoint.endpoint_id,
        "event_id": event_id,
        "event_type": event_type,
        "body": body,
        "state": "pending",
        "tries": 0,
        "created_at_ms": now_ms,
        "next_try_at_ms": now_ms,
    }
    statement = upsert.insert_into(c, webhook_delivery).values(row)
    await c.execute(statement.on_conflict_do_nothing(index_elements=["endpoint_id", "event_id"]))


class Sender:
    """Sends what is due. One sender works at a time (a lease); one that dies between sending and noting sends again, with the same id."""

    def __init__(
        self,
        database: Database,
        key: bytes,
        post: Post,
        clock_ms: Callable[[], int] = wall_clock_ms,
        chance: random.Random | None = None,
    ) -> None:
        self._database = database
        self._key = key
        self._post = post
        self._clock_ms = clock_ms
        self._chance = chance or random.Random()
        self._owner = uuid.uuid4().hex

    async def send_due(self, limit: int = 50) -> int:
        """Try up to `limit` due deliveries, a few at once; how many arrived."""
        now_ms = self._clock_ms()
        due = (webhook_delivery.c.state == "pending", webhook_delivery.c.next_try_at_ms <= now_ms)
        query = (
            select(webhook_delivery, webhook_endpoint.c.room_id)
            .join_from(webhook_delivery, webhook_endpoint)
            .where(*due, webhook_endpoint.c.state == "active")
            .order_by(webhook_delivery.c.next_try_at_ms, webhook_delivery.c.delivery_id)
            .limit(limit)
        )
        async with self._database.read() as c:
            if (await c.execute(query.limit(1))).first() is None:
                return 0
        async with self._database.begin() as c:
            if not await lease.acquire(c, "merchant webhooks", self._owner, now_ms, LEASE_MS):
                return 0
            rows = (await c.execute(query)).all()
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(row: Row[Any]) -> bool:
            async with at_once:
                return await self._send(row)

        try:
            return sum(await asyncio.gather(*(one(row) for row in rows)))
        finally:
            async with self._database.begin() as c:
                await lease.give_back(c, "merchant webhooks", self._owner)

    async def _send(self, row: Row[Any]) -> bool:
        async with self._database.read() as c:
            endpoint = await endpoints.find(c, row.endpoint_id)
        if endpoint is None or endpoint.state != "active":
            return False
        now_ms = self._clock_ms()
        secrets = [
            messages.secret_of(self._key, endpoint.endpoint_id, generation)
            for generation in endpoint.generations(now_ms)
        ]
        headers = messages.headers(secrets, row.event_id, row.body, now_ms)
        status, error = await self._post(endpoint.url, headers, row.body)
        crash_points.reach("webhook.sent")
        arrived = 200 <= status < 300
        async with self._database.begin() as c:
            await self._note(
                c, row, status, None if arrived else error or f"answered {status}", arrived=arrived
            )
        return arrived

    async def _note(
        self, c: AsyncConnection, row: Row[Any], status: int, error: str | None, *, arrived: bool
    ) -> None:
        now_ms = self._clock_ms()
        values: dict[str, Any] = {
            "tries": row.tries + 1,
            "last_status": status or None,
            "last_error": error and error[:200],
        }
        is_dead = not arrived and (row.tries >= len(PAUSES_MS) or status == GONE)
        if arrived or is_dead:
            values |= {"state": "delivered" if arrived else "dead", "done_at_ms": now_ms}
        else:
            pause_ms = PAUSES_MS[row.tries] * self._chance.uniform(1 - JITTER, 1 + JITTER)
            values["next_try_at_ms"] = now_ms + round(pause_ms)
        mine = (webhook_delivery.c.delivery_id == row.delivery_id, webhook_delivery.c.state == "pending")
        await c.execute(update(webhook_delivery).where(*mine).values(values))
        last = {"last_success_at_ms" if arrived else "last_failure_at_ms": now_ms}
        this = webhook_endpoint.c.endpoint_id == row.endpoint_id
        await c.execute(update(webhook_endpoint).where(this).values(last))
        if is_dead:
            endpoint = await endpoints.find(c, row.endpoint_id)
            assert endpoint is not None
            if status == GONE:
                await endpoints.disable(c, row.endpoint_id, "the receiver answered 410 Gone")
            elif (endpoint.last_success_at_ms or 0) < row.created_at_ms:
                # Nothing has arrived there since this message was made: more of them would only pile up.
                await endpoints.disable(c, row.endpoint_id, f"nothing arrived for days: {error}")


async def list_for_endpoint(
    c: AsyncConnection, endpoint_id: str, state: str | None, limit: int, cursor: str | None
) -> tuple[list[Delivery], str | None]:
    """Newest first, and the cursor of the next page or None. Raises Invalid("bad_cursor")."""
    columns = [webhook_delivery.c[field.name] for field in fields(Delivery)]
    query = select(*columns).where(webhook_delivery.c.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(webhook_delivery.c.state == state)
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise Invalid("bad_cursor", "this cursor is not one of ours")
        query = query.where(webhook_delivery.c.delivery_id < int(cursor))
    rows = (await c.execute(query.order_by(webhook_delivery.c.delivery_id.desc()).limit(limit + 1))).all()
    found = [Delivery(**row._mapping) for row in rows[:limit]]
    return found, str(found[-1].delivery_id) if len(rows) > limit else None


async def replay(c: AsyncConnection, endpoint_id: str, delivery_id: int, now_ms: int) -> None:
    """Send it once more, whatever became of it; raises NotFound("unknown_delivery")."""
    mine = (
        webhook_delivery.c.endpoint_id == endpoint_id,
        webhook_delivery.c.delivery_id == delivery_id,
    )
    if not await _again(c, mine, now_ms):
        raise NotFound("unknown_delivery", "there is no such delivery")


async def replay_dead(c: AsyncConnection, endpoint_id: str, since_ms: int, now_ms: int) -> int:
    """Send all dead ones made since then once more; how many."""
    return await _again(
        c,
        (
            webhook_delivery.c.endpoint_id == endpoint_id,
            webhook_delivery.c.state == "dead",
            webhook_delivery.c.created_at_ms >= since_ms,
        ),
        now_ms,
    )


async def _again(c: AsyncConnection, where: tuple[Any, ...], now_ms: int) -> int:
    fresh = {"state": "pending", "tries": 0, "next_try_at_ms": now_ms, "done_at_ms": None}
    return (await c.execute(update(webhook_delivery).where(*where).values(fresh))).rowcount


async def forget_old(c: AsyncConnection, now_ms: int) -> int:
    """Delete what ended more than two weeks ago; how many."""
    old = webhook_delivery.c.done_at_ms < now_ms - KEEP_DONE_MS
    return (await c.execute(delete(webhook_delivery).where(old))).rowcount
