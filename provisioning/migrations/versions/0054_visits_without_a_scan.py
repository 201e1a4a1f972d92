"""a visit may be completed without a scan: a repair or a survey has nothing to scan"""

from __future__ import annotations

from alembic import op

from provisioning.migrations.technician_once import SQLITE_DROPS, WITH_WAY_AND_BUFFER, sqlite_rules

revision = "0054"
down_revision = "0047"
branch_labels = None
depends_on = None

VISIT, NAME = "visit", "ck_visit_serial_when_scanned"


def upgrade() -> None:
    _scanned("state <> 'scanned' OR scanned_serial IS NOT NULL")


def downgrade() -> None:
    """Refused by the database while there is a visit that was completed without a scan: the former shape has none."""
    _scanned("state NOT IN ('scanned', 'completed') OR scanned_serial IS NOT NULL")


def _scanned(rule: str) -> None:
    is_copied = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_DROPS if is_copied else ():  # they speak of the table that the copy is not yet
        op.execute(statement)
    with op.batch_alter_table(VISIT) as visits:
        visits.drop_constraint(op.f(NAME), type_="check")
        visits.create_check_constraint(op.f(NAME), rule)
    for statement in sqlite_rules(WITH_WAY_AND_BUFFER) if is_copied else ():
        op.execute(statement)
