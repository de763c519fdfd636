"""Refunds: promised in the transaction that decides them, sent by a worker under the same id until the provider has answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points, ledger, outbox
from commerce.database import Database
from commerce.errors import Refused, Unavailable
from commerce.payments.attempts import Attempt
from commerce.payments.provider import NewRefund, Provider, RefundAnswer
from commerce.schema import order as order_table
from commerce.schema import payment_attempt
from commerce.schema import refund as refund_table

FIRST_PAUSE_MS: Final = 1_000
MAX_PAUSE_MS: Final = 300_000


async def promise(
    c: AsyncConnection, refund_id: str, attempt: Attempt, amount_minor: int, reason: str, now_ms: int
) -> None:
    """A pending refund, within what was captured and not promised yet: else Refused("refund_above_captured")."""
    room = update(payment_attempt).where(
        payment_attempt.c.attempt_id == attempt.attempt_id,
        payment_attempt.c.refunded_minor + amount_minor <= payment_attempt.c.captured_minor,
    )
    more = {"refunded_minor": payment_attempt.c.refunded_minor + amount_minor}
    if (await c.execute(room.values(more))).rowcount != 1:
        raise Refused(
            "refund_above_captured", "more would go back than was paid", attempt_id=attempt.attempt_id
        )
    await c.execute(
        insert(refund_table).values(
            refund_id=refund_id,
            attempt_id=attempt.attempt_id,
            order_id=attempt.order_id,
            amount_minor=amount_minor,
            currency=attempt.currency,
            state="pending",
            reason=reason,
            tries=0,
            next_try_at_ms=now_ms,
            created_at_ms=now_ms,
            changed_at_ms=now_ms,
        )
    )


async def send_pending(
    database: Database, providers: Mapping[str, Provider], clock_ms: Callable[[], int], limit: int
) -> int:
    """Ask the providers for up to `limit` pending refunds; how many were answered for good. Repeats are harmless: same id."""
    async with database.read() as c:
        waiting = (refund_table.c.state == "pending", refund_table.c.next_try_at_ms <= clock_ms())
        columns = (
            refund_table,
            payment_attempt.c.provider,
            payment_attempt.c.provider_ref.label("payment_ref"),
            payment_attempt.c.captured_minor,
        )
        query = select(*columns).join_from(refund_table, payment_attempt).where(*waiting)
        due = (await c.execute(query.order_by(refund_table.c.next_try_at_ms).limit(limit))).all()
    answered = 0
    for row in due:
        try:
            answer = await providers[row.provider].refund(
                NewRefund(
                    refund_id=row.refund_id,
                    attempt_id=row.attempt_id,
                    provider_ref=row.payment_ref,
                    amount_minor=row.amount_minor,
                    total_minor=row.captured_minor,
                    currency=row.currency,
                )
            )
        except Unavailable as error:
            answer = RefundAnswer(state="pending", reason=error.code)
        crash_points.reach("refund.answered")
        async with database.begin() as c:
            answered += await _note(c, row, answer, clock_ms())
    return answered


async def _note(c: AsyncConnection, row: Row[Any], answer: RefundAnswer, now_ms: int) -> bool:
    mine = (refund_table.c.refund_id == row.refund_id, refund_table.c.state == "pending")
    values: dict[str, Any] = {"changed_at_ms": now_ms, "provider_ref": answer.provider_ref}
    if answer.state == "pending":
        pause_ms = min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(row.tries, 10))
        values |= {"tries": refund_table.c.tries + 1, "next_try_at_ms": now_ms + pause_ms}
        await c.execute(update(refund_table).where(*mine).values(values))
        return False
    if (
        await c.execute(update(refund_table).where(*mine).values(values | {"state": answer.state}))
    ).rowcount != 1:
        return False
    if answer.state == "succeeded":
        money = (row.amount_minor, row.currency, row.provider)
        await ledger.post(c, ledger.refunded(row.refund_id, row.order_id, *money), now_ms)
    else:
        # Not possible any more: the money is still here, and the invariant `paid_means_captured` calls a person.
        back = update(payment_attempt).where(payment_attempt.c.attempt_id == row.attempt_id)
        await c.execute(back.values(refunded_minor=payment_attempt.c.refunded_minor - row.amount_minor))
    order = (await c.execute(select(order_table).where(order_table.c.order_id == row.order_id))).one()
    names = ("order_id", "order_number", "room_id", "buyer_id", "sale_id", "hold_id", "ghost")
    payload = {name: getattr(order, name) for name in names}
    payload |= {"refund_id": row.refund_id, "amount_minor": row.amount_minor, "currency": row.currency}
    await outbox.record(
        c, row.order_id, f"refund_{answer.state}", payload | {"at_ms": now_ms, "reason": row.reason}
    )
    return True
