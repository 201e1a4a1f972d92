"""of which team the technician was whose calendar a visit has left: a team's calendar must show it as off, too"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

TABLE, COLUMN, INDEX = "visit_former_technician", "team", "ix_visit_former_technician_team"
OF_NOW = f"""
UPDATE {TABLE} SET team = (
    SELECT technician.team FROM technician
    WHERE technician.tenant_id = {TABLE}.tenant_id AND technician.id = {TABLE}.technician_id
)
"""  # noqa: S608 - constants


def upgrade() -> None:
    """What has left a calendar so far is shown in the one of the team that its technician is of now, as it was."""
    op.add_column(TABLE, sa.Column(COLUMN, sa.Text(), nullable=True))
    op.create_index(INDEX, TABLE, ["tenant_id", COLUMN, "left_at"])
    op.execute(OF_NOW)


def downgrade() -> None:
    op.drop_index(INDEX, table_name=TABLE)
    op.drop_column(TABLE, COLUMN)
