"""what vans hold: items by serial, and their movements"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
ITEM, MOVEMENT = "van_item", "van_movement"
STATES = "state IN ('owned', 'installed', 'returned', 'out')"
KEPT = "van_movement is append-only"


def upgrade() -> None:
    op.create_table(
        ITEM,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("technician_id", NUMBER, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("visit_id", NUMBER, nullable=True),
        sa.Column("since", MOMENT, nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_van_item_state")),
        sa.CheckConstraint(
            "(state = 'installed') = (visit_id IS NOT NULL)", name=op.f("ck_van_item_visit_when_installed")
        ),
        *_refers(ITEM),
    )
    op.create_index("uq_van_item_serial", ITEM, ["tenant_id", "serial"], unique=True)
    op.create_index("ix_van_item_technician", ITEM, ["tenant_id", "technician_id", "state"])
    op.create_index("ix_van_item_visit", ITEM, ["visit_id"])
    op.create_table(
        MOVEMENT,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("technician_id", NUMBER, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("visit_id", NUMBER, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("told_by", sa.Text(), nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_van_movement_state")),
        *_refers(MOVEMENT),
    )
    op.create_index("ix_van_movement_serial", MOVEMENT, ["tenant_id", "serial", "id"])
    _keep_movements_as_they_are()
    if op.get_bind().dialect.name == "postgresql":
        for name in (ITEM, MOVEMENT):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def _refers(table: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["tenant_id", "technician_id"],
            ["technician.tenant_id", "technician.id"],
            name=op.f(f"fk_{table}_tenant_id_technician"),
        ),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f(f"fk_{table}_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _keep_movements_as_they_are() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION {MOVEMENT}_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION '{KEPT}' USING ERRCODE = 'restrict_violation'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {MOVEMENT}_append_only BEFORE UPDATE OR DELETE ON {MOVEMENT}"
            f" FOR EACH ROW EXECUTE FUNCTION {MOVEMENT}_refuse_rewriting()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {MOVEMENT}_no_{verb.lower()} BEFORE {verb} ON {MOVEMENT}"
            f" BEGIN SELECT RAISE(ABORT, '{KEPT}'); END"
        )


def downgrade() -> None:
    for name in (MOVEMENT, ITEM):
        op.drop_table(name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP FUNCTION {MOVEMENT}_refuse_rewriting()")
