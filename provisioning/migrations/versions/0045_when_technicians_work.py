"""when technicians work, what jobs take, and visits held with their way and buffer"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

from provisioning.migrations.technician_once import (
    POSTGRESQL_DROPS,
    SQLITE_DROPS,
    VISIT_ALONE,
    WITH_WAY_AND_BUFFER,
    Held,
    postgresql_rules,
    sqlite_rules,
)

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
TECHNICIAN, VISIT, BOOKING, JOB, LEAVE = "technician", "visit", "visit_booking", "visit_job", "technician_leave"
PURPOSES = "purpose IN ('deployment', 'installation', 'dispatch')"
FORMER_PURPOSES = "purpose IN ('deployment', 'installation')"
ONLY_FOR_DISPATCH = """
SELECT count(*) FROM visit
WHERE state IN ('booked', 'scanned')
  AND EXISTS (SELECT 1 FROM visit_booking WHERE visit_id = visit.id AND purpose = 'dispatch')
  AND NOT EXISTS (SELECT 1 FROM visit_booking WHERE visit_id = visit.id AND released_at IS NULL AND purpose != 'dispatch')
"""


def upgrade() -> None:
    of_technicians: tuple[sa.Column[Any], ...] = (
        sa.Column("team", sa.Text(), nullable=True),
        sa.Column("van", sa.Text(), nullable=True),
        sa.Column("home_latitude", sa.Float(53), nullable=True),
        sa.Column("home_longitude", sa.Float(53), nullable=True),
        sa.Column("week", sa.JSON(), nullable=True),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("holidays", sa.Text(), nullable=True),
    )
    for column in of_technicians:
        op.add_column(TECHNICIAN, column)
    of_visits: tuple[sa.Column[Any], ...] = (
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("latitude", sa.Float(53), nullable=True),
        sa.Column("longitude", sa.Float(53), nullable=True),
        sa.Column("held_from", MOMENT, nullable=True),
        sa.Column("held_to", MOMENT, nullable=True),
        sa.Column("window_minutes", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("sequence", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("changed_at", MOMENT, nullable=True),
        sa.Column("override_reason", sa.Text(), nullable=True),
        sa.Column("override_by", sa.Text(), nullable=True),
    )
    for column in of_visits:
        op.add_column(VISIT, column)
    _once(WITH_WAY_AND_BUFFER)
    _purposes(PURPOSES)
    _create_plans()


def _create_plans() -> None:
    op.create_table(
        JOB,
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_minutes", sa.Integer(), nullable=False),
        sa.Column("window_minutes", sa.Integer(), nullable=False),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.CheckConstraint("duration_minutes BETWEEN 5 AND 1440", name=op.f("ck_visit_job_duration")),
        sa.CheckConstraint("buffer_minutes BETWEEN 0 AND 240", name=op.f("ck_visit_job_buffer")),
        sa.CheckConstraint("window_minutes BETWEEN 0 AND 480", name=op.f("ck_visit_job_window")),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_visit_job")),
    )
    op.create_table(
        LEAVE,
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("technician_id", NUMBER, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_technician_leave_period")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "technician_id"],
            ["technician.tenant_id", "technician.id"],
            name=op.f("fk_technician_leave_tenant_id_technician_id_technician"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_technician_leave")),
    )
    op.create_index("ix_technician_leave_technician", LEAVE, ["tenant_id", "technician_id", "ends_at"])
    if op.get_bind().dialect.name == "postgresql":
        for name in (JOB, LEAVE):
            op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
            op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """A visit that dispatch alone needs has nobody it is for in the former shape: it must be over before.

    Raises: CommandError, while there are any.
    """
    alone = op.get_bind().scalar(sa.text(ONLY_FOR_DISPATCH))
    if alone:
        raise CommandError(f"{alone} visits to come were booked by dispatch alone: cancel them, then downgrade.")
    op.drop_table(LEAVE)
    op.drop_table(JOB)
    op.execute("DELETE FROM visit_booking WHERE purpose = 'dispatch'")
    _purposes(FORMER_PURPOSES)
    _once(VISIT_ALONE)
    for name in (
        "override_by",
        "override_reason",
        "changed_at",
        "sequence",
        "window_minutes",
        "held_to",
        "held_from",
        "longitude",
        "latitude",
        "job",
    ):
        op.drop_column(VISIT, name)
    for name in ("holidays", "time_zone", "week", "home_longitude", "home_latitude", "van", "team"):
        op.drop_column(TECHNICIAN, name)


def _purposes(among: str) -> None:
    with op.batch_alter_table(BOOKING) as bookings:  # SQLite copies the table for that
        bookings.drop_constraint(op.f("ck_visit_booking_purpose"), type_="check")
        bookings.create_check_constraint(op.f("ck_visit_booking_purpose"), among)


def _once(held: Held) -> None:
    if op.get_bind().dialect.name == "postgresql":
        statements = (*POSTGRESQL_DROPS, *postgresql_rules(held))
    else:
        statements = (*SQLITE_DROPS, *sqlite_rules(held))
    for statement in statements:
        op.execute(statement)
