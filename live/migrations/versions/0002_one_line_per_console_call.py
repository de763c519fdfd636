"""one line per console call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("audit") as batch_op:
        batch_op.add_column(sa.Column("call_id", sa.String(length=160), nullable=True))
        batch_op.create_unique_constraint(op.f("uq_audit_call_id"), ["call_id"])


def downgrade() -> None:
    with op.batch_alter_table("audit") as batch_op:
        batch_op.drop_constraint(op.f("uq_audit_call_id"), type_="unique")
        batch_op.drop_column("call_id")
