"""Who wants to be told when an item goes on sale."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reminder",
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("product_id", sa.String(length=64), nullable=False),
        sa.Column("viewer_id", sa.String(length=64), nullable=False),
        sa.Column("ghost", sa.Boolean(), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["room_id", "product_id"],
            ["room_product.room_id", "room_product.product_id"],
            name=op.f("fk_reminder_room_id_product_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("room_id", "product_id", "viewer_id", name=op.f("pk_reminder")),
    )
    op.create_index(op.f("ix_reminder_viewer_id"), "reminder", ["viewer_id"])
    op.create_index(op.f("ix_reminder_asked_at_ms"), "reminder", ["asked_at_ms"])


def downgrade() -> None:
    op.drop_index(op.f("ix_reminder_asked_at_ms"), table_name="reminder")
    op.drop_index(op.f("ix_reminder_viewer_id"), table_name="reminder")
    op.drop_table("reminder")
