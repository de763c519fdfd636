"""Which room a rehearsal is of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        batch_op.add_column(sa.Column("rehearsal_of", sa.String(64), nullable=True))
        batch_op.create_unique_constraint("uq_room_rehearsal_of", ["rehearsal_of"])


def downgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        batch_op.drop_constraint("uq_room_rehearsal_of", type_="unique")
        batch_op.drop_column("rehearsal_of")
