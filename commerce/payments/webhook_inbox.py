"""Webhooks in: verified and stored raw in milliseconds, processed from the database afterwards, each event once, replayable."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, upsert
from commerce.database import Database
from commerce.errors import CommerceError, Invalid, NotFound, Unavailable
from commerce.payments.provider import Provider, WebhookEvent
from commerce.schema import inbox

logger = logging.getLogger(__name__)

MAX_TRIES: Final = 20
MAX_PAUSE_MS: Final = 60_000
MAX_EVENT_ID_CHARACTERS: Final = 128


async def store(c: AsyncConnection, provider: str, event: WebhookEvent, body: bytes, now_ms: int) -> bool:
    """Keep a verified message; False when this event is here already."""
    if not 0 < len(event.event_id) <= MAX_EVENT_ID_CHARACTERS:
        raise Invalid("bad_webhook", f"an event id has at most {MAX_EVENT_ID_CHARACTERS} characters")
    row = {"provider": provider, "event_id": event.event_id, "body": body, "received_at_ms": now_ms}
    statement = upsert.insert_into(c, inbox).values(**row, tries=0, next_try_at_ms=now_ms)
    return await upsert.wrote(c, statement.on_conflict_do_nothing(index_elements=["provider", "event_id"]))


async def process(
    database: Database,
    providers: Mapping[str, Provider],
    settle: Callable[[Provider, WebhookEvent], Awaitable[str]],
    clock_ms: Callable[[], int],
    limit: int,
) -> int:
    """Settle up to `limit` waiting messages, oldest first; how many are done. A message that keeps failing is set aside after
    20 tries with its error as outcome."""
    async with database.read() as c:
        waiting = (inbox.c.processed_at_ms.is_(None), inbox.c.next_try_at_ms <= clock_ms())
        query = select(inbox).where(*waiting).order_by(inbox.c.received_at_ms, inbox.c.event_id).limit(limit)
        due = (await c.execute(query)).all()
    done = 0
    for row in due:
        outcome, final = await _process_one(row, providers, settle)
        crash_points.reach("inbox.settled")
        async with database.begin() as c:
            await _note(c, row, outcome, final, clock_ms())
        done += final
    return done


async def _process_one(
    row: Row[Any],
    providers: Mapping[str, Provider],
    settle: Callable[[Provider, WebhookEvent], Awaitable[str]],
) -> tuple[str, bool]:
    try:
        provider = providers.get(row.provider)
        if provider is None:
            return "provider_not_configured", False
        return await settle(provider, provider.read_webhook(row.body)), True
    except (NotFound, Invalid) as error:
        return error.code, True  # it will never be about one of our attempts
    except Unavailable as error:
        return error.code, False
    except CommerceError as error:
        logger.exception("webhook %s of %s", row.event_id, row.provider)
        return error.code, row.tries + 1 >= MAX_TRIES


async def _note(c: AsyncConnection, row: Row[Any], outcome: str, final: bool, now_ms: int) -> None:
    pause_ms = min(MAX_PAUSE_MS, 500 * 2 ** min(row.tries, 10))
    mine = update(inbox).where(inbox.c.provider == row.provider, inbox.c.event_id == row.event_id)
    values: dict[str, Any] = {"outcome": outcome[:200], "tries": row.tries + 1}
    values |= {"processed_at_ms": now_ms} if final else {"next_try_at_ms": now_ms + pause_ms}
    await c.execute(mine.where(inbox.c.processed_at_ms.is_(None)).values(values))


async def replay(c: AsyncConnection, provider: str, event_id: str, now_ms: int) -> None:
    """Process a stored message once more; raises NotFound("unknown_event"). Harmless: settling is idempotent."""
    mine = update(inbox).where(inbox.c.provider == provider, inbox.c.event_id == event_id)
    if (await c.execute(mine.values(processed_at_ms=None, tries=0, next_try_at_ms=now_ms))).rowcount != 1:
        raise NotFound("unknown_event", "there is no such message", event_id=event_id)
