"""What goes into the hot ledger and comes out of it, as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from commerce.sale_rules import Sale

EPOCH_SHIFT: Final = 2**40
"""Value versions are epoch * 2^40 + rev: they grow over epochs and stay exact in a double."""
_NOT_SHOWN: Final = ("rev", "soft", "undrawn", "version", "full_version")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What SQL says of a sale at `version`: absolute, so that a lost or repeated one heals itself."""

    room_id: str
    sale_id: str
    epoch: int
    version: int
    capacity: int
    reserved: int
    sold: int
    state: str
    opens_at_ms: int | None
    closes_at_ms: int | None
    limit_per_buyer: int
    hold_ms: int
    price_minor: int
    currency: str
    rule: str = "first_come"
    window_ms: int = 0
    closed_at_ms: int | None = None
    state_reason: str | None = None
    seed: str = field(default="", repr=False)

    @classmethod
    def of(cls, sale: Sale) -> Self:
        return cls(**{one.name: getattr(sale, one.name) for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class StockNumbers:
    """The three numbers everyone sees; `available + held + sold = quota` always."""

    sale_id: str
    quota: int
    available: int
    held: int
    sold: int
    waiting: int
    next_hold_ends_at_ms: int | None
    epoch: int
    seq: int
    rev: int
    soft: int
    """Units of `held` that only Redis holds; not shown, like all that follows."""
    undrawn: int = 0
    """Requests whose lots are not drawn yet."""
    version: int = 0
    """The version of the last snapshot taken."""
    full_version: int = 0
    """The version at which Redis last heard of every buyer's bound units."""

    @property
    def value_version(self) -> int:
        return self.epoch * EPOCH_SHIFT + self.rev

    def as_value(self) -> dict[str, Any]:
        """The `stock:ID` value of realtime/PROTOCOL.md."""
        return {name: value for name, value in asdict(self).items() if name not in _NOT_SHOWN}


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """One tap: `request_id` is made by the client and scoped to the buyer."""

    request_id: str
    buyer_id: str
    quantity: int
    ghost: bool = False
    wait: bool = False
    """Join the wait list instead of being refused when every unit is held or sold."""

    def hold_id(self, sale_id: str) -> str:
        """Derived, so that a retry after Redis lost everything asks for the same hold."""
        digest = hashlib.sha256(f"{sale_id} {self.buyer_id} {self.request_id}".encode()).hexdigest()
        return f"hd_{digest[:32]}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request: granted, refused, waiting (place in the wait list) or pending (until the lots are drawn).

    Fields that don't apply are None.
    """

    decision: str
    reason: str
    seq: int | None
    epoch: int | None
    hold_id: str | None = None
    buyer_id: str | None = None
    quantity: int | None = None
    price_minor: int | None = None
    currency: str | None = None
    granted_at_ms: int | None = None
    expires_at_ms: int | None = None
    ghost: bool = False
    place: int | None = None
    after_last_unit_ms: int | None = None
    next_hold_ends_at_ms: int | None = None
    opens_at_ms: int | None = None
    available: int | None = None
    decided_at_ms: int | None = None
    at_ms: int | None = None

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> Self:
        return cls(**{"seq": None, "epoch": None, **packed})


@dataclass(frozen=True, slots=True)
class SoftHold:
    """A hold that only Redis knows; also what a rebuild carries over."""

    hold_id: str
    buyer_id: str
    quantity: int
    price_minor: int
    currency: str
    granted_at_ms: int
    expires_at_ms: int
    epoch: int
    seq: int
    ghost: bool

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> Self:
        return cls(**{one.name: packed[one.name] for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the wait list, as a rebuild carries it over."""

    hold_id: str
    buyer_id: str
    quantity: int
    epoch: int
    seq: int
    ghost: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """Word for one buyer about something they did not just ask for.

    `kind` is expired (a hold ended unbought), extended (it has more time), promoted (from the wait list), granted or refused (lots
    drawn, wait list over).
    """

    kind: str
    buyer_id: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One attempt as it was decided, with the sale's numbers right after it.

    `decision` is granted, refused, waiting, left (the wait list, without a unit) or released; `reason` of a granted one is granted,
    promoted or drawn. `arrived_at_ms` is 0 but for requests whose lots were drawn.
    """

    seq: int
    epoch: int
    at_ms: int
    hold_id: str
    buyer_id: str
    quantity: int
    decision: str
    reason: str
    expires_at_ms: int
    available: int
    held: int
    sold: int
    ghost: bool
    arrived_at_ms: int = 0
