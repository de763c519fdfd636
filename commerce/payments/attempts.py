"""Payment attempts as rows. All changes of one order take turns on its hold's row, and each is a compare-and-set besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from sqlalchemy import Row, Select, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import NotFound
from commerce.schema import LIVE_ATTEMPTS, payment_attempt
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table

LIVE: Final = LIVE_ATTEMPTS
"""Such an attempt may still become money."""

OUTCOMES: Final[Mapping[str, tuple[str, ...]]] = {
    # Money always counts, also after a "no": providers change their mind and messages overtake each other.
    "succeeded": ("created", "pending", "unknown", "declined", "closed"),
    "declined": ("created", "pending", "unknown"),
    "closed": ("created", "pending", "unknown"),
    "pending": ("created", "unknown"),
    "unknown": ("created",),
}
"""Outcome -> states it may follow. Elsewhere it is old news and changes nothing."""

FIRST_POLL_MS: Final = 3_000
MAX_POLL_PAUSE_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to pay an order."""

    attempt_id: str
    order_id: str
    number: int
    request_key: str
    provider: str
    provider_ref: str | None
    amount_minor: int
    currency: str
    state: str
    reason: str | None
    card_last4: str | None
    next_action: dict[str, str] | None
    received_minor: int | None
    received_currency: str | None
    captured_minor: int
    refunded_minor: int
    created_at_ms: int
    changed_at_ms: int
    polls: int

    @property
    def answer(self) -> Literal["succeeded", "declined", "pending"]:
        """What the buyer is told: succeeded, declined, or pending for all that is not decided."""
        if self.state == "succeeded":
            return "succeeded"
        return "declined" if self.state in ("declined", "closed") else "pending"


def _attempts() -> Select[Any]:
    return select(*(payment_attempt.c[field.name] for field in fields(Attempt)))


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**row._mapping)


async def find(c: AsyncConnection, attempt_id: str) -> Attempt | None:
    row = (await c.execute(_attempts().where(payment_attempt.c.attempt_id == attempt_id))).first()
    return None if row is None else _attempt(row)


async def get(c: AsyncConnection, attempt_id: str) -> Attempt:
    """The attempt; raises NotFound("unknown_attempt")."""
    attempt = await find(c, attempt_id)
    if attempt is None:
        raise NotFound("unknown_attempt", "there is no such payment", attempt_id=attempt_id)
    return attempt


async def list_for_order(c: AsyncConnection, order_id: str) -> list[Attempt]:
    """All attempts of an order, oldest first."""
    query = _attempts().where(payment_attempt.c.order_id == order_id).order_by(payment_attempt.c.number)
    return [_attempt(row) for row in await c.execute(query)]


async def list_due(c: AsyncConnection, now_ms: int, limit: int) -> list[Attempt]:
    """Undecided attempts whose provider is to be asked now."""
    query = _attempts().where(payment_attempt.c.state.in_(LIVE), payment_attempt.c.next_poll_at_ms <= now_ms)
    rows = await c.execute(query.order_by(payment_attempt.c.next_poll_at_ms).limit(limit))
    return [_attempt(row) for row in rows]


async def list_quarantined(c: AsyncConnection, room_id: str, limit: int) -> list[Attempt]:
    """A room's payments that wait for a person, oldest first."""
    query = _attempts().join(order_table, order_table.c.order_id == payment_attempt.c.order_id)
    mine = (order_table.c.room_id == room_id, payment_attempt.c.state == "quarantined")
    rows = await c.execute(query.where(*mine).order_by(payment_attempt.c.changed_at_ms).limit(limit))
    return [_attempt(row) for row in rows]


async def lock_order(c: AsyncConnection, order_id: str) -> Row[Any]:
    """The order's hold, which nobody else changes until this transaction ends (on SQLite nobody else writes at all)."""
    query = select(hold_table).where(hold_table.c.order_id == order_id).with_for_update()
    row = (await c.execute(query)).first()
    if row is None:
        raise NotFound("unknown_order", "there is no such order", order_id=order_id)
    return row


async def add(
    c: AsyncConnection,
    *,
    order_id: str,
    number: int,
    provider: str,
    amount_minor: int,
    currency: str,
    request_key: str,
    card_last4: str | None,
    now_ms: int,
) -> Attempt:
    """A new attempt in state `created`. Raises IntegrityError when one is live or the request key was used for this order."""
    attempt = Attempt(
        attempt_id=f"pa_{order_id.removeprefix('or_')}_{number}",
        order_id=order_id,
        number=number,
        request_key=request_key,
        provider=provider,
        provider_ref=None,
        amount_minor=amount_minor,
        currency=currency,
        state="created",
        reason=None,
        card_last4=card_last4,
        next_action=None,
        received_minor=None,
        received_currency=None,
        captured_minor=0,
        refunded_minor=0,
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
        polls=0,
    )
    row = asdict(attempt) | {"next_poll_at_ms": now_ms + FIRST_POLL_MS}
    await c.execute(insert(payment_attempt).values(row))
    return attempt


async def change(c: AsyncConnection, attempt_id: str, outcome: str, now_ms: int, **values: Any) -> bool:
    """Compare-and-set to what an outcome means; False when it is old news."""
    cas = update(payment_attempt).where(
        payment_attempt.c.attempt_id == attempt_id, payment_attempt.c.state.in_(OUTCOMES[outcome])
    )
    state = values.pop("state", outcome)
    return (await c.execute(cas.values(state=state, changed_at_ms=now_ms, **values))).rowcount == 1


async def postpone(c: AsyncConnection, attempt: Attempt, now_ms: int) -> None:
    """Ask again later, with growing pauses of at most a minute."""
    pause_ms = min(MAX_POLL_PAUSE_MS, FIRST_POLL_MS * 2 ** min(attempt.polls, 10))
    statement = update(payment_attempt).where(payment_attempt.c.attempt_id == attempt.attempt_id)
    await c.execute(statement.values(next_poll_at_ms=now_ms + pause_ms, polls=payment_attempt.c.polls + 1))
