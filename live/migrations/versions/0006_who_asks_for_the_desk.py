"""who asks for the desk, and what they were answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        batch_op.add_column(sa.Column("desk_asker_id", sa.String(64), nullable=True))
        batch_op.add_column(sa.Column("desk_asked_at_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("desk_answer", sa.String(16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        for name in ("desk_answer", "desk_asked_at_ms", "desk_asker_id"):
            batch_op.drop_column(name)
