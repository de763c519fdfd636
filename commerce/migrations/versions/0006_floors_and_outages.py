"""prices have a floor, and a sale knows how long nobody could pay."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("variant") as batch_op:
        batch_op.add_column(sa.Column("floor_minor", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("sale") as batch_op:
        batch_op.add_column(sa.Column("outages", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("sale") as batch_op:
        batch_op.drop_column("outages")
    with op.batch_alter_table("variant") as batch_op:
        batch_op.drop_column("floor_minor")
