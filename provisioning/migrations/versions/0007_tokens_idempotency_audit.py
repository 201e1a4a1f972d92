"""bearer tokens, idempotency keys, the audit; lists of the newest first are read without sorting"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from provisioning.access.audit import POSTGRESQL_AUDIT, SQLITE_AUDIT

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

LISTED = (
    *("run", "event", "lead", "quote", "sales_order", "subscription", "payment", "radius_subscriber", "acs_device"),
    "audit_entry",
)


def upgrade() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("look_up", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("partner_id", NUMBER, nullable=True),
        sa.Column("technician_id", NUMBER, nullable=True),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(role = 'partner') = (partner_id IS NOT NULL)", name=op.f("ck_api_token_partner")),
        sa.CheckConstraint("(role = 'technician') = (technician_id IS NOT NULL)", name=op.f("ck_api_token_technician")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_token")),
        sa.UniqueConstraint("look_up", name=op.f("uq_api_token_look_up")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("token_id", NUMBER, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotency_key")),
        sa.UniqueConstraint("tenant_id", "token_id", "key", name="uq_idempotency_key_used"),
    )
    op.create_index("ix_idempotency_key_used_at", "idempotency_key", ["used_at"])
    op.create_table(
        "audit_entry",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("token_id", NUMBER, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("customer_id", NUMBER, nullable=True),
        sa.Column("run_id", NUMBER, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    for statement in POSTGRESQL_AUDIT if op.get_bind().dialect.name == "postgresql" else SQLITE_AUDIT:
        op.execute(statement)
    for column in ("subject", "customer_id", "run_id"):
        op.create_index(op.f(f"ix_audit_entry_tenant_id_{column}_id"), "audit_entry", ["tenant_id", column, "id"])
    for table in LISTED:
        op.create_index(f"ix_{table}_newest", table, ["tenant_id", "id"])
    op.create_index("ix_customer_email", "customer", ["tenant_id", "email", "id"])


def downgrade() -> None:
    op.drop_index("ix_customer_email", table_name="customer")
    for table in LISTED:
        op.drop_index(f"ix_{table}_newest", table_name=table)
    op.drop_table("audit_entry")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_entry_refuse_rewriting()")
    op.drop_table("idempotency_key")
    op.drop_table("api_token")
