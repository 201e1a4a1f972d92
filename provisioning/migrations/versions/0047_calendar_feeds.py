"""calendar feeds, and former technicians of visits"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
FEED, FORMER = "calendar_feed", "visit_former_technician"


def upgrade() -> None:
    op.create_table(
        FEED,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("technician_id", NUMBER, nullable=True),
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.CheckConstraint("(technician_id IS NULL) <> (team IS NULL)", name=op.f("ck_calendar_feed_whose")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar_feed")),
        sa.UniqueConstraint("digest", name="uq_calendar_feed_digest"),
    )
    op.create_index("ix_calendar_feed_tenant", FEED, ["tenant_id", "made_at"])
    op.create_table(
        FORMER,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("visit_id", NUMBER, nullable=False),
        sa.Column("technician_id", NUMBER, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("left_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_visit_former_technician_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_former_technician")),
    )
    op.create_index("ix_visit_former_technician_left", FORMER, ["tenant_id", "technician_id", "left_at"])
    if op.get_bind().dialect.name == "postgresql":
        for name in (FEED, FORMER):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for name in (FORMER, FEED):
        op.drop_table(name)
