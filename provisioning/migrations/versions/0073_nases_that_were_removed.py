"""NASes that were removed, until FreeRADIUS knows them no longer; no number of one comes back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

TABLE = "radius_removed_nas"
SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
WAITING = "SELECT name, address FROM radius_removed_nas WHERE taken_away_at IS NULL ORDER BY id LIMIT 1"
TELL_ANEW = (
    # NASes of further dialects are told such a plan from now on, and nobody else would write their rows
    "UPDATE radius_plan SET projected_version = NULL WHERE qos_profile IS NOT NULL OR vrf IS NOT NULL",
    # hexadecimal digits were characters so far, and are octets
    "UPDATE radius_subscriber SET projected_version = NULL WHERE state <> 'terminated'"
    " AND (bound_circuit LIKE '0x%' OR bound_remote LIKE '0x%')",
)
INDEX = "ix_radius_removed_nas_tenant_id_taken_away_at"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("address", sa.String(15), nullable=False),
        sa.Column("adopted_address", sa.String(15)),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_away_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_radius_removed_nas"),
    )
    op.create_index(INDEX, TABLE, ["tenant_id", "taken_away_at"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {TABLE}_own ON {TABLE} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    _counted_on(True)
    for statement in TELL_ANEW:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('firstlight.tenant_id', '*', true)")
    if waiting := op.get_bind().execute(sa.text(WAITING)).first():
        raise RuntimeError(
            f"FreeRADIUS is not told yet that NAS {waiting.name} at {waiting.address} was removed, and the release before"
            " would let it answer that one for ever. Let a worker tell it: firstlight worker."
        )
    for statement in TELL_ANEW:
        op.execute(statement)
    _counted_on(False)
    op.drop_table(TABLE)


def _counted_on(always: bool) -> None:
    """SQLite gives the number of a row that is gone again, unless its table says otherwise: which takes a copy."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table("radius_nas", recreate="always", table_kwargs={"sqlite_autoincrement": always}):
            pass
