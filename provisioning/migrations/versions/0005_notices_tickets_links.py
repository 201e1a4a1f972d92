"""notices, tickets, links"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Until now every mail was in English.
    op.add_column("mail", sa.Column("language", sa.Text(), nullable=False, server_default="en"))
    op.create_table(
        "team",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_team")),
    )
    op.create_table(
        "team_channel",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("address_ref", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "team"], ["team.tenant_id", "team.name"], name=op.f("fk_team_channel_tenant_id_team_team")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "team", "name", name=op.f("pk_team_channel")),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'failed', 'withdrawn')",
            name=op.f("ck_notice_state"),
        ),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_notice_sent_at_when_sent")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "team"], ["team.tenant_id", "team.name"], name=op.f("fk_notice_tenant_id_team_team")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
    )
    op.create_index("uq_notice_request", "notice", ["tenant_id", "request_id"], unique=True)
    op.create_index("ix_notice_state", "notice", ["tenant_id", "state", "id"], unique=False)
    op.create_index(
        "ix_notice_due",
        "notice",
        ["tenant_id", "next_try_at"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "ticket",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("assigned_team", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name=op.f("ck_ticket_priority")),
        sa.CheckConstraint(
            "state IN ('open', 'inProgress', 'resolved', 'closed', 'cancelled')", name=op.f("ck_ticket_state")
        ),
        sa.CheckConstraint("due_at > created_at", name=op.f("ck_ticket_due_after_created")),
        sa.CheckConstraint(
            "(state IN ('closed', 'cancelled')) = (ended_at IS NOT NULL)", name=op.f("ck_ticket_ended_at_when_ended")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_ticket_tenant_id_customer_id_customer"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "assigned_team"],
            ["team.tenant_id", "team.name"],
            name=op.f("fk_ticket_tenant_id_assigned_team_team"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ticket")),
    )
    op.create_index("uq_ticket_request", "ticket", ["tenant_id", "request_id"], unique=True)
    op.create_index("ix_ticket_due", "ticket", ["tenant_id", "due_at", "id"], unique=False)
    op.create_index("ix_ticket_state", "ticket", ["tenant_id", "state", "due_at", "id"], unique=False)
    op.create_index("ix_ticket_team", "ticket", ["tenant_id", "assigned_team", "due_at", "id"], unique=False)
    op.create_index("ix_ticket_customer", "ticket", ["tenant_id", "customer_id"], unique=False)
    op.create_table(
        "one_time_link_use",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_time_link_use")),
    )
    op.create_index(
        "uq_one_time_link_use", "one_time_link_use", ["tenant_id", "purpose", "subject", "nonce"], unique=True
    )


def downgrade() -> None:
    for table in ("one_time_link_use", "ticket", "notice", "team_channel", "team"):
        op.drop_table(table)
    op.drop_column("mail", "language")
