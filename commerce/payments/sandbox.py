"""The built-in provider: it plays the outside world, with its own tables, its own transactions and signed webhooks over HTTP.

The card number decides what happens, as with the test cards of real providers:

| card | behaviour |
|---|---|
| 4242424242424242 | succeeds |
| 4000000000000002 | declined |
| 4000000000009995 | declined: insufficient funds |
| 4000000000000341 | the call times out; the payment succeeds late and says so by webhook |
| 4000000000000259 | succeeds, and notifies twice |
| 4000000000003220 | answers pending; the later message arrives before the earlier one |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points
from commerce.database import Database
from commerce.errors import Invalid, Unavailable
from commerce.payments import sandbox_webhooks
from commerce.payments.provider import (
    NewPayment,
    NewRefund,
    PaymentAnswer,
    Provider,
    RefundAnswer,
    WebhookEvent,
)
from commerce.schema import sandbox_delivery, sandbox_payment, sandbox_refund

BEHAVIOURS: Final = {
    "4242424242424242": "succeeds",
    "4000000000000002": "card_declined",
    "4000000000009995": "insufficient_funds",
    "4000000000000341": "times_out",
    "4000000000000259": "notifies_twice",
    "4000000000003220": "notifies_out_of_order",
}
LATE_MS: Final = 4_000
"""How late the card that times out succeeds."""
OUT_OF_ORDER_MS: Final = 300
MAX_TRIES: Final = 20
_ANSWERS: Final = {"pending": "pending", "succeeded": "succeeded", "declined": "declined", "closed": "closed"}


class _NotRefundable(Exception):
    """Rolls a refund back."""


@dataclass(frozen=True, slots=True)
class _Payment:
    """A row of the sandbox's own books."""

    attempt_id: str
    provider_ref: str
    amount_minor: int
    currency: str
    state: str
    reason: str | None
    behaviour: str
    decides_at_ms: int
    refunded_minor: int
    created_at_ms: int


class Sandbox(Provider):
    """A Provider, and `deliver_due` for the worker that plays its webhook sender."""

    def __init__(
        self, database: Database, webhook_key: bytes, clock_ms: Callable[[], int], late_ms: int = LATE_MS
    ) -> None:
        self._database = database
        self._webhook_key = webhook_key
        self._clock_ms = clock_ms
        self._late_ms = late_ms

    @property
    def name(self) -> str:
        return "sandbox"

    def check_method(self, method: Mapping[str, Any], currency: str) -> str | None:
        """The card's last four digits; raises Invalid("bad_card")."""
        return _card_number(method)[-4:]

    async def create(self, payment: NewPayment) -> PaymentAnswer:
        """Idempotent by attempt id. The card that times out raises Unavailable although the payment exists."""
        behaviour = BEHAVIOURS.get(_card_number(payment.method), "card_declined")
        now_ms = self._clock_ms()
        try:
            async with self._database.begin() as c:
                found = await self._look(c, payment.attempt_id, now_ms)
                if found is None:
                    found = await self._add(c, payment, behaviour, now_ms)
        except IntegrityError as error:  # the same reference is being created at this very moment
            raise Unavailable("provider_busy", "the payment is just being created") from error
        crash_points.reach("sandbox.created")
        if found.state == "pending" and found.behaviour == "times_out":
            raise Unavailable("provider_timeout", "the payment provider did not answer in time")
        if found.behaviour == "notifies_out_of_order" and found.decides_at_ms > now_ms - OUT_OF_ORDER_MS:
            return PaymentAnswer(outcome="pending", provider_ref=found.provider_ref)
        return _answer(found)

    async def _add(self, c: AsyncConnection, payment: NewPayment, behaviour: str, now_ms: int) -> _Payment:
        state = {"card_declined": "declined", "insufficient_funds": "declined", "times_out": "pending"}
        values: dict[str, Any] = {
            "attempt_id": payment.attempt_id,
            "provider_ref": f"sbx_{payment.attempt_id}",
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "state": state.get(behaviour, "succeeded"),
            "reason": behaviour if state.get(behaviour) == "declined" else None,
            "behaviour": behaviour,
            "decides_at_ms": now_ms + (self._late_ms if behaviour == "times_out" else 0),
            "refunded_minor": 0,
            "created_at_ms": now_ms,
        }
        await c.execute(insert(sandbox_payment).values(values))
        added = _Payment(**values)
        if added.state == "pending":
            return added
        await self._notify(c, values, values["state"], now_ms)
        if behaviour == "notifies_twice":
            await self._notify(c, values, "succeeded", now_ms)
        if behaviour == "notifies_out_of_order":
            await self._notify(c, values, "pending", now_ms + OUT_OF_ORDER_MS)
        return added

    async def _notify(
        self, c: AsyncConnection, payment: Mapping[str, Any], state: str, due_at_ms: int
    ) -> None:
        event_id, body = sandbox_webhooks.encode(payment, state)
        await c.execute(
            insert(sandbox_delivery).values(event_id=event_id, body=body, due_at_ms=due_at_ms, tries=0)
        )

    async def _look(self, c: AsyncConnection, attempt_id: str, now_ms: int) -> _Payment | None:
        """The payment as of now: one that was to succeed late has done so when its time has come."""
        query = select(sandbox_payment).where(sandbox_payment.c.attempt_id == attempt_id)
        row = (await c.execute(query)).first()
        if row is not None and row.state == "pending" and row.decides_at_ms <= now_ms:
            await self._decide_late(c, now_ms, attempt_id)
            row = (await c.execute(query)).one()
        return None if row is None else _Payment(**row._mapping)

    async def _decide_late(self, c: AsyncConnection, now_ms: int, attempt_id: str | None = None) -> None:
        due = [sandbox_payment.c.state == "pending", sandbox_payment.c.decides_at_ms <= now_ms]
        if attempt_id is not None:
            due.append(sandbox_payment.c.attempt_id == attempt_id)
        for row in (await c.execute(select(sandbox_payment).where(*due).limit(500))).all():
            mine = (sandbox_payment.c.attempt_id == row.attempt_id, sandbox_payment.c.state == "pending")
            if (await c.execute(update(sandbox_payment).where(*mine).values(state="succeeded"))).rowcount:
                await self._notify(c, row._asdict(), "succeeded", now_ms)

    async def ping(self) -> None:
        """It is part of this very installation."""

    async def query(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        async with self._database.begin() as c:
            found = await self._look(c, attempt_id, self._clock_ms())
        return PaymentAnswer(outcome="not_found") if found is None else _answer(found)

    async def cancel(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        """Closed, or what it had become before. An unknown reference is closed too, so that a late `create` finds it shut."""
        now_ms = self._clock_ms()
        try:
            async with self._database.begin() as c:
                found = await self._look(c, attempt_id, now_ms)
                if found is None:
                    tombstone = {"provider_ref": f"sbx_{attempt_id}", "amount_minor": 0, "currency": "XXX"}
                    tombstone |= {"state": "closed", "behaviour": "closed_first", "refunded_minor": 0}
                    times = {"decides_at_ms": now_ms, "created_at_ms": now_ms}
                    await c.execute(
                        insert(sandbox_payment).values(attempt_id=attempt_id, **tombstone, **times)
                    )
                else:
                    mine = (sandbox_payment.c.attempt_id == attempt_id, sandbox_payment.c.state == "pending")
                    await c.execute(update(sandbox_payment).where(*mine).values(state="closed"))
                done = await self._look(c, attempt_id, now_ms)
        except IntegrityError as error:  # created at this very moment: ask again
            raise Unavailable("provider_busy", "the payment is just being created") from error
        assert done is not None
        return _answer(done)

    async def refund(self, refund: NewRefund) -> RefundAnswer:
        """Idempotent by refund id; fails when more would go back than came."""
        known = select(sandbox_refund).where(sandbox_refund.c.refund_id == refund.refund_id)
        row = {
            "refund_id": refund.refund_id,
            "attempt_id": refund.attempt_id,
            "amount_minor": refund.amount_minor,
        }
        try:
            async with self._database.begin() as c:
                if (await c.execute(known)).first() is None:
                    # First the row: its key makes the same refund wait, where the sums would call it one too many.
                    await c.execute(insert(sandbox_refund).values(**row, created_at_ms=self._clock_ms()))
                    if not await self._pay_back(c, refund):
                        raise _NotRefundable
        except _NotRefundable:
            return RefundAnswer(state="failed", reason="not_refundable")
        except IntegrityError as error:  # being paid at this very moment; or the payment is unknown
            if (await self.query(refund.attempt_id, None)).outcome == "not_found":
                return RefundAnswer(state="failed", reason="not_refundable")
            raise Unavailable("provider_busy", "the refund is just being paid") from error
        return RefundAnswer(state="succeeded", provider_ref=f"sbx_{refund.refund_id}")

    async def _pay_back(self, c: AsyncConnection, refund: NewRefund) -> bool:
        paid_back = update(sandbox_payment).where(
            sandbox_payment.c.attempt_id == refund.attempt_id,
            sandbox_payment.c.state == "succeeded",
            sandbox_payment.c.currency == refund.currency,
            sandbox_payment.c.refunded_minor + refund.amount_minor <= sandbox_payment.c.amount_minor,
        )
        more = {"refunded_minor": sandbox_payment.c.refunded_minor + refund.amount_minor}
        return (await c.execute(paid_back.values(more))).rowcount == 1

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> WebhookEvent:
        sandbox_webhooks.verify(self._webhook_key, headers, body, now_ms)
        return sandbox_webhooks.decode(body)

    def read_webhook(self, body: bytes) -> WebhookEvent:
        return sandbox_webhooks.decode(body)

    async def deliver_due(
        self, post: Callable[[dict[str, str], bytes], Awaitable[int]], limit: int = 50
    ) -> int:
        """Send up to `limit` due webhooks with `post(headers, body) -> HTTP status`; how many were accepted (2xx).

        Others are tried again with growing pauses, at most 20 times. Two senders at once lead to duplicates, as in real life.
        """
        now_ms = self._clock_ms()
        if not await self._anything_due(now_ms):
            return 0
        async with self._database.begin() as c:
            await self._decide_late(c, now_ms)
            waiting = (sandbox_delivery.c.delivered_at_ms.is_(None), sandbox_delivery.c.tries < MAX_TRIES)
            query = select(sandbox_delivery).where(*waiting, sandbox_delivery.c.due_at_ms <= now_ms)
            due = (await c.execute(query.order_by(sandbox_delivery.c.due_at_ms).limit(limit))).all()
        accepted = 0
        for row in due:
            try:
                status = await post(
                    sandbox_webhooks.sign(self._webhook_key, row.body, self._clock_ms()), row.body
                )
            except (OSError, TimeoutError, Unavailable):
                status = 0
            ok = 200 <= status < 300
            accepted += ok
            pause_ms = min(60_000, 500 * 2 ** min(row.tries, 10))
            values = (
                {"delivered_at_ms": self._clock_ms()} if ok else {"due_at_ms": self._clock_ms() + pause_ms}
            )
            mine = sandbox_delivery.c.delivery_id == row.delivery_id
            async with self._database.begin() as c:
                await c.execute(update(sandbox_delivery).where(mine).values(tries=row.tries + 1, **values))
        return accepted

    async def _anything_due(self, now_ms: int) -> bool:
        """A look that blocks no writer: mostly there is nothing to do."""
        late = select(sandbox_payment.c.attempt_id).where(
            sandbox_payment.c.state == "pending", sandbox_payment.c.decides_at_ms <= now_ms
        )
        waiting = select(sandbox_delivery.c.delivery_id).where(
            sandbox_delivery.c.delivered_at_ms.is_(None),
            sandbox_delivery.c.tries < MAX_TRIES,
            sandbox_delivery.c.due_at_ms <= now_ms,
        )
        async with self._database.read() as c:
            for query in (waiting, late):
                if (await c.execute(query.limit(1))).first() is not None:
                    return True
        return False


def _answer(row: _Payment) -> PaymentAnswer:
    captured = row.state == "succeeded"
    return PaymentAnswer(
        outcome=_ANSWERS[row.state],
        provider_ref=row.provider_ref,
        amount_minor=row.amount_minor if captured else None,
        currency=row.currency if captured else None,
        reason=row.reason,
    )


def _card_number(method: Mapping[str, Any]) -> str:
    number = method.get("card_number")
    digits = number.replace(" ", "") if isinstance(number, str) else ""
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19 and _luhn(digits)):
        raise Invalid("bad_card", "this is not a card number", field="card_number")
    return digits


def _luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
