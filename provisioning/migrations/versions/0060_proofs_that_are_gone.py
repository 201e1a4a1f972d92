"""since when the proof of a host name is missing, and when it was withdrawn"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("missing_since", "lost_at"):
        op.add_column("partner_domain", sa.Column(name, sa.DateTime(timezone=True)))


def downgrade() -> None:
    for name in ("lost_at", "missing_since"):
        op.drop_column("partner_domain", name)
