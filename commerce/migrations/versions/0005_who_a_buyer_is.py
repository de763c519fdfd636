"""who a buyer is, whichever device they hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("hold") as batch_op:
        batch_op.add_column(sa.Column("contact_key", sa.String(length=64), nullable=True))
        batch_op.create_index("ix_hold_sale_id_contact_key", ["sale_id", "contact_key"])


def downgrade() -> None:
    with op.batch_alter_table("hold") as batch_op:
        batch_op.drop_index("ix_hold_sale_id_contact_key")
        batch_op.drop_column("contact_key")
