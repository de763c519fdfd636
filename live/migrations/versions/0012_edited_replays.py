"""What a host makes of a show's film for those who watch it again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replay_edit",
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("from_film_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_film_ms", sa.BigInteger(), nullable=True),
        sa.Column("chapters", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("from_film_ms >= 0", name=op.f("ck_replay_edit_from_the_film")),
        sa.CheckConstraint("until_film_ms > from_film_ms", name=op.f("ck_replay_edit_something_left")),
        sa.ForeignKeyConstraint(["room_id"], ["room.room_id"], name=op.f("fk_replay_edit_room_id")),
        sa.PrimaryKeyConstraint("room_id", "started_at_ms", name=op.f("pk_replay_edit")),
    )


def downgrade() -> None:
    op.drop_table("replay_edit")
