"""The cashier: pays orders through providers, hears what became of them by four ways, and lets unpaid ones go.

No SQL transaction is open while a provider or Redis is called. Every call may be repeated, by anyone, without harm.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from commerce import crash_points, orders, sale_rows, snapshots, stock
from commerce.database import Database
from commerce.errors import CommerceError, Invalid, NotFound, OutOfState, Refused, Unavailable
from commerce.hot_ledger import HotLedger
from commerce.orders import Order
from commerce.payments import attempts, letting_go, refunds, settlement, webhook_inbox
from commerce.payments.attempts import Attempt
from commerce.payments.provider import NewPayment, PaymentAnswer, Provider, WebhookEvent

logger = logging.getLogger(__name__)

GIVE_UP_CREATING_MS: Final = 30_000
"""An attempt that the provider has never heard of after this long is closed there, so that a late call finds it shut."""
MAX_KEY_CHARACTERS: Final = 255


class Cashier:
    """`providers` by name. Raises NotFound, OutOfState, Refused, Invalid and Unavailable."""

    def __init__(
        self,
        database: Database,
        hot_ledger: HotLedger,
        providers: Mapping[str, Provider],
        clock_ms: Callable[[], int],
        new_id: Callable[[str], str],
    ) -> None:
        self.database = database
        self.hot_ledger = hot_ledger
        self.providers = dict(providers)
        self.clock_ms = clock_ms
        self.new_id = new_id

    def provider(self, name: str) -> Provider:
        """The provider of that name; raises NotFound("unknown_provider")."""
        found = self.providers.get(name)
        if found is None:
            raise NotFound("unknown_provider", "there is no such payment provider", provider=name[:40])
        return found

    async def pay(
        self, order_id: str, buyer_id: str, provider_name: str, method: Mapping[str, Any], request_key: str
    ) -> tuple[Order, Attempt]:
        """Try to pay: the order and the attempt as they stand afterwards. The same request key gives the same attempt.

        The attempt is committed before the provider hears of it. A provider that does not answer leaves it "unknown": the unit
        stays held until poller, webhook or closing has the answer. Raises OutOfState: order_state, payment_in_progress;
        Refused: hold_expired; Invalid: bad_card.
        """
        provider = self.provider(provider_name)
        if not 0 < len(request_key) <= MAX_KEY_CHARACTERS:
            raise Invalid("bad_request_key", f"a request key has 1 to {MAX_KEY_CHARACTERS} characters")
        try:
            attempt, deadline_ms = await self._begin(order_id, buyer_id, provider, method, request_key)
        except IntegrityError as error:
            raise OutOfState("payment_in_progress", "another payment of this order is under way") from error
        crash_points.reach("pay.attempt_committed")
        if attempt.state == "created":
            attempt = await self._create(provider, attempt, method, deadline_ms)
        async with self.database.read() as c:
            return await orders.get(c, order_id, buyer_id), await attempts.get(c, attempt.attempt_id)

    async def _begin(
        self, order_id: str, buyer_id: str, provider: Provider, method: Mapping[str, Any], request_key: str
    ) -> tuple[Attempt, int]:
        """The attempt, and until when its order may be paid."""
        async with self.database.begin() as c:
            await orders.get(c, order_id, buyer_id)  # NotFound for a stranger, before anything is locked
            hold = await attempts.lock_order(c, order_id)
            order = await orders.get(c, order_id)
            tried = await attempts.list_for_order(c, order_id)
            for known in tried:
                if known.request_key == request_key:
                    return known, hold.deadline_ms
                if known.state in attempts.LIVE:
                    raise OutOfState("payment_in_progress", "another payment of this order is under way")
            orders.next_state(order.state, "pay")
            now_ms = self.clock_ms()
            if hold.state != "bound" or now_ms >= hold.deadline_ms:
                raise Refused(
                    "hold_expired", "the time to pay is over", deadline_ms=hold.deadline_ms, now_ms=now_ms
                )
            attempt = await attempts.add(
                c,
                order_id=order_id,
                number=len(tried) + 1,
                provider=provider.name,
                amount_minor=order.total_minor,
                currency=order.currency,
                request_key=request_key,
                card_last4=provider.check_method(method, order.currency),
                now_ms=now_ms,
            )
            return attempt, hold.deadline_ms

    async def _create(
        self, provider: Provider, attempt: Attempt, method: Mapping[str, Any], deadline_ms: int
    ) -> Attempt:
        payment = NewPayment(
            attempt_id=attempt.attempt_id,
            order_id=attempt.order_id,
            amount_minor=attempt.amount_minor,
            currency=attempt.currency,
            method=method,
            expires_at_ms=deadline_ms,
        )
        try:
            answer = await provider.create(payment)
        except Unavailable as error:
            answer = PaymentAnswer(outcome="unknown", reason=error.code)
        crash_points.reach("pay.provider_answered")
        return await self.settle(attempt.attempt_id, answer, "create")

    async def settle(self, attempt_id: str, answer: PaymentAnswer, source: str) -> Attempt:
        """Make a provider's answer true, once; then tell Redis. Old news changes nothing."""
        return (await self._settle(attempt_id, answer, source)).attempt

    async def _settle(self, attempt_id: str, answer: PaymentAnswer, source: str) -> settlement.Settled:
        async with self.database.begin() as c:
            settled = await settlement.settle(c, attempt_id, answer, source, self.clock_ms())
        crash_points.reach("settle.committed")
        if settled.effect in ("quarantined", "returned"):
            logger.warning("attempt %s was %s (%s)", attempt_id, settled.effect, source)
        if settled.stock_changed:
            await self._tell(settled.sale_id, settled.buyer_id)
        return settled

    async def _tell(self, sale_id: str, buyer_id: str) -> None:
        """Bring Redis to what SQL says now about the sale and this buyer's quota."""
        async with self.database.read() as c:
            sale = await sale_rows.get(c, sale_id)
            used = await stock.used_quota(c, sale_id, buyer_id)
        await snapshots.tell(self.hot_ledger, sale, {buyer_id: used})

    async def receive_webhook(self, provider_name: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Verify and store a message, nothing more; False when it was here before.

        Header names are lower case. Raises Refused("bad_signature"), Invalid("bad_webhook"), NotFound("unknown_provider").
        """
        event = self.provider(provider_name).verify_webhook(headers, body, self.clock_ms())
        async with self.database.begin() as c:
            return await webhook_inbox.store(c, provider_name, event, body, self.clock_ms())

    async def process_inbox(self, limit: int = 100) -> int:
        """Settle what stored messages say; how many are done."""

        async def settle(provider: Provider, event: WebhookEvent) -> str:
            answer = event.answer
            if provider.asks_back and answer.outcome == "succeeded":
                answer = await provider.query(event.attempt_id, answer.provider_ref)
            return (await self._settle(event.attempt_id, answer, "webhook")).effect

        return await webhook_inbox.process(self.database, self.providers, settle, self.clock_ms, limit)

    async def poll_open_attempts(self, limit: int = 50) -> int:
        """Ask the providers about attempts nobody has told us the end of; how many were asked."""
        async with self.database.read() as c:
            due = await attempts.list_due(c, self.clock_ms(), limit)
        for attempt in due:
            async with self.database.begin() as c:
                await attempts.postpone(c, attempt, self.clock_ms())
            await self._ask(attempt)
        return len(due)

    async def _ask(self, attempt: Attempt) -> None:
        provider = self.providers[attempt.provider]
        try:
            answer = await provider.query(attempt.attempt_id, attempt.provider_ref)
            if answer.outcome == "not_found":
                if self.clock_ms() < attempt.created_at_ms + GIVE_UP_CREATING_MS:
                    return
                answer = await provider.cancel(attempt.attempt_id, attempt.provider_ref)
            await self.settle(attempt.attempt_id, answer, "poll")
        except CommerceError as error:
            logger.warning("attempt %s could not be asked for: %s", attempt.attempt_id, error.code)

    async def cancel_order(self, order_id: str, actor: str, buyer_id: str | None = None) -> Order:
        """Cancel an unpaid order for its buyer or seller (`actor`: buyer, seller). It ends as cancelled, or as paid when the money
        was faster. With a provider that does not answer it stays placed for now, and the worker goes on."""
        async with self.database.begin() as c:
            order = await orders.get(c, order_id, buyer_id)
            if order.state == "cancelled":
                return order
            orders.next_state(order.state, "cancel")
            await letting_go.begin(c, order_id, self.clock_ms(), cancelled_by=actor)
        crash_points.reach("let_go.expiring")
        await self._finish(order_id)
        async with self.database.read() as c:
            return await orders.get(c, order_id)

    async def let_go(self, limit: int = 100) -> int:
        """Let overdue orders go and resume those half way; how many ended. One that fails does not hold up the others."""
        async with self.database.read() as c:
            overdue = await letting_go.list_overdue(c, self.clock_ms(), limit)
        for order_id in overdue:
            async with self.database.begin() as c:
                await letting_go.begin(c, order_id, self.clock_ms())
            crash_points.reach("let_go.expiring")
        async with self.database.read() as c:
            expiring = await letting_go.list_expiring(c, limit)
        ended = 0
        for order_id in expiring:
            try:
                ended += await self._finish(order_id)
            except CommerceError as error:
                logger.warning("order %s could not be let go: %r", order_id, error)
        return ended

    async def _finish(self, order_id: str) -> bool:
        released = await letting_go.finish(self.database, order_id, self._close, self.clock_ms)
        crash_points.reach("let_go.released")
        if released is not None:
            await self._tell(released.sale_id, released.buyer_id)
        return released is not None

    async def _close(self, attempt: Attempt) -> None:
        """Close an attempt at its provider and settle the answer: "paid" is one too. Unanswered, it stays as it is."""
        try:
            answer = await self.providers[attempt.provider].cancel(attempt.attempt_id, attempt.provider_ref)
        except Unavailable as error:
            logger.warning("attempt %s could not be closed: %s", attempt.attempt_id, error.code)
            return
        crash_points.reach("let_go.provider_closed")
        await self.settle(attempt.attempt_id, answer, "close")

    async def send_refunds(self, limit: int = 50) -> int:
        """Send promised refunds to their providers; how many were answered for good."""
        return await refunds.send_pending(self.database, self.providers, self.clock_ms, limit)
