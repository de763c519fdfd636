"""The one `settle`: what a provider says about an attempt, whoever heard it, becomes true here once.

Browser's return, webhook, poller, "close says paid" and operator all end in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import ledger, orders, outbox, stock
from commerce.orders import Order
from commerce.payments import attempts, refunds
from commerce.payments.attempts import Attempt
from commerce.payments.provider import PaymentAnswer
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table


@dataclass(frozen=True, slots=True)
class Settled:
    """What the outcome led to: `effect` is paid, paid_late, returned, quarantined, noted or old_news."""

    effect: str
    attempt: Attempt
    sale_id: str
    buyer_id: str

    @property
    def stock_changed(self) -> bool:
        return self.effect in ("paid", "paid_late")


async def settle(
    c: AsyncConnection, attempt_id: str, answer: PaymentAnswer, source: str, now_ms: int
) -> Settled:
    """Apply a provider's answer in this transaction. Old news changes nothing and is no error.

    `source` says who heard it (create, webhook, poll, close, operator). Raises NotFound("unknown_attempt").
    """
    order_id = (await attempts.get(c, attempt_id)).order_id
    hold = await attempts.lock_order(c, order_id)
    attempt = await attempts.get(c, attempt_id)
    if answer.outcome == "succeeded":
        effect = await _succeed(c, hold, attempt, answer, source, now_ms)
    elif answer.outcome in attempts.OUTCOMES:
        noted = await attempts.change(
            c, attempt_id, answer.outcome, now_ms, reason=answer.reason, **_reference(answer)
        )
        effect = "noted" if noted else "old_news"
        if noted and answer.outcome in ("declined", "closed"):
            await _report_attempt(c, attempt, f"payment_{answer.outcome}", answer.reason, now_ms)
    else:
        effect = "old_news"
    return Settled(effect, await attempts.get(c, attempt_id), hold.sale_id, hold.buyer_id)


def _reference(answer: PaymentAnswer) -> dict[str, Any]:
    """What the provider calls it, and what the buyer has to do; what an answer does not repeat stays."""
    found: dict[str, Any] = {}
    if answer.provider_ref is not None:
        found["provider_ref"] = answer.provider_ref
    if answer.next_action is not None:
        found["next_action"] = dict(answer.next_action)
    return found


async def _succeed(
    c: AsyncConnection, hold: Row[Any], attempt: Attempt, answer: PaymentAnswer, source: str, now_ms: int
) -> str:
    if (answer.amount_minor, answer.currency) != (attempt.amount_minor, attempt.currency):
        reason = (
            f"asked {attempt.amount_minor} {attempt.currency}, got {answer.amount_minor} {answer.currency}"[
                :80
            ]
        )
        if (attempt.received_minor, attempt.received_currency) == (answer.amount_minor, answer.currency):
            return "old_news"  # told before; somebody may have seen to it already
        wrong = await attempts.change(
            c,
            attempt.attempt_id,
            "succeeded",
            now_ms,
            state="quarantined",
            reason=reason,
            received_minor=answer.amount_minor,
            received_currency=answer.currency,
            **_reference(answer),
        )
        if wrong:
            await _report_attempt(c, attempt, "payment_quarantined", reason, now_ms)
        return "quarantined" if wrong else "old_news"
    money = {"captured_minor": attempt.amount_minor, "reason": None}
    if not await attempts.change(c, attempt.attempt_id, "succeeded", now_ms, **money, **_reference(answer)):
        return "old_news"
    order = await orders.get(c, attempt.order_id)
    if answer.fee_minor:
        fee = ledger.fee(
            attempt.attempt_id, order.order_id, answer.fee_minor, attempt.currency, attempt.provider
        )
        await ledger.post(c, fee, now_ms)
    if hold.state in ("bound", "expiring"):
        await _sell(c, hold, order, attempt, source, now_ms)
        return "paid"
    if hold.state == "released" and await _reacquire(c, hold, order):
        await _become_paid(c, order, attempt, source, now_ms, late=True)
        return "paid_late"
    # Paid twice, cancelled by its buyer, or no unit is left: the money goes back, with an id that cannot be made twice.
    total, currency = attempt.amount_minor, attempt.currency
    await ledger.post(
        c,
        ledger.captured_in_vain(attempt.attempt_id, order.order_id, total, currency, attempt.provider),
        now_ms,
    )
    reason = "paid_twice" if hold.state in ("sold", "returned") else "paid_too_late"
    await refunds.promise(c, f"rf_{attempt.attempt_id}_vain", attempt, total, reason, now_ms)
    await _report_attempt(c, attempt, "payment_returned", reason, now_ms)
    return "returned"


async def _sell(
    c: AsyncConnection, hold: Row[Any], order: Order, attempt: Attempt, source: str, now_ms: int
) -> None:
    await _set_hold(c, hold, "sold")
    await stock.sell_reserved(c, hold.sale_id, hold.quantity)
    await _become_paid(c, order, attempt, source, now_ms, late=False)


async def _set_hold(c: AsyncConnection, hold: Row[Any], state: str) -> None:
    cas = update(hold_table).where(hold_table.c.hold_id == hold.hold_id, hold_table.c.state == hold.state)
    done = await c.execute(cas.values(state=state))
    assert done.rowcount == 1, "the order's lock was not held"


async def _reacquire(c: AsyncConnection, hold: Row[Any], order: Order) -> bool:
    """Take the unit again for an order that had expired, if the sale and the buyer's limit still allow it.

    A savepoint, because a half success has to be undone while the payment itself stays.
    """
    if order.state != "expired":
        return False
    async with c.begin_nested() as savepoint:
        limit = await stock.quota_limit(c, hold.sale_id, hold.buyer_id)
        used = await stock.use_quota(c, hold.sale_id, hold.buyer_id, hold.quantity, limit)
        if used is None or not await stock.sell_free(c, hold.sale_id, hold.quantity):
            await savepoint.rollback()
            return False
        await _set_hold(c, hold, "sold")
    return True


async def _become_paid(
    c: AsyncConnection, order: Order, attempt: Attempt, source: str, now_ms: int, *, late: bool
) -> None:
    state = orders.next_state(order.state, "pay")
    cas = update(order_table).where(
        order_table.c.order_id == order.order_id, order_table.c.state == order.state
    )
    done = await c.execute(
        cas.values(state=state, paid_at_ms=now_ms, changed_at_ms=now_ms, state_reason=None)
    )
    assert done.rowcount == 1, "the order's lock was not held"
    money = (attempt.amount_minor, attempt.currency, attempt.provider)
    await ledger.post(c, ledger.paid(attempt.attempt_id, order.order_id, *money, late=late), now_ms)
    payload = orders.event_payload(order, now_ms, attempt_id=attempt.attempt_id, source=source, late=late)
    await outbox.record(c, order.order_id, "order_paid", payload)


async def _report_attempt(
    c: AsyncConnection, attempt: Attempt, event: str, reason: str | None, now_ms: int
) -> None:
    order = await orders.get(c, attempt.order_id)
    payload = orders.event_payload(order, now_ms, attempt_id=attempt.attempt_id, reason=reason)
    await outbox.record(c, order.order_id, event, payload)
