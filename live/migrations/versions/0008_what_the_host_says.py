"""what the host says of each item, and in which minute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        batch_op.add_column(sa.Column("script_version", sa.BigInteger(), server_default="0", nullable=False))
    with op.batch_alter_table("room_product") as batch_op:
        batch_op.add_column(sa.Column("script", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("minute", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("script_version", sa.BigInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("room_product") as batch_op:
        for name in ("script_version", "minute", "script"):
            batch_op.drop_column(name)
    with op.batch_alter_table("room") as batch_op:
        batch_op.drop_column("script_version")
