"""Where a room's merchant wants to hear of what. An endpoint that answers nothing for days is switched off, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import Invalid, NotFound, OutOfState
from commerce.merchant_webhooks.messages import EVENT_TYPES
from commerce.schema import webhook_delivery, webhook_endpoint

MAX_ENDPOINTS: Final = 10
"""Of one room."""
MAX_URL_CHARACTERS: Final = 500
OLD_SECRET_MS: Final = 24 * 3_600_000
"""How long both secrets sign after a rotation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """One address. `event_types` empty: all of them. `state`: active or disabled, with `disabled_reason`."""

    endpoint_id: str
    room_id: str
    url: str
    event_types: list[str]
    state: str
    disabled_reason: str | None
    generation: int
    rotated_at_ms: int | None
    created_at_ms: int
    last_success_at_ms: int | None
    last_failure_at_ms: int | None

    def wants(self, event_type: str) -> bool:
        """Whether it is to be told."""
        return self.state == "active" and (
            event_type == "ping" or not self.event_types or event_type in self.event_types
        )

    def generations(self, now_ms: int) -> list[int]:
        """The secrets that sign now, the newest first."""
        if self.rotated_at_ms is not None and now_ms < self.rotated_at_ms + OLD_SECRET_MS:
            return [self.generation, self.generation - 1]
        return [self.generation]


def check(url: str, event_types: Sequence[str], *, https_only: bool) -> None:
    """Raise Invalid("bad_url" or "unknown_event_type") for what can't be an endpoint. Where it leads is looked at when sending."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in (("https",) if https_only else ("https", "http")) and bool(parts.hostname)
        good = good and parts.port != 0 and not parts.username and not parts.fragment
    except ValueError:
        good = False
    if not good or len(url) > MAX_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        wanted = "https://" if https_only else "https:// or http://"
        raise Invalid(
            "bad_url", f"an address begins with {wanted}, without a name, password or fragment", field="url"
        )
    for event_type in event_types:
        if event_type not in EVENT_TYPES:
            raise Invalid(
                "unknown_event_type", f"there is no event type {event_type[:40]!r}", field="event_types"
            )


async def create(
    c: AsyncConnection, endpoint_id: str, room_id: str, url: str, event_types: Sequence[str], now_ms: int
) -> WebhookEndpoint:
    """A new endpoint, or the one that this id made before. Raises OutOfState("too_many_webhooks")."""
    count = select(func.count()).select_from(webhook_endpoint).where(webhook_endpoint.c.room_id == room_id)
    existing = await find(c, endpoint_id)
    if existing is not None:
        return existing
    if (await c.execute(count)).scalar_one() >= MAX_ENDPOINTS:
        raise OutOfState("too_many_webhooks", f"a room has at most {MAX_ENDPOINTS} webhook addresses")
    row = {
        "endpoint_id": endpoint_id,
        "room_id": room_id,
        "url": url,
        "event_types": list(dict.fromkeys(event_types)),
        "state": "active",
        "generation": 1,
        "created_at_ms": now_ms,
    }
    await c.execute(upsert.insert_into(c, webhook_endpoint).values(row).on_conflict_do_nothing())
    return await get(c, room_id, endpoint_id)


async def find(c: AsyncConnection, endpoint_id: str) -> WebhookEndpoint | None:
    query = select(webhook_endpoint).where(webhook_endpoint.c.endpoint_id == endpoint_id)
    row = (await c.execute(query)).first()
    return None if row is None else _endpoint(row)


async def get(c: AsyncConnection, room_id: str, endpoint_id: str) -> WebhookEndpoint:
    """The room's endpoint; raises NotFound("unknown_webhook")."""
    found = await find(c, endpoint_id)
    if found is None or found.room_id != room_id:
        raise NotFound("unknown_webhook", "there is no such webhook address")
    return found


async def list_for_room(c: AsyncConnection, room_id: str) -> list[WebhookEndpoint]:
    """All of a room, oldest first."""
    query = select(webhook_endpoint).where(webhook_endpoint.c.room_id == room_id)
    rows = await c.execute(query.order_by(webhook_endpoint.c.created_at_ms, webhook_endpoint.c.endpoint_id))
    return [_endpoint(row) for row in rows]


async def remove(c: AsyncConnection, room_id: str, endpoint_id: str) -> None:
    """Take it away with all its deliveries; raises NotFound."""
    await get(c, room_id, endpoint_id)
    await c.execute(delete(webhook_delivery).where(webhook_delivery.c.endpoint_id == endpoint_id))
    await c.execute(delete(webhook_endpoint).where(webhook_endpoint.c.endpoint_id == endpoint_id))


async def rotate(
    c: AsyncConnection, room_id: str, endpoint_id: str, generation: int, now_ms: int
) -> WebhookEndpoint:
    """The secret after `generation`; the old one signs beside it for a day. Repeated for the same generation it changes nothing."""
    await get(c, room_id, endpoint_id)
    mine = (webhook_endpoint.c.endpoint_id == endpoint_id, webhook_endpoint.c.generation == generation)
    await c.execute(
        update(webhook_endpoint).where(*mine).values(generation=generation + 1, rotated_at_ms=now_ms)
    )
    return await get(c, room_id, endpoint_id)


async def enable(c: AsyncConnection, room_id: str, endpoint_id: str) -> WebhookEndpoint:
    """Switch it on again; what died meanwhile is replayed when asked for."""
    await get(c, room_id, endpoint_id)
    mine = update(webhook_endpoint).where(webhook_endpoint.c.endpoint_id == endpoint_id)
    await c.execute(mine.values(state="active", disabled_reason=None))
    return await get(c, room_id, endpoint_id)


async def disable(c: AsyncConnection, endpoint_id: str, reason: str) -> None:
    """Switch it off."""
    mine = update(webhook_endpoint).where(webhook_endpoint.c.endpoint_id == endpoint_id)
    await c.execute(mine.values(state="disabled", disabled_reason=reason[:200]))


def _endpoint(row: Row[Any]) -> WebhookEndpoint:
    return WebhookEndpoint(**{field.name: getattr(row, field.name) for field in fields(WebhookEndpoint)})
