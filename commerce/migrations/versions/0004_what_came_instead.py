"""what came instead, of a payment that waits for a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payment_attempt") as batch_op:
        batch_op.add_column(sa.Column("received_minor", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("received_currency", sa.String(length=3), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("payment_attempt") as batch_op:
        batch_op.drop_column("received_currency")
        batch_op.drop_column("received_minor")
