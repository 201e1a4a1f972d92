"""the ISP's own number of a subscriber, the names it gave up, and the line it may log in from"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

SETTING = "nullif(current_setting('firstlight.tenant_id', true), '')"
IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OLD_ACTS = ("change_plan", "suspend", "resume", "rotate_password")
NEW_ACTS = (*OLD_ACTS, "rename", "bind", "unbind", "apply_plan")
UNIQUE = {
    "uq_radius_subscriber_external_id": (["tenant_id", "external_id"], "state <> 'terminated'"),
    "uq_radius_subscriber_line_station": (["bound_station"], "state <> 'terminated' AND login_by_line"),
    "uq_radius_subscriber_line_circuit": (["bound_circuit"], "state <> 'terminated' AND login_by_line"),
}


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("external_id", sa.String(128)),
        *(sa.Column(f"bound_{name}", sa.String(253)) for name in ("station", "port", "circuit", "remote")),
        sa.Column("login_by_line", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("radius_subscriber", column)
    for name, (columns, where) in UNIQUE.items():
        op.create_index(
            name,
            "radius_subscriber",
            columns,
            unique=True,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    _make_former_names()
    _let_acts_be(OLD_ACTS, NEW_ACTS)
    # which groups a line in a walled garden is in, and which a plan has, is told anew
    op.execute("UPDATE radius_subscriber SET version = version + 1 WHERE garden_plan_id IS NOT NULL")
    op.execute(
        "UPDATE radius_plan SET version = version + 1 WHERE ipv4_pool IS NOT NULL OR ipv6_pool IS NOT NULL"
        " OR ipv6_delegated_pool IS NOT NULL OR vrf IS NOT NULL OR dns_ipv4 <> '' OR dns_ipv6 <> ''"
    )


def _make_former_names() -> None:
    name = "radius_former_username"
    op.create_table(
        name,
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["radius_subscriber.tenant_id", "radius_subscriber.id"],
            name=op.f("fk_radius_former_username_tenant_id_subscriber_id_radius_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_former_username")),
    )
    op.create_index("ix_radius_former_username_named", name, ["username"])
    op.create_index("ix_radius_former_username_of", name, ["tenant_id", "subscriber_id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY {name}_own ON {name} USING (tenant_id = {SETTING} OR {SETTING} = '*')")
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def _let_acts_be(former: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    """SQLite copies the table for that, and reflection tells nothing of a CHECK."""
    table, check = "radius_session_change", op.f("ck_radius_session_change_act")
    pending = sa.text("state = 'pending'")
    for index in ("ix_radius_session_change_of", "ix_radius_session_change_due"):
        op.drop_index(index, table)
    with op.batch_alter_table(table, copy_from=_changes_as_they_are(former)) as changes:
        changes.drop_constraint(check, type_="check")
        changes.create_check_constraint(check, f"act IN ({', '.join(repr(act) for act in wanted)})")
    op.create_index("ix_radius_session_change_of", table, ["tenant_id", "subscriber_id", "id"])
    op.create_index(
        "ix_radius_session_change_due",
        table,
        ["tenant_id", "due_at"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _changes_as_they_are(acts: tuple[str, ...]) -> sa.Table:
    return sa.Table(
        "radius_session_change",
        sa.MetaData(),
        sa.Column("id", IDENTITY, autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(64), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(16), nullable=False),
        sa.Column("request_id", sa.String(200)),
        sa.Column("request_fingerprint", sa.String(64), nullable=False),
        sa.Column("former", sa.Text(), nullable=False),
        sa.Column("must_end", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("carried_at", sa.DateTime(timezone=True)),
        sa.Column("right_above", sa.BigInteger()),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            f"act IN ({', '.join(repr(act) for act in acts)})", name=op.f("ck_radius_session_change_act")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'confirmed', 'superseded')", name=op.f("ck_radius_session_change_state")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "subscriber_id"],
            ["radius_subscriber.tenant_id", "radius_subscriber.id"],
            name=op.f("fk_radius_session_change_tenant_id_subscriber_id_radius_subscriber"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_session_change")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_radius_session_change_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "request_id", name=op.f("uq_radius_session_change_tenant_id_request_id")),
    )


def downgrade() -> None:
    op.execute(
        "DELETE FROM radius_session_treatment WHERE change_id IN"
        " (SELECT id FROM radius_session_change WHERE act IN ('rename', 'bind', 'unbind', 'apply_plan'))"
    )
    op.execute("DELETE FROM radius_session_change WHERE act IN ('rename', 'bind', 'unbind', 'apply_plan')")
    _let_acts_be(NEW_ACTS, OLD_ACTS)
    op.drop_table("radius_former_username")
    for name in UNIQUE:
        op.drop_index(name, "radius_subscriber")
    for column in reversed(_columns()):
        op.drop_column("radius_subscriber", column.name)
