"""what customers, subscribers and CPEs are found by, and what checks have found"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from provisioning.commercial.customers.words import keys_of

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
KEY, CHECK = "customer_key", "invariant_check"
SUBSCRIBER, DEVICE, SEEN = "radius_subscriber", "acs_device", "acs_seen_device"
AT_ONCE = 1_000


def upgrade() -> None:
    op.create_table(
        KEY,
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name="fk_customer_key_tenant_id_customer",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "customer_id", "kind", "key", name="pk_customer_key"),
    )
    _fill()
    by_bytes = {"key": "text_pattern_ops", "serial": "text_pattern_ops"}
    op.create_index("ix_customer_key_found", KEY, ["tenant_id", "kind", "key", "customer_id"], postgresql_ops=by_bytes)
    op.create_index("ix_acs_device_serial", DEVICE, ["tenant_id", "serial"], postgresql_ops=by_bytes)
    op.create_index("ix_acs_seen_device_begins", SEEN, ["tenant_id", "serial"], postgresql_ops=by_bytes)
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    name = "lower(username) text_pattern_ops" if is_postgresql else "lower(username)"
    op.create_index("ix_radius_subscriber_begins", SUBSCRIBER, ["tenant_id", sa.text(name)])
    op.create_index("ix_radius_subscriber_service", SUBSCRIBER, ["tenant_id", "service_id"])
    for index, column in (("address", "framed_ipv4"), ("station", "bound_station")):
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_radius_subscriber_{index}",
            SUBSCRIBER,
            ["tenant_id", column],
            sqlite_where=where,
            postgresql_where=where,
        )
    for index, column in (("unreached", "unreached_why"), ("handed_over", "handed_over_at")):
        where = sa.text(f"{column} IS NOT NULL")
        name = f"ix_acs_device_{index}"
        op.create_index(name, DEVICE, ["tenant_id", column], sqlite_where=where, postgresql_where=where)
    _keep_checks()
    failed = sa.text("state = 'failed'")
    op.create_index(
        "ix_webhook_delivery_failed",
        "webhook_delivery",
        ["tenant_id", "next_try_at"],
        sqlite_where=failed,
        postgresql_where=failed,
    )
    if is_postgresql:
        for table in (KEY, CHECK):
            op.execute(f"CREATE POLICY {table}_own ON {table} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index("ix_webhook_delivery_failed", "webhook_delivery")
    op.drop_table(CHECK)
    for index in ("station", "address", "service", "begins"):
        op.drop_index(f"ix_radius_subscriber_{index}", SUBSCRIBER)
    op.drop_index("ix_acs_seen_device_begins", SEEN)
    for index in ("handed_over", "unreached", "serial"):
        op.drop_index(f"ix_acs_device_{index}", DEVICE)
    op.drop_table(KEY)


def _keep_checks() -> None:
    op.create_table(
        CHECK,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_seconds", sa.Float(53), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("asked", "failed", "found")),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invariant_check"),
    )
    op.create_index("ix_invariant_check_newest", CHECK, ["tenant_id", "id"])


def _fill() -> None:
    """What those are found by who are customers already."""
    connection = op.get_bind()
    key = sa.table(KEY, *(sa.column(name) for name in ("tenant_id", "customer_id", "kind", "key")))
    customer = sa.table("customer", *(sa.column(name) for name in ("tenant_id", "id", "name", "email", "phone")))
    for some in connection.execute(sa.select(*customer.c)).partitions(AT_ONCE):
        rows = [
            {"tenant_id": one.tenant_id, "customer_id": one.id, "kind": kind, "key": spelt}
            for one in some
            for kind, spelt in keys_of(name=one.name, email=one.email, phone=one.phone)
        ]
        connection.execute(sa.insert(key), rows)
