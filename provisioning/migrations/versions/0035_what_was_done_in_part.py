"""operations and installs of which a part was done; an install is one process's at a time"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

OPERATION, INSTALL, ONE_OPEN = "acs_operation", "acs_preset_install", "acs_preset_install_open"
OPERATION_STATES = ("requested", "queued", "done", "faulted", "expired", "unknown", "cancelled")
INSTALL_STATES = ("installing", "installed", "rolled_back")


def upgrade() -> None:
    _allow(OPERATION, (*OPERATION_STATES, "partial"))
    op.drop_index(ONE_OPEN, INSTALL)
    _allow(
        INSTALL,
        (*INSTALL_STATES, "taking_back", "unfinished"),
        ended="(state IN ('installed', 'rolled_back')) = (ended_at IS NOT NULL)",
    )
    op.add_column(INSTALL, sa.Column("leased_until", sa.DateTime(timezone=True)))
    op.add_column(INSTALL, sa.Column("leased_by", sa.String(32)))
    _one_where("ended_at IS NULL")


def downgrade() -> None:
    op.drop_index(ONE_OPEN, INSTALL)
    for column in ("leased_by", "leased_until"):
        op.drop_column(INSTALL, column)
    op.execute("UPDATE acs_preset_install SET state = 'installing' WHERE state IN ('taking_back', 'unfinished')")
    _allow(INSTALL, INSTALL_STATES, ended="(state = 'installing') = (ended_at IS NULL)")
    _one_where("state = 'installing'")
    # What was done in part is known no better than that.
    op.execute("UPDATE acs_operation SET state = 'unknown' WHERE state = 'partial'")
    _allow(OPERATION, OPERATION_STATES)


def _allow(table: str, states: tuple[str, ...], *, ended: str | None = None) -> None:
    with op.batch_alter_table(table) as rows:  # SQLite copies the table for that
        rows.drop_constraint(op.f(f"{table}_state"), type_="check")
        rows.create_check_constraint(op.f(f"{table}_state"), f"state IN ({', '.join(repr(each) for each in states)})")
        if ended is not None:
            rows.drop_constraint(op.f(f"{table}_ended"), type_="check")
            rows.create_check_constraint(op.f(f"{table}_ended"), ended)


def _one_where(condition: str) -> None:
    where = sa.text(condition)
    op.create_index(
        ONE_OPEN, INSTALL, ["tenant_id", "acs_name"], unique=True, sqlite_where=where, postgresql_where=where
    )
