"""what was installed at which ACS, and which ACS a CPE is bound to"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
TABLE = "acs_preset_install"
OPEN = sa.text("state = 'installing'")


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("acs_name", sa.String(64), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('installing', 'installed', 'rolled_back')", name="acs_preset_install_state"),
        sa.CheckConstraint("(state = 'installing') = (ended_at IS NULL)", name="acs_preset_install_ended"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_acs_preset_install_newest", TABLE, ["tenant_id", "acs_name", "id"])
    op.create_index(
        "acs_preset_install_open",
        TABLE,
        ["tenant_id", "acs_name"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.add_column("acs_device", sa.Column("acs_name", sa.String(64), nullable=False, server_default="default"))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {TABLE}_own ON {TABLE} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_column("acs_device", "acs_name")
    op.drop_table(TABLE)
