"""Tables of what a person meets: accounts, sessions, rooms, roles, the audit log. Times are UTC ms; migrations: `live/migrations`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
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

ROOM_STATUSES: Final = ("preshow", "live", "away", "ended")
ROLES: Final = ("moderator", "analyst", "seller", "host", "owner")

user = Table(
    "account",  # USER is a word of SQL
    metadata,
    Column("user_id", String(64), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(40), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("totp_secret", String(64)),
    Column("created_at_ms", BigInteger, nullable=False),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256: a stolen table opens no session
    Column("user_id", ForeignKey("account.user_id"), nullable=False, index=True),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

room = Table(
    "room",
    metadata,
    Column("room_id", String(64), primary_key=True),
    Column("title", JSON, nullable=False),
    Column("host_name", String(40), nullable=False),
    Column("status", String(16), nullable=False),
    Column("rehearsal", Boolean, nullable=False),
    Column("rehearsal_of", String(64), unique=True),  # the room whose show is rehearsed here
    Column("starts_at_ms", BigInteger),  # as announced
    Column("started_at_ms", BigInteger),
    Column("pinned_product_id", String(64)),
    Column("pinned_at_ms", BigInteger),
    Column("slow_mode_s", Integer, nullable=False),
    Column("review", Boolean, nullable=False),
    Column("chat_off", Boolean, nullable=False),
    Column("followers_only", Boolean, nullable=False, server_default=false()),
    Column("pinned_comment", JSON(none_as_null=True)),
    Column("version", BigInteger, nullable=False),  # of everything viewers see of the room
    Column("desk_user_id", String(64)),  # who holds the sale desk; others look
    Column("desk_since_ms", BigInteger),
    Column("desk_asker_id", String(64)),  # who asks for the desk
    Column("desk_asked_at_ms", BigInteger),
    Column("desk_answer", String(16)),  # hand_over, keep, away; null: not answered
    Column("run_version", BigInteger, nullable=False, server_default="0"),  # of the run of show
    Column("script_version", BigInteger, nullable=False, server_default="0"),  # of what the host says
    Column("saved_replies", JSON),
    Column("second_person_minor", BigInteger),  # amounts above it need a second person; null: none do
    Column("second_person_currency", String(3)),
    Column("approvals_version", BigInteger, nullable=False, server_default="0"),
    Column("created_at_ms", BigInteger, nullable=False),
    CheckConstraint("status IN ('preshow', 'live', 'away', 'ended')", name="status_known"),
)

room_product = Table(
    "room_product",
    metadata,
    Column("room_id", ForeignKey("room.room_id"), primary_key=True),
    Column("product_id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    # For those who work in the room, never for viewers.
    Column("script", Text, nullable=False, server_default=""),
    Column("minute", Integer),  # of the show in which its turn is planned
    Column("script_version", BigInteger, nullable=False, server_default="0"),  # the room's at its last change
)

reminder = Table(
    "reminder",  # a viewer wants to be told when an item goes on sale; gone once told, or with the item
    metadata,
    Column("room_id", String(64), primary_key=True),
    Column("product_id", String(64), primary_key=True),
    Column("viewer_id", String(64), primary_key=True),  # a guest's or an account's, as the hub knows it
    Column("ghost", Boolean, nullable=False),
    Column("asked_at_ms", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["room_id", "product_id"], ["room_product.room_id", "room_product.product_id"], ondelete="CASCADE"
    ),
    Index("ix_reminder_viewer_id", "viewer_id"),
    Index("ix_reminder_asked_at_ms", "asked_at_ms"),
)

follower = Table(
    "follower",  # a viewer follows a room
    metadata,
    Column("room_id", ForeignKey("room.room_id"), primary_key=True),
    Column("viewer_id", String(64), primary_key=True),  # a guest's or an account's, as the hub knows it
    Column("ghost", Boolean, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("told_show_ms", BigInteger, nullable=False),  # when the show began that they were last told of
    Index("ix_follower_room_id_ghost_since_ms", "room_id", "ghost", "since_ms"),
    Index("ix_follower_room_id_told_show_ms", "room_id", "told_show_ms"),
    Index("ix_follower_since_ms", "since_ms"),
)

room_role = Table(
    "room_role",
    metadata,
    Column("room_id", ForeignKey("room.room_id"), primary_key=True),
    Column("user_id", ForeignKey("account.user_id"), primary_key=True),
    Column("role", String(16), nullable=False),
    CheckConstraint("role IN ('moderator', 'analyst', 'seller', 'host', 'owner')", name="role_known"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("room_id", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor_name", String(40), nullable=False),
    Column("action", String(40), nullable=False),
    Column("target", String(128), nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Column("call_id", String(160), unique=True),  # one line per console call, also when the call is repeated
    Column(
        "source", String(8)
    ),  # key, mouse, touch, command or api; null: not known, as in lines older than this column
    Index("ix_audit_room_id_audit_id", "room_id", "audit_id"),
)

invite = Table(
    "invite",  # somebody without an account is asked to work in a room
    metadata,
    Column("invite_id", String(64), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("room_id", ForeignKey("room.room_id"), nullable=False),
    Column("email", String(254), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    CheckConstraint("role IN ('moderator', 'analyst', 'seller', 'host', 'owner')", name="role_known"),
    UniqueConstraint("room_id", "email"),
)

approval = Table(
    "approval",  # an amount waits for a second person
    metadata,
    Column("approval_id", String(64), primary_key=True),
    Column("room_id", ForeignKey("room.room_id"), nullable=False),
    Column("action", String(40), nullable=False),  # as the audit log names it
    Column("target", String(64), nullable=False),
    Column("amount_minor", BigInteger),  # null: without a limit
    Column("currency", String(3), nullable=False),
    Column("params", JSON, nullable=False),  # the call's, frozen
    Column("outcome", JSON, nullable=False),  # what it comes to: anything else is not what was approved
    Column("state", String(16), nullable=False),
    Column("problem", String(80)),  # why it failed when it was approved
    Column("asker_id", ForeignKey("account.user_id"), nullable=False),
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
    Column("answerer_id", ForeignKey("account.user_id")),
    Column("answered_at_ms", BigInteger),
    Column("call_id", String(160), nullable=False, unique=True),  # of the call that asks: it asks once
    CheckConstraint("state IN ('asked', 'done', 'declined', 'withdrawn', 'failed')", name="state_known"),
    CheckConstraint("answerer_id <> asker_id", name="two_people"),
    Index("ix_approval_room_id_asked_at_ms", "room_id", "asked_at_ms"),
)

money_action = Table(
    "money_action",  # when each person last moved money in a room
    metadata,
    Column("room_id", String(64), primary_key=True),
    Column("user_id", String(64), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("call_id", String(160), nullable=False),
)

replay_edit = Table(
    "replay_edit",  # what a host makes of a show's film; it ends with the recording, see live/replay_edits.py
    metadata,
    Column("room_id", ForeignKey("room.room_id"), primary_key=True),
    Column(
        "started_at_ms", BigInteger, primary_key=True, autoincrement=False
    ),  # the show's: the recording's id
    Column("hidden", Boolean, nullable=False),
    Column("from_film_ms", BigInteger, nullable=False),
    Column("until_film_ms", BigInteger),  # null: to its end
    Column("chapters", JSON(none_as_null=True)),  # null: as they were pinned
    Column("version", BigInteger, nullable=False),
    CheckConstraint("from_film_ms >= 0", name="from_the_film"),
    CheckConstraint("until_film_ms > from_film_ms", name="something_left"),
)

# What the console's plots are drawn from. Nothing decides by these; they are forgotten after a while.
presence_sample = Table(
    "presence_sample",
    metadata,
    Column("room_id", String(64), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("people", Integer, nullable=False),
    Column("ghosts", Integer, nullable=False),
)

stock_sample = Table(
    "stock_sample",
    metadata,
    Column("sale_id", String(64), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("sold", BigInteger, nullable=False),
)
