"""Who follows a room, and a chat for followers only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "follower",
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("viewer_id", sa.String(length=64), nullable=False),
        sa.Column("ghost", sa.Boolean(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_show_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room_id"], ["room.room_id"], name=op.f("fk_follower_room_id")),
        sa.PrimaryKeyConstraint("room_id", "viewer_id", name=op.f("pk_follower")),
    )
    op.create_index(op.f("ix_follower_room_id_ghost_since_ms"), "follower", ["room_id", "ghost", "since_ms"])
    op.create_index(op.f("ix_follower_room_id_told_show_ms"), "follower", ["room_id", "told_show_ms"])
    op.create_index(op.f("ix_follower_since_ms"), "follower", ["since_ms"])
    op.add_column(
        "room", sa.Column("followers_only", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("room", "followers_only")
    op.drop_index(op.f("ix_follower_since_ms"), table_name="follower")
    op.drop_index(op.f("ix_follower_room_id_told_show_ms"), table_name="follower")
    op.drop_index(op.f("ix_follower_room_id_ghost_since_ms"), table_name="follower")
    op.drop_table("follower")
