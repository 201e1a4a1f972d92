"""what serves a place is worked out once for each state of the network"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE
from ipam.allocation.serving_tables import COUNT_CHANGES, COUNTED

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
VERSION, SERVING = "ipam_network_version", "ipam_serving"


def upgrade() -> None:
    op.create_table(
        VERSION,
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_ipam_network_version"),
    )
    op.create_table(
        SERVING,
        sa.Column("tenant_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("node_id", "port_id")),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("plan_id", "wanted")),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("kinds", "standings", "pools", "reuses", "svlans", "facts")
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["ipam_address_plan.id"], name="fk_ipam_serving_plan_id_ipam_address_plan", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "node_id", "port_id", "plan", name="pk_ipam_serving"),
    )
    op.create_index("ix_ipam_serving_plan_id", SERVING, ["plan_id"])
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in (VERSION, SERVING):
        op.execute(f"CREATE POLICY {table}_own ON {table} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    for sql in (COUNT_CHANGES, *COUNTED.values(), *GIVE_AT_ONCE):
        op.execute(sql)
    # What is there already counts as one change: only of a network that has a number is anything kept.
    op.execute("INSERT INTO ipam_network_version (tenant_id, version) SELECT DISTINCT tenant_id, 1 FROM ipam_site")


def downgrade() -> None:
    """The function that was there before is no longer known; in its place is one that leaves all to the steps."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION ipam_give_at_once(of_tenant text, for_customer bigint, at_place text,"
            " on_plan text, by_request text, at_realm text, now_at timestamptz) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'"
        )
        for table in COUNTED:
            op.execute(f"DROP TRIGGER {table}_counted ON {table}")
        op.execute("DROP FUNCTION ipam_count_network_change()")
    op.drop_table(SERVING)
    op.drop_table(VERSION)
