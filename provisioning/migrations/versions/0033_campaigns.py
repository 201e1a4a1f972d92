"""a change brought to a group of CPEs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
CAMPAIGN, MEMBER = "acs_campaign", "acs_campaign_member"
CAMPAIGN_STATES = "'planned', 'running', 'paused', 'stopped', 'cancelled', 'completed'"
MEMBER_STATES = "'waiting', 'under_way', 'done', 'failed', 'unreached', 'skipped'"


def upgrade() -> None:
    op.create_table(
        CAMPAIGN,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("canary", "batch_size", "most_failed_percent", "patience_seconds")
        ),
        *(sa.Column(name, sa.Time()) for name in ("window_begins", "window_ends")),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("pardoned_done", "pardoned_failed", "pardoned_others")
        ),
        sa.Column("planned_by", sa.Text(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.DateTime(timezone=True)) for name in ("started_at", "ended_at")),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(f"state IN ({CAMPAIGN_STATES})", name=op.f("acs_campaign_state")),
        sa.CheckConstraint("canary >= 0 AND batch_size > 0", name=op.f("acs_campaign_sizes")),
        sa.CheckConstraint("most_failed_percent BETWEEN 0 AND 100", name=op.f("acs_campaign_percent")),
        sa.CheckConstraint("(window_begins IS NULL) = (window_ends IS NULL)", name=op.f("acs_campaign_window")),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="acs_campaign_name"),
    )
    op.create_index("ix_acs_campaign_state", CAMPAIGN, ["tenant_id", "state", "id"])
    op.create_table(
        MEMBER,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("device_row_id", sa.Integer(), nullable=False),
        sa.Column("serial", sa.String(64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text()),
        *(sa.Column(name, sa.DateTime(timezone=True)) for name in ("begun_at", "ended_at")),
        sa.CheckConstraint(f"state IN ({MEMBER_STATES})", name=op.f("acs_campaign_member_state")),
        sa.CheckConstraint(
            "(state IN ('waiting', 'under_way')) = (ended_at IS NULL)", name=op.f("acs_campaign_member_ended")
        ),
        sa.ForeignKeyConstraint(["campaign_id"], ["acs_campaign.id"]),
        sa.ForeignKeyConstraint(["device_row_id"], ["acs_device.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign_id", "device_row_id", name="acs_campaign_member_once"),
    )
    op.create_index("ix_acs_campaign_member_state", MEMBER, ["campaign_id", "state", "id"])
    op.create_index("ix_acs_campaign_member_device", MEMBER, ["device_row_id"])
    if op.get_bind().dialect.name == "postgresql":
        for name in (CAMPAIGN, MEMBER):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_table(MEMBER)
    op.drop_table(CAMPAIGN)
