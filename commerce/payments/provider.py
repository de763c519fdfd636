"""What every payment provider can do, and the few answers it can give. "unknown" is an answer: it keeps the unit held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

PING: Final = "pa_ping"
"""An attempt that never was: asked for, it shows whether the provider answers us."""
OUTCOMES: Final = ("succeeded", "declined", "pending", "unknown", "closed", "not_found")
"""succeeded: captured · declined: no money, final for this attempt · pending: will be told later · unknown: no answer came ·
closed: cancelled, can never become money any more · not_found: never heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """What is asked for. `attempt_id` is our reference and makes the call idempotent; `method` never reaches our database.

    After `expires_at_ms` nobody should be able to pay any more, as far as the provider can be told so.
    """

    attempt_id: str
    order_id: str
    amount_minor: int
    currency: str
    method: Mapping[str, Any]
    expires_at_ms: int
    description: str = "Order"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAnswer:
    """One of OUTCOMES, with the captured amount when it succeeded, and with what the provider keeps of it where it says so.

    `next_action` is what the buyer has to do for a `pending` payment: {type: "redirect" or "qr", url}.
    """

    outcome: str
    provider_ref: str | None = None
    amount_minor: int | None = None
    currency: str | None = None
    reason: str | None = None
    fee_minor: int | None = None
    next_action: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    """Money to send back: `amount_minor` of the payment of `total_minor`. `refund_id` makes the call idempotent."""

    refund_id: str
    attempt_id: str
    provider_ref: str | None
    amount_minor: int
    total_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundAnswer:
    """`state` is succeeded, pending or failed."""

    state: str
    provider_ref: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """A verified message: its id for deduplication, and what it says about one attempt."""

    event_id: str
    type: str
    attempt_id: str
    answer: PaymentAnswer


class Provider(Protocol):
    """To inherit from: what is the same for most stands here.

    Each call may raise Unavailable (nobody answered: the outcome is unknown) and is safe to repeat with the same reference."""

    @property
    def name(self) -> str: ...

    @property
    def asks_back(self) -> bool:
        """Whether a message about money is only a hint to query for the whole answer (with the fee)."""
        return False

    @property
    def webhook_reply(self) -> str | None:
        """The words that tell the provider its message has come; None where the status alone does."""
        return None

    def check_method(self, method: Mapping[str, Any], currency: str) -> str | None:
        """The card's last four digits, for the receipt, if we see a card at all; raises Invalid when this can never pay."""
        ...

    async def create(self, payment: NewPayment) -> PaymentAnswer: ...

    async def capture(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        """Nothing to do where the money is taken at once."""
        return await self.query(attempt_id, provider_ref)

    async def ping(self) -> None:
        """Ask for something harmless. Raises Unavailable when nobody answers, or the answer is that our keys are wrong."""
        ...

    async def cancel(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        """Close it for ever, also when it was never created; answers `succeeded` when the money had already come."""
        ...

    async def query(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer: ...

    async def refund(self, refund: NewRefund) -> RefundAnswer: ...

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> WebhookEvent:
        """Check signature and age; raises Refused("bad_signature") or Invalid("bad_webhook"). Header names are lower case."""
        ...

    def read_webhook(self, body: bytes) -> WebhookEvent:
        """Read a message that was verified when it came."""
        ...
