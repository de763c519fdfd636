"""Payments of a wrong amount or currency wait here for a person, who decides what becomes of the money. Each decision is made once."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import ledger, orders
from commerce.errors import NotFound, OutOfState, Refused
from commerce.payments import attempts, refunds
from commerce.payments.attempts import Attempt
from commerce.schema import payment_attempt


async def send_back(c: AsyncConnection, room_id: str, attempt_id: str, now_ms: int) -> Attempt:
    """Promise all that came back to where it came from; the refund worker sends it. The order stays as it is, and may be paid rightly.

    Raises NotFound("unknown_attempt"), OutOfState("not_quarantined"), Refused("other_currency"): such money is handled by hand.
    """
    attempt = await _take(c, room_id, attempt_id)
    if attempt.received_currency != attempt.currency or not attempt.received_minor:
        raise Refused(
            "other_currency", "this came in another currency: send it back at the provider, then say so here"
        )
    total = attempt.received_minor
    await _resolve(c, attempt_id, "succeeded", now_ms, captured_minor=total, reason="wrong_amount")
    came = ledger.captured_in_vain(attempt_id, attempt.order_id, total, attempt.currency, attempt.provider)
    await ledger.post(c, came, now_ms)
    attempt = await attempts.get(c, attempt_id)
    await refunds.promise(c, f"rf_{attempt_id}_wrong", attempt, total, "wrong_amount", now_ms)
    return await attempts.get(c, attempt_id)


async def handled(c: AsyncConnection, room_id: str, attempt_id: str, note: str, now_ms: int) -> Attempt:
    """Somebody has seen to it at the provider: `note` says how. Nothing of it was ever in our books."""
    await _take(c, room_id, attempt_id)
    await _resolve(c, attempt_id, "closed", now_ms, reason=f"by hand: {note}"[:80])
    return await attempts.get(c, attempt_id)


async def _take(c: AsyncConnection, room_id: str, attempt_id: str) -> Attempt:
    attempt = await attempts.get(c, attempt_id)
    if (await orders.get(c, attempt.order_id)).room_id != room_id:
        raise NotFound("unknown_attempt", "there is no such payment", attempt_id=attempt_id)
    await attempts.lock_order(c, attempt.order_id)
    return await attempts.get(c, attempt_id)


async def _resolve(
    c: AsyncConnection, attempt_id: str, state: str, now_ms: int, *, reason: str, captured_minor: int = 0
) -> None:
    cas = update(payment_attempt).where(
        payment_attempt.c.attempt_id == attempt_id, payment_attempt.c.state == "quarantined"
    )
    values = {"state": state, "reason": reason, "captured_minor": captured_minor, "changed_at_ms": now_ms}
    if (await c.execute(cas.values(values))).rowcount != 1:
        raise OutOfState("not_quarantined", "this payment does not wait for anybody (any more)")
