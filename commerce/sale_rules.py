"""The rules of a sale without I/O: its terms, its states as a table, its timers, and what blocks arming (PRODUCT.md 2.1).

draft -> ready -> armed -> countdown -> open <-> paused -> draining -> settled -> published
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from commerce.errors import Invalid, OutOfState, Refused
from commerce.lots import seed_of
from commerce.money import require_amount

ABORT_UNTIL_MS: Final = 3_000
"""Abort is possible until this long before the opening."""
MAX_OUTAGES: Final = 50
"""The newest are kept; a hold lives through one, rarely two."""
RESUME_COUNTDOWN_MS: Final = 5_000
"""After a pause everyone gets this much warning, so that nobody is ambushed."""
HOLD_GRACE_MS: Final = 5_000
"""A soft hold is freed this long after its expiry; a bind is accepted only before expiry (DESIGN.md 5.2)."""
SOLD_OUT_LINGER_MS: Final = 30_000
"""A sold-out sale stays in `draining` at least this long, so that the host can still add stock to this round."""

TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    ("draft", "edit"): "draft",
    ("ready", "edit"): "draft",
    ("draft", "validate"): "ready",
    ("ready", "validate"): "ready",
    ("draft", "arm"): "armed",  # arming checks all that validating does
    ("ready", "arm"): "armed",
    ("armed", "disarm"): "ready",
    ("armed", "fire"): "countdown",
    ("countdown", "abort"): "ready",
    ("countdown", "begin"): "open",
    ("open", "pause"): "paused",
    ("paused", "resume"): "countdown",
    ("open", "extend"): "open",
    ("open", "add_stock"): "open",
    ("paused", "add_stock"): "paused",
    ("draining", "add_stock"): "draining",
    ("draining", "reopen"): "open",  # stock was added to a sold-out sale before its closing time
    ("open", "withdraw_stock"): "open",
    ("paused", "withdraw_stock"): "paused",
    ("open", "end_early"): "draining",
    ("paused", "end_early"): "draining",
    ("countdown", "end_early"): "draining",  # only after a resume: before the first opening it is an abort
    ("open", "time_up"): "draining",
    ("open", "sold_out"): "draining",
    ("draining", "settle"): "settled",
    ("settled", "publish"): "published",
}
"""(state, action) -> next state. What is not here is refused."""

STATES: Final = ("draft", "ready", "armed", "countdown", "open", "paused", "draining", "settled", "published")
OCCUPYING: Final = ("armed", "countdown", "open", "paused", "draining")
"""States in which a sale holds units of its variant; one sale per variant at a time."""
BINDABLE: Final = ("countdown", "open", "paused", "draining")
"""States in which a granted hold may become an order: holds are honoured to their own expiry, also after closing."""
RULES: Final = ("first_come", "fair_window", "draw")
"""Allocation rules that can be armed."""
PAUSE_REASONS: Final = ("host", "payment_outage", "stream_lost")

LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "quota": (1, 1_000_000),
    "limit_per_buyer": (1, 99),
    "hold_ms": (1_000, 3_600_000),
    "duration_ms": (1_000, 86_400_000),
    "countdown_ms": (0, 300_000),
    "window_ms": (0, 60_000),
    "extendable_ms": (0, 3_600_000),
}
"""Smallest and largest value of each number of the terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSale:
    """What a seller fills in. `check` it before use."""

    variant_id: str
    price_minor: int
    quota: int
    limit_per_buyer: int = 1
    hold_ms: int = 120_000
    duration_ms: int = 60_000
    countdown_ms: int = 10_000
    rule: str = "first_come"
    window_ms: int = 250
    extendable_ms: int = 0

    def check(self) -> None:
        """Raise Invalid with the field's name when a value could never be right."""
        require_amount(self.price_minor, "price_minor")
        for name, (lowest, highest) in LIMITS.items():
            value = getattr(self, name)
            if type(value) is not int or not lowest <= value <= highest:
                raise Invalid(
                    "bad_terms", f"{name} must be an integer from {lowest} to {highest}", field=name
                )
        if self.rule not in RULES:
            raise Invalid("bad_terms", f"rule must be one of {', '.join(RULES)}", field="rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A sale as committed: terms, state and the three numbers of its stock row. `version` grows with every change of either."""

    sale_id: str
    room_id: str
    product_id: str
    variant_id: str
    round: int
    state: str
    state_reason: str | None
    price_minor: int
    list_price_minor: int
    currency: str
    quota: int
    limit_per_buyer: int
    hold_ms: int
    duration_ms: int
    countdown_ms: int
    rule: str
    window_ms: int
    extendable_ms: int
    extended: bool
    seed: str = field(repr=False)
    """The secret behind the lots and the public names (`lots`): nothing that shows a sale may show this."""
    seed_hash: str
    terms_hash: str | None
    opens_at_ms: int | None
    closes_at_ms: int | None
    paused_at_ms: int | None
    opened_at_ms: int | None
    closed_at_ms: int | None
    created_at_ms: int
    log_root: str | None
    outages: tuple[tuple[int, int], ...]
    """(beginning, length) in ms of the pauses in which nobody could pay; at most MAX_OUTAGES."""
    capacity: int
    reserved: int
    sold: int
    version: int
    epoch: int

    @property
    def base(self) -> int:
        """Units the hot ledger may grant soft holds on: capacity less bound less sold."""
        return self.capacity - self.reserved - self.sold


@dataclass(frozen=True, slots=True)
class Problem:
    """One red light of the preflight list."""

    code: str
    message: str


def next_state(state: str, action: str) -> str:
    """The state that `action` leads to; raises OutOfState("sale_state") naming the states where it is allowed."""
    found = TRANSITIONS.get((state, action))
    if found is None:
        allowed = sorted({before for before, name in TRANSITIONS if name == action})
        raise OutOfState(
            "sale_state",
            f"{action} is not possible in state {state}",
            state=state,
            action=action,
            allowed_in=allowed,
        )
    return found


def preflight(
    terms: NewSale, *, on_hand: int, list_price_minor: int, floor_minor: int | None, overlapping: bool
) -> list[Problem]:
    """Every reason why these terms cannot be armed now; empty when all lights are green."""
    found: list[Problem] = []
    if on_hand <= 0:
        found.append(Problem("stock_empty", "this variant has no stock"))
    elif terms.quota > on_hand:
        found.append(Problem("quota_above_stock", f"the quota is {terms.quota}, the stock is {on_hand}"))
    if terms.price_minor >= list_price_minor:
        found.append(Problem("price_not_below_list", "the sale's price must be below the list price"))
    if floor_minor is not None and terms.price_minor < floor_minor:
        found.append(Problem("price_below_floor", f"the price may not be below {floor_minor} minor units"))
    if terms.limit_per_buyer > terms.quota:
        found.append(Problem("limit_above_quota", "the limit per buyer is above the quota"))
    if overlapping:
        found.append(Problem("overlapping_sale", "another sale of this variant is not settled yet"))
    return found


def terms_of(sale: Sale) -> NewSale:
    """The seller's part of a sale."""
    return NewSale(**{one.name: getattr(sale, one.name) for one in fields(NewSale)})


def published_terms(sale: Sale) -> dict[str, Any]:
    """The terms everybody may see and check: what the hash is over."""
    names = (
        "sale_id",
        "room_id",
        "product_id",
        "variant_id",
        "round",
        "list_price_minor",
        "currency",
        "seed_hash",
    )
    own = {name: getattr(sale, name) for name in names}
    return own | {one.name: getattr(sale, one.name) for one in fields(NewSale)}


def hash_terms(sale: Sale) -> str:
    """SHA-256, in hex, of the terms as canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(published_terms(sale), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def hash_seed(seed: str) -> str:
    """What is published before the opening of the seed that a sale's secret gives."""
    return hashlib.sha256(seed_of(seed).encode()).hexdigest()


def require_abortable(sale: Sale, now_ms: int) -> None:
    """Raise unless the countdown may still be aborted: never opened yet, and more than ABORT_UNTIL_MS to go."""
    if sale.opened_at_ms is not None:
        raise OutOfState("sale_was_open", "this sale has been open; end it early instead", state=sale.state)
    if sale.opens_at_ms is not None and now_ms > sale.opens_at_ms - ABORT_UNTIL_MS:
        raise Refused("too_late_to_abort", "the countdown can be aborted until 3 s before the opening")


def resumed_times(sale: Sale, now_ms: int) -> tuple[int, int]:
    """New absolute (opens_at_ms, closes_at_ms): the clock stood still in the pause, and a short countdown comes first."""
    assert sale.closes_at_ms is not None
    assert sale.paused_at_ms is not None
    opens_at_ms = now_ms + RESUME_COUNTDOWN_MS
    return opens_at_ms, opens_at_ms + max(0, sale.closes_at_ms - sale.paused_at_ms)


def lengthened(granted_at_ms: int, expires_at_ms: int, outages: Sequence[Sequence[int]]) -> int:
    """When a hold ends that was granted for until `expires_at_ms`: later by each outage that it lived to see."""
    for began_at_ms, length_ms in outages:
        # Redis grants by its own clock, and hears of a pause a moment later: the outage's end tells before from after.
        if granted_at_ms < began_at_ms + length_ms and began_at_ms < expires_at_ms:
            expires_at_ms += length_ms
    return expires_at_ms


def reopens(sale: Sale, now_ms: int) -> bool:
    """Whether units that come into this sale open it again: it sold out, and its time is not over."""
    sold_out = sale.state == "draining" and sale.state_reason == "sold_out"
    return sold_out and now_ms < (sale.closes_at_ms or 0)


def due_action(sale: Sale, now_ms: int, soft_holds: bool | None) -> str | None:
    """The timer's next action on this sale at `now_ms`, or None.

    `soft_holds` says whether a hold that is not bound yet may still become an order: False only when the hot ledger knows of
    none and never lost anything; None when it cannot say. Then the last possible expiry has to pass.
    """
    if sale.state == "countdown" and sale.opens_at_ms is not None and now_ms >= sale.opens_at_ms:
        return "begin"
    if sale.state == "open":
        if sale.closes_at_ms is not None and now_ms >= sale.closes_at_ms:
            return "time_up"
        if sale.sold >= sale.capacity:
            return "sold_out"
    if sale.state == "draining" and sale.reserved == 0:
        closed_at_ms = sale.closed_at_ms or 0
        if sale.state_reason == "sold_out" and sale.sold >= sale.capacity:
            late_enough = now_ms >= closed_at_ms + SOLD_OUT_LINGER_MS or now_ms >= (sale.closes_at_ms or 0)
        else:
            late_enough = soft_holds is False or now_ms >= closed_at_ms + sale.hold_ms + HOLD_GRACE_MS
        if late_enough:
            return "settle"
    if sale.state == "settled":
        return "publish"
    return None
