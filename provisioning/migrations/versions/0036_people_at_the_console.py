"""people who sign in at the console: users, sessions, one-time links"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
USER, SESSION, INVITATION = "console_user", "console_session", "console_invitation"


def upgrade() -> None:
    op.create_table(
        USER,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("login_name", sa.String(length=64), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("partner_id", NUMBER, nullable=True),
        sa.Column("technician_id", NUMBER, nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(role = 'partner') = (partner_id IS NOT NULL)", name=op.f("ck_console_user_partner")),
        sa.CheckConstraint(
            "(role = 'technician') = (technician_id IS NOT NULL)", name=op.f("ck_console_user_technician")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_user")),
        sa.UniqueConstraint("tenant_id", "login_name", name="uq_console_user_login_name"),
    )
    op.create_table(
        SESSION,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", NUMBER, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["console_user.id"], name=op.f("fk_console_session_user_id_console_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_session")),
        sa.UniqueConstraint("digest", name="uq_console_session_digest"),
    )
    op.create_index("ix_console_session_user", SESSION, ["user_id", "ends_at"])
    op.create_index("ix_console_session_ends", SESSION, ["tenant_id", "ends_at"])
    op.create_table(
        INVITATION,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", NUMBER, nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["console_user.id"], name=op.f("fk_console_invitation_user_id_console_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_invitation")),
        sa.UniqueConstraint("digest", name="uq_console_invitation_digest"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for name in (USER, SESSION, INVITATION):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for name in (INVITATION, SESSION, USER):
        op.drop_table(name)
