"""how FreeRADIUS keeps the passwords, and by what the subscribers of a NAS log in"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"


def upgrade() -> None:
    methods = sa.Column("login_methods", sa.Text(), nullable=False, server_default="pap chap mschapv2")
    op.add_column("radius_nas", methods)
    op.create_table(
        "radius_estate",
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("password_storage", sa.String(16), nullable=False, server_default="cleartext"),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_radius_estate")),
        sa.CheckConstraint(
            "password_storage IN ('cleartext', 'nt', 'ssha2-512')", name=op.f("ck_radius_estate_password_storage")
        ),
    )
    if op.get_bind().dialect.name == "postgresql":
        own = f"tenant_id = {SETTING} OR {SETTING} = '*'"
        op.execute(f"CREATE POLICY radius_estate_own ON radius_estate USING ({own})")
        op.execute("ALTER TABLE radius_estate ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    # they are cleartext again then
    op.execute(
        "UPDATE radius_subscriber SET version = version + 1 WHERE state <> 'terminated'"
        " AND tenant_id IN (SELECT tenant_id FROM radius_estate WHERE password_storage <> 'cleartext')"
    )
    op.drop_table("radius_estate")
    op.drop_column("radius_nas", "login_methods")
