"""invitations of customers to choose the time of a visit that nobody has booked yet; mails that no run delivers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
TABLE = "visit_invitation"
MAIL, NEXT_TRY = "mail", "ix_mail_next_try"
COUNTS = sa.text("superseded_at IS NULL")
HAS_NEXT_TRY = sa.text("next_try_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", NUMBER, nullable=False),
        sa.Column("customer_id", NUMBER, nullable=False),
        sa.Column("order_id", NUMBER, nullable=False),
        sa.Column("job", sa.String(length=60), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Float(53), nullable=True),
        sa.Column("longitude", sa.Float(53), nullable=True),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("invited_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("superseded_at", MOMENT, nullable=True),
        sa.Column("visit_id", NUMBER, nullable=True),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f(f"fk_{TABLE}_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
    )
    op.create_index(
        "uq_visit_invitation_run",
        TABLE,
        ["tenant_id", "run_id"],
        unique=True,
        sqlite_where=COUNTS,
        postgresql_where=COUNTS,
    )
    op.add_column(MAIL, sa.Column("next_try_at", MOMENT, nullable=True))
    op.create_index(
        NEXT_TRY, MAIL, ["tenant_id", "next_try_at"], sqlite_where=HAS_NEXT_TRY, postgresql_where=HAS_NEXT_TRY
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {TABLE}_own ON {TABLE} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index(NEXT_TRY, table_name=MAIL)
    with op.batch_alter_table(MAIL) as mail:
        mail.drop_column("next_try_at")
    op.drop_table(TABLE)
