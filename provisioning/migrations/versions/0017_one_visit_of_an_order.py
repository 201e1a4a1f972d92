"""an order has one visit to come, whoever needs it: whose it is, and the bookings of those who need it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LIVE_OF_AN_ORDER = sa.text("order_id IS NOT NULL AND state IN ('booked', 'scanned')")
OPEN_BOOKING = sa.text("released_at IS NULL")
SCHEDULED = sa.text("state = 'scheduled'")
SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
OWN = f"tenant_id = {SETTING} OR {SETTING} = '*'"


def upgrade() -> None:
    op.add_column("visit", sa.Column("order_id", NUMBER, nullable=True))
    op.execute(
        "UPDATE visit SET order_id = (SELECT order_id FROM deployment"
        " WHERE deployment.visit_id = visit.id AND deployment.state = 'scheduled')"
    )
    op.create_index(
        "uq_visit_order",
        "visit",
        ["tenant_id", "customer_id", "order_id"],
        unique=True,
        sqlite_where=LIVE_OF_AN_ORDER,
        postgresql_where=LIVE_OF_AN_ORDER,
    )
    _create_bookings()
    op.execute(
        "INSERT INTO visit_booking (tenant_id, visit_id, purpose, order_id, request_id, technician_id, starts_at,"
        " ends_at, booked_at, released_at) SELECT tenant_id, id, CASE WHEN EXISTS (SELECT 1 FROM deployment"
        " WHERE deployment.visit_id = visit.id) THEN 'deployment' ELSE 'installation' END, order_id,"
        " COALESCE(request_id, (SELECT request_id FROM deployment WHERE deployment.visit_id = visit.id)),"
        " technician_id, starts_at, ends_at, booked_at, CASE WHEN state = 'cancelled' THEN outcome_at END FROM visit"
    )
    op.drop_index("uq_visit_request", table_name="visit")
    op.drop_column("visit", "request_id")
    op.drop_index("uq_deployment_visit", table_name="deployment")
    op.create_index(
        "uq_deployment_visit",
        "deployment",
        ["visit_id"],
        unique=True,
        sqlite_where=SCHEDULED,
        postgresql_where=SCHEDULED,
    )


def _create_bookings() -> None:
    op.create_table(
        "visit_booking",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("visit_id", NUMBER, nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("order_id", NUMBER, nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("technician_id", NUMBER, nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose IN ('deployment', 'installation')", name=op.f("ck_visit_booking_purpose")),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_visit_booking_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_booking")),
    )
    op.create_index("uq_visit_booking_request", "visit_booking", ["tenant_id", "request_id"], unique=True)
    op.create_index(
        "uq_visit_booking_purpose",
        "visit_booking",
        ["visit_id", "purpose"],
        unique=True,
        sqlite_where=OPEN_BOOKING,
        postgresql_where=OPEN_BOOKING,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY visit_booking_own ON visit_booking USING ({OWN})")
        op.execute("ALTER TABLE visit_booking ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    """Of an installation's bookings of one visit, the first one's request stays; of an order's, the newest deployment."""
    op.drop_index("uq_deployment_visit", table_name="deployment", sqlite_where=SCHEDULED, postgresql_where=SCHEDULED)
    op.execute(
        "DELETE FROM deployment WHERE EXISTS (SELECT 1 FROM deployment AS newer"
        " WHERE newer.visit_id = deployment.visit_id AND newer.id > deployment.id)"
    )
    op.create_index("uq_deployment_visit", "deployment", ["visit_id"], unique=True)
    op.add_column("visit", sa.Column("request_id", sa.Text(), nullable=True))
    op.execute(
        "UPDATE visit SET request_id = (SELECT request_id FROM visit_booking WHERE visit_booking.visit_id = visit.id"
        " AND purpose = 'installation' AND request_id IS NOT NULL ORDER BY id LIMIT 1)"
    )
    op.create_index("uq_visit_request", "visit", ["tenant_id", "request_id"], unique=True)
    op.drop_table("visit_booking")
    op.drop_index(
        "uq_visit_order", table_name="visit", sqlite_where=LIVE_OF_AN_ORDER, postgresql_where=LIVE_OF_AN_ORDER
    )
    op.drop_column("visit", "order_id")
