"""What travels over the HTTP API: strict models, every text and number bounded. Money is integer minor units, times are UTC ms."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from commerce.sale_rules import LIMITS
from live.identity import Source

MAX_MINOR = 10**12


# What turns the reading direction of everything after it, and line breaks, would let one text pass for another.
_MISLEADING: Final = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _printable(text: str) -> str:
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in _MISLEADING for c in text):
        raise ValueError("must not hold control characters")
    if text and all(unicodedata.category(c) in ("Cf", "Zs", "Mn", "Me") for c in text):
        raise ValueError("must show something")
    return text


def _line(most: int, least: int = 1) -> StringConstraints:
    return StringConstraints(min_length=least, max_length=most, strip_whitespace=True)


_clean = AfterValidator(_printable)
Name = Annotated[str, _line(24), _clean]
Reason = Annotated[str, _line(200), _clean]
Line40 = Annotated[str, _line(40), _clean]
Line60 = Annotated[str, _line(60), _clean]
Line80 = Annotated[str, _line(80), _clean]
Line100 = Annotated[str, _line(100), _clean]
Line200 = Annotated[str, _line(200), _clean]
OptionalLine200 = Annotated[str, _line(200, 0), _clean]
Line254 = Annotated[str, _line(254), _clean]
Email = Annotated[
    str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s]{1,189}$", strip_whitespace=True), _clean
]
Line300 = Annotated[str, _line(300), _clean]
Line500 = Annotated[str, _line(500), _clean]
VariantId = Annotated[str, StringConstraints(pattern=r"^va_[A-Za-z0-9_]{1,60}$")]
ProductId = Annotated[str, StringConstraints(pattern=r"^pr_[A-Za-z0-9_]{1,60}$")]
ViewerId = Annotated[str, StringConstraints(pattern=r"^(gu|us)_[A-Za-z0-9_]{1,60}$")]
UserId = Annotated[str, StringConstraints(pattern=r"^us_[A-Za-z0-9_]{1,60}$")]
Minor = Annotated[int, Field(ge=1, le=MAX_MINOR)]
Localised = dict[str, str]


class Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Empty(Model):
    """No fields."""


# -- accounts


class NewGuest(Model):
    nickname: Name


class Viewer(Model):
    viewer_id: str
    name: str
    role: str | None = None
    ghost: bool = False


class NewAccount(Model):
    email: Annotated[
        str, StringConstraints(max_length=254, pattern=r"^\s*[^\s@]+@[^\s@]+\.[^\s@]+\s*$"), _clean
    ]
    name: Name
    password: Annotated[str, StringConstraints(min_length=10, max_length=200)]


class SignIn(Model):
    email: Line254
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    totp: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] | None = None


class UserShown(Model):
    user_id: str
    email: str
    name: str
    roles: dict[str, str]


class SignedIn(Model):
    user: UserShown


class Me(Model):
    viewer: Viewer | None
    user: UserShown | None


class Ticket(Model):
    ticket: str
    hub_url: str
    expires_at_ms: int
    viewer: Viewer


# -- rooms and sales


class RoomShown(Model):
    """`rehearsal_of`: the room whose show is rehearsed here."""

    room_id: str
    title: Localised
    status: str
    rehearsal: bool
    rehearsal_of: str | None
    host_name: str
    starts_at_ms: int | None
    started_at_ms: int | None


class VariantShown(Model):
    variant_id: str
    title: Localised
    price_minor: int
    stock: int


class ProductShown(Model):
    product_id: str
    title: Localised
    description: Localised
    picture_url: str
    currency: str
    variants: list[VariantShown]


class StockShown(Model):
    sale_id: str
    quota: int
    available: int
    held: int
    sold: int
    waiting: int
    next_hold_ends_at_ms: int | None
    epoch: int
    seq: int


class SaleProblem(Model):
    code: str
    message: str


class SaleShown(Model):
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
    seed_hash: str
    terms_hash: str | None
    opens_at_ms: int | None
    closes_at_ms: int | None
    extendable_ms: int
    extended: bool
    stock: StockShown | None
    problems: list[SaleProblem] | None = None


class RoomPage(Model):
    room: RoomShown
    products: list[ProductShown]
    pinned_product_id: str | None
    sales: list[SaleShown]
    role: str | None
    run_version: int
    """Of `products` as they are here; the value `run` says when they are others."""


class RoomList(Model):
    rooms: list[RoomShown]


class SaleList(Model):
    sales: list[SaleShown]
    next_cursor: str | None


def _term(name: str) -> Any:
    """The bounds of one of the terms, as the sale engine has them."""
    lowest, highest = LIMITS[name]
    return Field(ge=lowest, le=highest)


Quota = Annotated[int, _term("quota")]
LimitPerBuyer = Annotated[int, _term("limit_per_buyer")]
HoldMs = Annotated[int, _term("hold_ms")]
DurationMs = Annotated[int, _term("duration_ms")]
CountdownMs = Annotated[int, _term("countdown_ms")]
WindowMs = Annotated[int, _term("window_ms")]
ExtendableMs = Annotated[int, _term("extendable_ms")]


class NewSaleBody(Model):
    variant_id: VariantId
    price_minor: Minor
    quota: Quota
    limit_per_buyer: LimitPerBuyer = 1
    hold_ms: HoldMs = 120_000
    duration_ms: DurationMs = 60_000
    countdown_ms: CountdownMs = 10_000
    rule: Literal["first_come", "fair_window", "draw"] = "first_come"
    window_ms: WindowMs = 250
    extendable_ms: ExtendableMs = 0


class SaleChanges(Model):
    variant_id: VariantId | None = None
    price_minor: Minor | None = None
    quota: Quota | None = None
    limit_per_buyer: LimitPerBuyer | None = None
    hold_ms: HoldMs | None = None
    duration_ms: DurationMs | None = None
    countdown_ms: CountdownMs | None = None
    rule: Literal["first_come", "fair_window", "draw"] | None = None
    window_ms: WindowMs | None = None
    extendable_ms: ExtendableMs | None = None


class Validated(Model):
    sale: SaleShown
    problems: list[SaleProblem]


class WithReason(Model):
    reason: Reason


class PauseReason(Model):
    reason: Literal["host", "payment_outage", "stream_lost"] = "host"


class OptionalReason(Model):
    reason: Reason = "host"


class StockChange(Model):
    delta: Annotated[int, Field(ge=-1_000_000, le=1_000_000)]


class Pin(Model):
    product_id: ProductId | None


class Status(Model):
    status: Literal["preshow", "live", "away", "ended"]


class Announcement(Model):
    text: Line300


class Stats(Model):
    watching: int
    peak: int
    ghosts: int
    likes: int
    comments: int
    orders: dict[str, int]
    moderators: list[str] | None
    """Names of the moderators whose console is open, at most 200; null while nobody can say."""
    delay_ms: int | None
    """How late half of the viewers' pictures are at most, as their pages say; None while nobody sees one."""
    reminders: dict[str, int]
    """By item: how many want to be told when it goes on sale."""
    followers: int
    new_followers: int
    """Of them, those since the show began; 0 before it has."""


class AuditEntry(Model):
    audit_id: int
    at_ms: int
    actor_id: str
    actor_name: str
    action: str
    target: str
    before: Any
    after: Any
    source: Source | None
    """How it was done; null when it isn't known."""


class AuditPage(Model):
    entries: list[AuditEntry]
    next_cursor: str | None


# -- moderation


class Mute(Model):
    viewer_id: ViewerId
    seconds: Annotated[int, Field(ge=1, le=30 * 86_400)]


class Ban(Model):
    viewer_id: ViewerId


class ChatRulesBody(Model):
    slow_mode_s: Annotated[int, Field(ge=0, le=600)] = 0
    review: bool = False
    off: bool = False
    followers_only: bool = False


class Approval(Model):
    approve: bool


class HeldComment(Model):
    id: str
    viewer_id: str
    name: str
    role: str
    text: str
    at_ms: int
    ghost: bool = False
    reply_to: str | None = None


class HeldComments(Model):
    comments: list[HeldComment]


# -- buying


class Address(Model):
    """Where the goods go, and how the one who gets them is reached: `contact` is an e-mail address or a telephone number."""

    contact: Annotated[str, StringConstraints(min_length=3, max_length=120)]
    line1: Line200
    line2: OptionalLine200 | None = None
    city: Line200
    postcode: Line40
    country: Line60


class NewOrder(Model):
    hold_token: Annotated[str, StringConstraints(min_length=1, max_length=1500)]
    name: Line100
    address: Address


class NextAction(Model):
    """Where the buyer goes to pay: a page to be sent to, or a QR code: its text, and its picture as a data URL."""

    type: Literal["redirect", "qr"]
    url: str
    picture: str | None = None


class PaymentShown(Model):
    attempt_id: str
    state: Literal["succeeded", "declined", "pending"]
    reason: str | None
    next_action: NextAction | None = None


class OrderShown(Model):
    order_id: str
    order_number: str
    room_id: str
    sale_id: str
    hold_id: str
    buyer_id: str
    buyer_name: str
    product_id: str
    variant_id: str
    quantity: int
    unit_price_minor: int
    total_minor: int
    refunded_minor: int
    currency: str
    state: str
    state_reason: str | None
    placed_at_ms: int
    deadline_ms: int
    paid_at_ms: int | None
    carrier: str | None
    tracking_number: str | None
    ghost: bool
    name: str
    address: dict[str, str]


class MyOrder(OrderShown):
    """One order with its last payment, for a buyer who comes back to it."""

    payment: PaymentShown | None = None


class OrderPage(Model):
    orders: list[OrderShown]
    next_cursor: str | None


ProviderName = Literal["sandbox", "stripe", "alipay", "wechat_pay"]


class NewPayment(Model):
    """`card` for the sandbox's test cards; `page` for a provider's own page or QR code, made for a phone or a desktop."""

    method: Literal["card", "page"]
    card_number: Annotated[str, StringConstraints(pattern=r"^[0-9]{12,19}$")] | None = None
    device: Literal["phone", "desktop"] = "desktop"
    provider: ProviderName = "sandbox"


class PaymentProvider(Model):
    name: ProviderName
    method: Literal["card", "page"]
    currencies: list[str] | None
    """None: every currency."""


class PaymentProviders(Model):
    providers: list[PaymentProvider]


class PaymentAnswer(Model):
    payment: PaymentShown
    order: OrderShown


class HoldShown(Model):
    decision: str
    reason: str
    hold_id: str
    sale_id: str
    token: str
    quantity: int
    price_minor: int
    currency: str
    expires_at_ms: int
    epoch: int
    seq: int


class Place(Model):
    sale_id: str
    place: int


class Mine(Model):
    holds: list[HoldShown]
    places: list[Place]
    orders: list[OrderShown]
    reminders: list[str]
    """The items that I am to be told of when they go on sale."""
    following: bool
    """Whether I follow the room."""


# -- after the sale


class NewRefund(Model):
    reason: Line80
    amount_minor: Minor | None = None
    restock: Literal["sale", "shelf", "none"] = "sale"


class Fulfilment(Model):
    carrier: Line40
    tracking_number: Line80


class BuyerTold(Model):
    sent_at_ms: int
    again_at_ms: int
    """From then on it may be sent once more."""


class NewNote(Model):
    text: Line500


class NoteShown(Model):
    note_id: str
    order_id: str
    author_id: str
    text: str
    at_ms: int


class Notes(Model):
    notes: list[NoteShown]


class Problem(BaseModel):
    """Problem details, RFC 9457; more members tell the facts behind the refusal."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
