"""how often each invariant was broken when it was asked"""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

CHECK = "invariant_check"


def upgrade() -> None:
    op.add_column(CHECK, sa.Column("counts", sa.JSON(), nullable=False, server_default="{}"))
    check = sa.table(CHECK, sa.column("id"), sa.column("findings", sa.JSON()), sa.column("counts", sa.JSON()))
    connection = op.get_bind()
    for number, findings in connection.execute(sa.select(check.c.id, check.c.findings)).all():
        counts = Counter(finding["invariant"] for finding in findings)
        connection.execute(sa.update(check).where(check.c.id == number).values(counts=dict(counts)))


def downgrade() -> None:
    op.drop_column(CHECK, "counts")
