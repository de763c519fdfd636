"""who holds the desk, invitations, saved replies, and what plots are drawn from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        batch_op.add_column(sa.Column("desk_user_id", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("desk_since_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("run_version", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("saved_replies", sa.JSON(), nullable=True))
    op.create_table(
        "presence_sample",
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("ghosts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("room_id", "at_ms", name=op.f("pk_presence_sample")),
    )
    op.create_table(
        "stock_sample",
        sa.Column("sale_id", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("available", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sale_id", "at_ms", name=op.f("pk_stock_sample")),
    )
    op.create_table(
        "invite",
        sa.Column("invite_id", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "role IN ('moderator', 'analyst', 'seller', 'host', 'owner')",
            name=op.f("ck_invite_role_known"),
        ),
        sa.ForeignKeyConstraint(["room_id"], ["room.room_id"], name=op.f("fk_invite_room_id")),
        sa.PrimaryKeyConstraint("invite_id", name=op.f("pk_invite")),
        sa.UniqueConstraint("room_id", "email", name=op.f("uq_invite_room_id_email")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invite_token_hash")),
    )


def downgrade() -> None:
    op.drop_table("invite")
    op.drop_table("stock_sample")
    op.drop_table("presence_sample")
    with op.batch_alter_table("room") as batch_op:
        for name in ("saved_replies", "run_version", "desk_since_ms", "desk_user_id"):
            batch_op.drop_column(name)
