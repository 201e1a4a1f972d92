"""what a plan says besides its rate, and a service's number in every accounting packet

FreeRADIUS' rows of every plan and subscriber change with it: they are wished anew and projected by the clock.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("burst_download_kbps", sa.BigInteger()),
        sa.Column("burst_upload_kbps", sa.BigInteger()),
        sa.Column("burst_seconds", sa.Integer()),
        sa.Column("priority", sa.Integer()),
        sa.Column("qos_profile", sa.String(32)),
        sa.Column("session_cap_megabytes", sa.BigInteger()),
        sa.Column("access", sa.String(8), nullable=False, server_default="pppoe"),
        sa.Column("ipv4_pool", sa.String(253)),
        sa.Column("ipv6_pool", sa.String(32)),
        sa.Column("ipv6_delegated_pool", sa.String(32)),
        sa.Column("dns_ipv4", sa.Text(), nullable=False, server_default=""),
        sa.Column("dns_ipv6", sa.Text(), nullable=False, server_default=""),
        sa.Column("vrf", sa.String(32)),
        sa.Column("garden_filter", sa.String(32)),
        sa.Column("garden_url", sa.Text()),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("radius_plan", column)
    _wish_anew()


def downgrade() -> None:
    for column in _columns():
        op.drop_column("radius_plan", column.name)
    _wish_anew()


def _wish_anew() -> None:
    op.execute("UPDATE radius_plan SET version = version + 1")
    op.execute("UPDATE radius_subscriber SET version = version + 1 WHERE state <> 'terminated'")
