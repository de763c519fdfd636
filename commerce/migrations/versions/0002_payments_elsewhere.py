"""payments that are made on a provider's page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _length(table: str, column: str, before: int, after: int, *, nullable: bool) -> None:
    with op.batch_alter_table(table) as batch_op:
        batch_op.alter_column(
            column, existing_type=sa.String(before), type_=sa.String(after), existing_nullable=nullable
        )


def upgrade() -> None:
    with op.batch_alter_table("payment_attempt") as batch_op:
        batch_op.add_column(sa.Column("next_action", sa.JSON(), nullable=True))
    _length("payment_attempt", "provider_ref", 80, 255, nullable=True)
    _length("refund", "provider_ref", 80, 255, nullable=True)
    _length("inbox", "event_id", 80, 128, nullable=False)


def downgrade() -> None:
    _length("inbox", "event_id", 128, 80, nullable=False)
    _length("refund", "provider_ref", 255, 80, nullable=True)
    _length("payment_attempt", "provider_ref", 255, 80, nullable=True)
    with op.batch_alter_table("payment_attempt") as batch_op:
        batch_op.drop_column("next_action")
