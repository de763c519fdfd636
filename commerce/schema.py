"""Every table of commerce. The constraints are the last word: no bug above them can oversell or lose a unit.

Money is integer minor units, times are UTC milliseconds, ids are text with a prefix. Migrations are in `commerce/migrations`.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

AutoId: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only for a column called INTEGER."""


def _id(name: str, **options: Any) -> Column[str]:
    return Column(name, String(64), **options)


def _ms(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _minor(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


product = Table(
    "product",
    metadata,
    _id("product_id", primary_key=True),
    Column("title", JSON, nullable=False),
    Column("description", JSON, nullable=False),
    Column("picture", String(200), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("position", Integer, nullable=False),
)

variant = Table(
    "variant",
    metadata,
    _id("variant_id", primary_key=True),
    Column("product_id", ForeignKey("product.product_id"), nullable=False, index=True),
    Column("title", JSON, nullable=False),
    _minor("price_minor"),
    Column("on_hand", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    _minor("floor_minor", nullable=True),
    CheckConstraint("on_hand >= 0", name="on_hand_not_negative"),
    CheckConstraint("price_minor > 0", name="price_positive"),
)

sale = Table(
    "sale",
    metadata,
    _id("sale_id", primary_key=True),
    _id("room_id", nullable=False),
    Column("product_id", ForeignKey("product.product_id"), nullable=False),
    Column("variant_id", ForeignKey("variant.variant_id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_reason", String(200)),
    _minor("price_minor"),
    _minor("list_price_minor"),
    Column("currency", String(3), nullable=False),
    Column("quota", BigInteger, nullable=False),
    Column("limit_per_buyer", Integer, nullable=False),
    _ms("hold_ms"),
    _ms("duration_ms"),
    _ms("countdown_ms"),
    Column("rule", String(16), nullable=False),
    _ms("window_ms"),
    _ms("extendable_ms"),
    Column("extended", Boolean, nullable=False),
    Column("seed", String(64), nullable=False),
    Column("seed_hash", String(64), nullable=False),
    Column("terms_hash", String(64)),
    _ms("opens_at_ms", nullable=True),
    _ms("closes_at_ms", nullable=True),
    _ms("paused_at_ms", nullable=True),
    _ms("opened_at_ms", nullable=True),  # the first opening; a resume does not change it
    _ms("closed_at_ms", nullable=True),
    _ms("created_at_ms"),
    Column("log_root", String(64)),
    Column("outages", JSON, nullable=False, server_default="[]"),
    CheckConstraint("quota > 0", name="quota_positive"),
    CheckConstraint("limit_per_buyer > 0", name="limit_positive"),
    CheckConstraint(
        "state IN ('draft', 'ready', 'armed', 'countdown', 'open', 'paused', 'draining', 'settled', 'published')",
        name="state_known",
    ),
    Index("ix_sale_room_id_created_at_ms", "room_id", "created_at_ms"),
    Index("ix_sale_state", "state"),
)

# Two sales never share a variant: the second one to be armed meets this index, however close the two come.
_OCCUPYING = sale.c.state.in_(("armed", "countdown", "open", "paused", "draining"))
Index(
    "uq_sale_occupying", sale.c.variant_id, unique=True, sqlite_where=_OCCUPYING, postgresql_where=_OCCUPYING
)

stock = Table(
    "stock",
    metadata,
    Column("sale_id", ForeignKey("sale.sale_id"), primary_key=True),
    Column("capacity", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("sold", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    CheckConstraint("reserved >= 0", name="reserved_not_negative"),
    CheckConstraint("sold >= 0", name="sold_not_negative"),
    CheckConstraint("reserved + sold <= capacity", name="never_oversold"),
)

stock_movement = Table(
    "stock_movement",
    metadata,
    Column("movement_id", String(128), primary_key=True),
    Column("variant_id", ForeignKey("variant.variant_id"), nullable=False),
    Column("sale_id", ForeignKey("sale.sale_id"), nullable=False, index=True),
    Column("units", BigInteger, nullable=False),  # from the shelf to the sale; negative: back
    Column("reason", String(40), nullable=False),
    _ms("at_ms"),
)

buyer_quota = Table(
    "buyer_quota",
    metadata,
    Column("sale_id", ForeignKey("sale.sale_id"), primary_key=True),
    _id("buyer_id", primary_key=True),
    Column("used", Integer, nullable=False),
    Column("limit_units", Integer, nullable=False),
    CheckConstraint("used >= 0", name="used_not_negative"),
    CheckConstraint("used <= limit_units", name="within_limit"),
)

hold = Table(
    "hold",
    metadata,
    _id("hold_id", primary_key=True),
    Column("sale_id", ForeignKey("sale.sale_id"), nullable=False),
    _id("order_id", nullable=False, unique=True),
    _id("buyer_id", nullable=False),
    Column("contact_key", String(64)),
    Column("quantity", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    _ms("deadline_ms"),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint("state IN ('bound', 'expiring', 'sold', 'released', 'returned')", name="state_known"),
    Index("ix_hold_state_deadline_ms", "state", "deadline_ms"),
    Index("ix_hold_sale_id_state", "sale_id", "state"),
    Index("ix_hold_sale_id_contact_key", "sale_id", "contact_key"),
)

order = Table(
    "orders",  # ORDER is a word of SQL
    metadata,
    _id("order_id", primary_key=True),
    Column("order_number", String(32), nullable=False, unique=True),
    _id("room_id", nullable=False),
    Column("sale_id", ForeignKey("sale.sale_id"), nullable=False, index=True),
    _id("hold_id", nullable=False, unique=True),
    _id("buyer_id", nullable=False),
    Column("buyer_name", String(80), nullable=False),
    _id("product_id", nullable=False),
    _id("variant_id", nullable=False),
    Column("quantity", Integer, nullable=False),
    _minor("unit_price_minor"),
    _minor("total_minor"),
    Column("currency", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("state_reason", String(200)),
    Column("name", String(100), nullable=False),
    Column("address", JSON, nullable=False),
    Column("ghost", Boolean, nullable=False),
    _ms("placed_at_ms"),
    _ms("paid_at_ms", nullable=True),
    _ms("changed_at_ms"),
    _minor("refunded_minor"),
    Column("carrier", String(40)),
    Column("tracking_number", String(80)),
    CheckConstraint("refunded_minor >= 0 AND refunded_minor <= total_minor", name="refunded_within_total"),
    CheckConstraint("total_minor = unit_price_minor * quantity", name="total_adds_up"),
    CheckConstraint(
        "state IN ('placed', 'paid', 'fulfilled', 'refunded', 'cancelled', 'expired')", name="state_known"
    ),
    Index("ix_orders_buyer_id_placed_at_ms", "buyer_id", "placed_at_ms"),
    Index("ix_orders_room_id_placed_at_ms", "room_id", "placed_at_ms"),
)

order_note = Table(
    "order_note",
    metadata,
    _id("note_id", primary_key=True),
    Column("order_id", ForeignKey("orders.order_id"), nullable=False, index=True),
    _id("author_id", nullable=False),
    Column("text", String(500), nullable=False),
    _ms("at_ms"),
)

payment_attempt = Table(
    "payment_attempt",
    metadata,
    _id("attempt_id", primary_key=True),  # also the reference that the provider knows it by
    Column("order_id", ForeignKey("orders.order_id"), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("request_key", String(255), nullable=False),
    Column("provider", String(20), nullable=False),
    Column("provider_ref", String(255)),
    _minor("amount_minor"),
    Column("currency", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(80)),
    Column("card_last4", String(4)),
    Column("next_action", JSON),  # what the buyer has to do while it is pending
    _minor("received_minor", nullable=True),  # of a quarantined payment: what came instead
    Column("received_currency", String(3)),
    _minor("captured_minor"),
    _minor("refunded_minor"),  # asked for, whether or not the provider has answered yet
    _ms("created_at_ms"),
    _ms("changed_at_ms"),
    _ms("next_poll_at_ms"),
    Column("polls", Integer, nullable=False),
    CheckConstraint(
        "state IN ('created', 'pending', 'unknown', 'succeeded', 'declined', 'closed', 'quarantined')",
        name="state_known",
    ),
    CheckConstraint(
        "refunded_minor >= 0 AND refunded_minor <= captured_minor", name="refunded_within_captured"
    ),
    UniqueConstraint("order_id", "number"),
    UniqueConstraint("order_id", "request_key"),
)
# One attempt at a time may still become money. A second *succeeded* one is possible (a provider that changes its mind late)
# and is refunded by the cashier, so it must be storable.
LIVE_ATTEMPTS: Final = ("created", "pending", "unknown")
"""A payment attempt of these states may still become money."""
_LIVE = payment_attempt.c.state.in_(LIVE_ATTEMPTS)
Index(
    "uq_payment_attempt_live",
    payment_attempt.c.order_id,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
Index("ix_payment_attempt_state_next_poll_at_ms", payment_attempt.c.state, payment_attempt.c.next_poll_at_ms)

refund = Table(
    "refund",
    metadata,
    _id("refund_id", primary_key=True),
    Column("attempt_id", ForeignKey("payment_attempt.attempt_id"), nullable=False, index=True),
    _id("order_id", nullable=False, index=True),
    _minor("amount_minor"),
    Column("currency", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(80), nullable=False),
    Column("provider_ref", String(255)),
    Column("tries", Integer, nullable=False),
    _ms("next_try_at_ms"),
    _ms("created_at_ms"),
    _ms("changed_at_ms"),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state_known"),
    Index("ix_refund_state_next_try_at_ms", "state", "next_try_at_ms"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("provider", String(20), primary_key=True),
    Column("event_id", String(128), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    _ms("received_at_ms"),
    _ms("processed_at_ms", nullable=True),
    Column("tries", Integer, nullable=False),
    _ms("next_try_at_ms"),
    Column("outcome", String(200)),
    Index("ix_inbox_processed_at_ms_next_try_at_ms", "processed_at_ms", "next_try_at_ms"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", AutoId, primary_key=True, autoincrement=True),
    Column("aggregate", String(80), nullable=False),
    Column("type", String(40), nullable=False),
    Column("payload", JSON, nullable=False),
    _ms("created_at_ms"),
    _ms("sent_at_ms", nullable=True),
    Column("tries", Integer, nullable=False),
)
Index(
    "ix_outbox_unsent",
    outbox.c.outbox_id,
    sqlite_where=outbox.c.sent_at_ms.is_(None),
    postgresql_where=outbox.c.sent_at_ms.is_(None),
)

lease = Table(
    "lease",  # one process at a time does a named job; a lease that ran out may be taken over
    metadata,
    Column("name", String(80), primary_key=True),
    Column("owner", String(80), nullable=False),
    _ms("until_ms"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", String(80), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("body", LargeBinary),
    _ms("begun_at_ms"),
    _ms("finished_at_ms", nullable=True),
)
Index("ix_idempotency_begun_at_ms", idempotency.c.begun_at_ms)

ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    Column("transaction_id", String(128), primary_key=True),
    _id("order_id", nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    _ms("at_ms"),
)

ledger_entry = Table(
    "ledger_entry",
    metadata,
    Column("transaction_id", ForeignKey("ledger_transaction.transaction_id"), primary_key=True),
    Column("account", String(40), primary_key=True),
    Column("currency", String(3), primary_key=True),
    _minor("amount_minor"),  # debit positive, credit negative: a transaction sums to zero
)

allocation_entry = Table(
    "allocation_entry",
    metadata,
    Column("sale_id", ForeignKey("sale.sale_id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    _ms("at_ms"),
    _id("hold_id"),
    _id("buyer_id", nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("entry", Text, nullable=False),  # the public line, canonical JSON
    Column("hash", String(64), nullable=False),
    Index("ix_allocation_entry_hold_id", "hold_id"),
)

redis_incarnation = Table(
    "redis_incarnation",
    metadata,
    Column("shard", String(80), primary_key=True),
    Column("run_id", String(80), nullable=False),
    _ms("seen_at_ms"),
)

# The sandbox provider plays the outside world: only `payments/sandbox.py` touches these, in transactions of its own.
sandbox_payment = Table(
    "sandbox_payment",
    metadata,
    _id("attempt_id", primary_key=True),  # the merchant's reference
    Column("provider_ref", String(80), nullable=False, unique=True),
    _minor("amount_minor"),
    Column("currency", String(3), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(80)),
    Column("behaviour", String(32), nullable=False),
    _ms("decides_at_ms", nullable=True),
    _minor("refunded_minor"),
    _ms("created_at_ms"),
    CheckConstraint("state IN ('pending', 'succeeded', 'declined', 'closed')", name="state_known"),
    CheckConstraint("refunded_minor >= 0 AND refunded_minor <= amount_minor", name="refunded_within_amount"),
)

sandbox_refund = Table(
    "sandbox_refund",
    metadata,
    _id("refund_id", primary_key=True),
    Column("attempt_id", ForeignKey("sandbox_payment.attempt_id"), nullable=False, index=True),
    _minor("amount_minor"),
    _ms("created_at_ms"),
)

sandbox_delivery = Table(
    "sandbox_delivery",
    metadata,
    Column("delivery_id", AutoId, primary_key=True, autoincrement=True),
    Column("event_id", String(80), nullable=False),
    Column("body", LargeBinary, nullable=False),
    _ms("due_at_ms"),
    Column("tries", Integer, nullable=False),
    _ms("delivered_at_ms", nullable=True),
    Index("ix_sandbox_delivery_delivered_at_ms_due_at_ms", "delivered_at_ms", "due_at_ms"),
)

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    _id("endpoint_id", primary_key=True),
    _id("room_id", nullable=False, index=True),
    Column("url", String(500), nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("disabled_reason", String(200)),
    Column("generation", Integer, nullable=False),  # of the secret, which is derived and never stored
    _ms("rotated_at_ms", nullable=True),
    _ms("created_at_ms"),
    _ms("last_success_at_ms", nullable=True),
    _ms("last_failure_at_ms", nullable=True),
    CheckConstraint("state IN ('active', 'disabled')", name="state_known"),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    Column("delivery_id", AutoId, primary_key=True, autoincrement=True),
    Column("endpoint_id", ForeignKey("webhook_endpoint.endpoint_id"), nullable=False),
    _id("event_id", nullable=False),
    Column("event_type", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("tries", Integer, nullable=False),
    _ms("created_at_ms"),
    _ms("next_try_at_ms"),
    _ms("done_at_ms", nullable=True),
    Column("last_status", Integer),
    Column("last_error", String(200)),
    CheckConstraint("state IN ('pending', 'delivered', 'dead')", name="state_known"),
    UniqueConstraint("endpoint_id", "event_id"),
    Index("ix_webhook_delivery_state_next_try_at_ms", "state", "next_try_at_ms"),
)
