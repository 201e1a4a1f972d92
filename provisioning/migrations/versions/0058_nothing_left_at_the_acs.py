"""what may stand at an ACS though nobody wants it any more; who is told nothing in first sessions"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
MOMENT = sa.DateTime(timezone=True)
KEY, REFUSED = "acs_code_key", "acs_refused_serial"
LEFT = "left_standing"
INDEX = "ix_acs_device_left_standing"
REFUSED_INDEX = "ix_acs_device_refused"
REFUSALS = "refused_at IS NOT NULL"


def upgrade() -> None:
    op.add_column("acs_device", sa.Column(LEFT, sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(
        INDEX, "acs_device", ["tenant_id", "id"], sqlite_where=sa.text(LEFT), postgresql_where=sa.text(LEFT)
    )
    # What was queued before this release, and is neither known to be taken nor the task that carries the present wish.
    device = sa.table(
        "acs_device",
        *(sa.column(name) for name in ("state", "device_id", "task_id", "queued_at", "applied_at")),
        sa.column(LEFT, sa.Boolean()),
    )
    op.execute(
        device.update()
        .where(
            device.c.state != "withdrawn",
            device.c.device_id.is_not(None),
            device.c.task_id.is_(None),
            device.c.queued_at.is_not(None),
            sa.or_(device.c.applied_at.is_(None), device.c.applied_at < device.c.queued_at),
        )
        .values({LEFT: True})
    )
    op.create_table(
        KEY,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("rotated_at", MOMENT),
        sa.Column("request_id", sa.Text()),
        sa.Column("former_until", MOMENT),
        sa.Column("former_used_at", MOMENT),
        sa.Column("former_used_by", sa.String(64)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", name="acs_code_key_once"),
    )
    _make_refusals()
    if op.get_bind().dialect.name == "postgresql":
        for name in (KEY, REFUSED):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def _make_refusals() -> None:
    for column in _refusal(nullable=True):
        op.add_column("acs_device", column)
    where = sa.text(REFUSALS)
    op.create_index(
        REFUSED_INDEX, "acs_device", ["tenant_id", "refused_at"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        REFUSED,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("serial", sa.String(64), nullable=False),
        *_refusal(nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "serial", name="acs_refused_serial_once"),
    )


def _refusal(*, nullable: bool) -> list[sa.Column[Any]]:
    return [
        sa.Column("refused_at", MOMENT, nullable=nullable),
        sa.Column("refused_why", sa.String(32), nullable=nullable),
        sa.Column("refused_by", sa.String(64), nullable=nullable),
    ]


def downgrade() -> None:
    op.drop_table(REFUSED)
    op.drop_index(REFUSED_INDEX, table_name="acs_device")
    for column in reversed(_refusal(nullable=True)):
        op.drop_column("acs_device", column.name)
    op.drop_table(KEY)
    op.drop_index(INDEX, table_name="acs_device")
    op.drop_column("acs_device", LEFT)
