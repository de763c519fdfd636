"""amounts above a set value need a second person; when each person last moved money."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("room") as batch_op:
        batch_op.add_column(sa.Column("second_person_minor", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("second_person_currency", sa.String(length=3), nullable=True))
        batch_op.add_column(
            sa.Column("approvals_version", sa.BigInteger(), nullable=False, server_default="0")
        )
    op.create_table(
        "approval",
        sa.Column("approval_id", sa.String(length=64), nullable=False),
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("problem", sa.String(length=80), nullable=True),
        sa.Column("asker_id", sa.String(length=64), nullable=False),
        sa.Column("asked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("answerer_id", sa.String(length=64), nullable=True),
        sa.Column("answered_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("call_id", sa.String(length=160), nullable=False),
        sa.CheckConstraint(
            "state IN ('asked', 'done', 'declined', 'withdrawn', 'failed')",
            name=op.f("ck_approval_state_known"),
        ),
        sa.CheckConstraint("answerer_id <> asker_id", name=op.f("ck_approval_two_people")),
        sa.ForeignKeyConstraint(["room_id"], ["room.room_id"], name=op.f("fk_approval_room_id")),
        sa.ForeignKeyConstraint(["asker_id"], ["account.user_id"], name=op.f("fk_approval_asker_id")),
        sa.ForeignKeyConstraint(["answerer_id"], ["account.user_id"], name=op.f("fk_approval_answerer_id")),
        sa.PrimaryKeyConstraint("approval_id", name=op.f("pk_approval")),
        sa.UniqueConstraint("call_id", name=op.f("uq_approval_call_id")),
    )
    op.create_index(op.f("ix_approval_room_id_asked_at_ms"), "approval", ["room_id", "asked_at_ms"])
    op.create_table(
        "money_action",
        sa.Column("room_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("room_id", "user_id", name=op.f("pk_money_action")),
    )


def downgrade() -> None:
    op.drop_table("money_action")
    op.drop_index(op.f("ix_approval_room_id_asked_at_ms"), table_name="approval")
    op.drop_table("approval")
    with op.batch_alter_table("room") as batch_op:
        for name in ("approvals_version", "second_person_currency", "second_person_minor"):
            batch_op.drop_column(name)
