"""addresses kept: how pools hand out and when they run low, reservations, drains, moves, samples, CGNAT"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ipam.ddl import POSTGRESQL_MOVES, SQLITE_HISTORY, SQLITE_MOVES

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OLD_KINDS = "kind IN ('ipv4', 'ipv6_wan', 'ipv6_pd', 'cvlan')"
NEW_KINDS = "kind IN ('ipv4', 'ipv6_wan', 'ipv6_pd', 'ipv4_routed', 'ipv6_routed', 'cvlan')"
OLD_EVENTS = "what IN ('assigned', 'released')"
NEW_EVENTS = "what IN ('assigned', 'released', 'moved', 'reserved', 'unreserved', 'lifted')"
OF_A_SERVICE = "(what IN ('assigned', 'released', 'moved')) = (service_id IS NOT NULL)"
POOL_CHECKS = {
    "ipam_pool_policy": "policy IN ('fresh_first', 'reuse_first')",
    "ipam_pool_sticky": "sticky_seconds >= 0",
    "ipam_pool_thresholds": "warn_percent BETWEEN 1 AND 100 AND crit_percent BETWEEN warn_percent AND 100 AND minimum_free >= 0",
}
ALLOCATION_COLUMNS = (
    "sticky_until {moment} CONSTRAINT ipam_allocation_sticky CHECK (sticky_until IS NULL OR state = 'quarantine')",
    "note TEXT CONSTRAINT ipam_allocation_note CHECK ((state = 'reserved') = (note IS NOT NULL))",
)
"""Each with its CHECK, which SQLite takes only so without making the table anew."""


def upgrade() -> None:
    _widen_pool()
    _widen_history()
    moment = "TIMESTAMP WITH TIME ZONE" if _on_postgresql() else "DATETIME"
    for column in ALLOCATION_COLUMNS:
        op.execute(f"ALTER TABLE ipam_allocation ADD COLUMN {column.format(moment=moment)}")
    op.add_column("ipam_exclusion", sa.Column("note", sa.Text(), nullable=True))
    op.add_column("ipam_service", sa.Column("static_request", sa.Text(), nullable=True))
    op.add_column("ipam_svlan", sa.Column("cvlan_formula", sa.Text(), nullable=True))
    op.add_column("ipam_location", sa.Column("onu", sa.Integer(), nullable=True))
    op.add_column("ipam_location", sa.Column("circuit_id", sa.Text(), nullable=True))
    _create_upkeep()
    _create_samples()
    _create_nat()
    for sql in POSTGRESQL_MOVES if _on_postgresql() else SQLITE_MOVES:
        op.execute(sql)


def downgrade() -> None:
    for table in ("ipam_nat_block", "ipam_nat_rule", "ipam_pool_sample", "ipam_service_move", "ipam_former_prefix"):
        op.drop_table(table)
    if _on_postgresql():
        op.execute("DROP FUNCTION ipam_refuse_rewriting_moves()")
    op.drop_table("ipam_drain")
    op.drop_column("ipam_location", "circuit_id")
    op.drop_column("ipam_location", "onu")
    op.drop_column("ipam_svlan", "cvlan_formula")
    op.drop_column("ipam_service", "static_request")
    op.drop_column("ipam_exclusion", "note")
    _narrow_allocation()
    _narrow_history()
    _narrow_pool()


def _on_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


# -- pools -------------------------------------------------------------------------------------------------------------


def _pool_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("sticky_seconds", sa.Integer(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False, server_default="fresh_first"),
        sa.Column("warn_percent", sa.Integer(), nullable=False, server_default="80"),
        sa.Column("crit_percent", sa.Integer(), nullable=False, server_default="95"),
        sa.Column("minimum_free", sa.BigInteger(), nullable=False, server_default="0"),
    ]


def _pool_as_it_is(kinds: str, columns: list[sa.Column[object]], checks: dict[str, str]) -> sa.Table:
    """The table before the change: SQLite makes it anew, and no reflection tells it of CHECK constraints."""
    return sa.Table(
        "ipam_pool",
        sa.MetaData(),
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("prefix_id", sa.Integer(), nullable=True),
        sa.Column("svlan_id", sa.Integer(), nullable=True),
        sa.Column("unit_length", sa.Integer(), nullable=True),
        sa.Column("span", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("quarantine_seconds", sa.Integer(), nullable=False),
        sa.Column("framed_pool", sa.Text(), nullable=True),
        sa.Column("defined_at", sa.DateTime(timezone=True), nullable=False),
        *columns,
        sa.CheckConstraint(
            "(kind = 'cvlan') = (svlan_id IS NOT NULL) AND (kind = 'cvlan') = (prefix_id IS NULL) AND (kind = 'cvlan') = (unit_length IS NULL)",
            name="ipam_pool_stands_on",
        ),
        sa.CheckConstraint("framed_pool IS NULL OR kind = 'ipv4'", name="ipam_pool_framed"),
        sa.CheckConstraint(kinds, name="ipam_pool_kind"),
        sa.CheckConstraint("quarantine_seconds >= 0", name="ipam_pool_quarantine"),
        sa.CheckConstraint(
            "span > 0 AND span <= 4611686018427387904 AND size BETWEEN 0 AND span", name="ipam_pool_size"
        ),
        *(sa.CheckConstraint(rule, name=name) for name, rule in checks.items()),
        sa.ForeignKeyConstraint(["prefix_id"], ["ipam_prefix.id"]),
        sa.ForeignKeyConstraint(["svlan_id"], ["ipam_svlan.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("prefix_id"),
        sa.UniqueConstraint("svlan_id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_pool_name"),
    )


def _widen_pool() -> None:
    with op.batch_alter_table("ipam_pool", copy_from=_pool_as_it_is(OLD_KINDS, [], {})) as pool:
        pool.drop_constraint("ipam_pool_kind", type_="check")
        pool.create_check_constraint("ipam_pool_kind", NEW_KINDS)
        for column in _pool_columns():
            pool.add_column(column)
        for name, rule in POOL_CHECKS.items():
            pool.create_check_constraint(name, rule)


def _narrow_pool() -> None:
    """Routed prefixes have no place in the older shape; whoever holds one must give it back before."""
    before = _pool_as_it_is(NEW_KINDS, _pool_columns(), POOL_CHECKS)
    with op.batch_alter_table("ipam_pool", copy_from=before) as pool:
        for name in ("ipam_pool_kind", *POOL_CHECKS):
            pool.drop_constraint(name, type_="check")
        for column in _pool_columns():
            pool.drop_column(column.name)
        pool.create_check_constraint("ipam_pool_kind", OLD_KINDS)


# -- history and allocations -------------------------------------------------------------------------------------------


def _history_as_it_is(checks: dict[str, str], *, wide: bool) -> sa.Table:
    return sa.Table(
        "ipam_allocation_event",
        sa.MetaData(),
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=wide),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        *([sa.Column("note", sa.Text(), nullable=True)] if wide else []),
        *(sa.CheckConstraint(rule, name=name) for name, rule in checks.items()),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"]),
        sa.ForeignKeyConstraint(["service_id"], ["ipam_service.service_id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def _widen_history() -> None:
    _drop_history_indexes()
    before = _history_as_it_is({"ipam_allocation_event_what": OLD_EVENTS}, wide=False)
    with op.batch_alter_table("ipam_allocation_event", copy_from=before) as history:
        history.drop_constraint("ipam_allocation_event_what", type_="check")
        history.alter_column("service_id", existing_type=sa.Integer(), nullable=True)
        history.add_column(sa.Column("note", sa.Text(), nullable=True))
        history.create_check_constraint("ipam_allocation_event_what", NEW_EVENTS)
        history.create_check_constraint("ipam_allocation_event_service", OF_A_SERVICE)
    _restore_history()


def _narrow_history() -> None:
    """The older shape knows only what is given and taken back."""
    _drop_history_indexes()
    _let_history_be_rewritten()
    op.execute("DELETE FROM ipam_allocation_event WHERE NOT (what IN ('assigned', 'released'))")
    checks = {"ipam_allocation_event_what": NEW_EVENTS, "ipam_allocation_event_service": OF_A_SERVICE}
    with op.batch_alter_table("ipam_allocation_event", copy_from=_history_as_it_is(checks, wide=True)) as history:
        for name in checks:
            history.drop_constraint(name, type_="check")
        history.drop_column("note")
        history.alter_column("service_id", existing_type=sa.Integer(), nullable=False)
        history.create_check_constraint("ipam_allocation_event_what", OLD_EVENTS)
    if _on_postgresql():
        op.execute("ALTER TABLE ipam_allocation_event ENABLE TRIGGER ipam_allocation_event_append_only")
    _restore_history()


def _let_history_be_rewritten() -> None:
    if _on_postgresql():
        op.execute("ALTER TABLE ipam_allocation_event DISABLE TRIGGER ipam_allocation_event_append_only")
        return
    for verb in ("update", "delete"):
        op.execute(f"DROP TRIGGER ipam_allocation_event_no_{verb}")


def _drop_history_indexes() -> None:
    for name in ("ipam_allocation_event_of_unit", "ix_ipam_allocation_event_service_id"):
        op.drop_index(name, table_name="ipam_allocation_event")


def _restore_history() -> None:
    """Its indexes; on SQLite, which has made the table anew, also the triggers that guard it."""
    op.create_index("ipam_allocation_event_of_unit", "ipam_allocation_event", ["pool_id", "unit", "id"])
    op.create_index("ix_ipam_allocation_event_service_id", "ipam_allocation_event", ["service_id"])
    if not _on_postgresql():
        for sql in SQLITE_HISTORY:
            op.execute(sql)


def _narrow_allocation() -> None:
    """Reserved units and what is being drained are free again only by hand: the older shape has no words for them."""
    if _on_postgresql():
        for column in ("note", "sticky_until"):
            op.drop_column("ipam_allocation", column)
        return
    # SQLite drops no column that a CHECK names, but it does so when the table is made anew.
    indexes = ("ipam_allocation_held_by", "ipam_allocation_oldest", "ipam_allocation_own")
    for name in indexes:
        op.drop_index(name, table_name="ipam_allocation")
    with op.batch_alter_table("ipam_allocation", copy_from=_allocation_as_it_is()) as allocation:
        for name in ("ipam_allocation_sticky", "ipam_allocation_note"):
            allocation.drop_constraint(name, type_="check")
        for column in ("note", "sticky_until"):
            allocation.drop_column(column)
    assigned, resting = sa.text("state = 'assigned'"), sa.text("state = 'quarantine'")
    op.create_index(indexes[0], "ipam_allocation", ["service_id", "pool_id"], unique=True, sqlite_where=assigned)
    op.create_index(indexes[1], "ipam_allocation", ["pool_id", "available_at", "id"], sqlite_where=resting)
    op.create_index(indexes[2], "ipam_allocation", ["subject", "pool_id", "available_at", "id"], sqlite_where=resting)


def _allocation_as_it_is() -> sa.Table:
    return sa.Table(
        "ipam_allocation",
        sa.MetaData(),
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sticky_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'assigned') = (service_id IS NOT NULL)", name="ipam_allocation_holder"),
        sa.CheckConstraint("(state = 'quarantine') = (available_at IS NOT NULL)", name="ipam_allocation_available"),
        sa.CheckConstraint("state IN ('assigned', 'quarantine', 'reserved')", name="ipam_allocation_state"),
        sa.CheckConstraint("unit >= 0", name="ipam_allocation_unit"),
        sa.CheckConstraint("sticky_until IS NULL OR state = 'quarantine'", name="ipam_allocation_sticky"),
        sa.CheckConstraint("(state = 'reserved') = (note IS NOT NULL)", name="ipam_allocation_note"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"]),
        sa.ForeignKeyConstraint(["service_id"], ["ipam_service.service_id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool_id", "unit", name="ipam_allocation_unit_once"),
    )


# -- new tables --------------------------------------------------------------------------------------------------------


def _create_upkeep() -> None:
    op.create_table(
        "ipam_drain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("first_unit", sa.BigInteger(), nullable=False),
        sa.Column("last_unit", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("first_unit >= 0 AND first_unit <= last_unit", name="ipam_drain_bounds"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool_id", "first_unit", name="ipam_drain_once"),
    )
    op.create_table(
        "ipam_former_prefix",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("vrf_id", sa.Integer(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("first_address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("last_address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint("first_address <= last_address", name="ipam_former_prefix_bounds"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"]),
        sa.ForeignKeyConstraint(["vrf_id"], ["ipam_vrf.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_ipam_former_prefix_pool_id", "ipam_former_prefix", ["pool_id"])
    op.create_index("ipam_former_prefix_order", "ipam_former_prefix", ["vrf_id", "first_address"])
    op.create_table(
        "ipam_service_move",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("from_location_id", sa.Integer(), nullable=False),
        sa.Column("to_location_id", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("static_request", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["ipam_service.service_id"]),
        sa.ForeignKeyConstraint(["from_location_id"], ["ipam_location.id"]),
        sa.ForeignKeyConstraint(["to_location_id"], ["ipam_location.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "request_id", name="ipam_service_move_request_once"),
    )
    op.create_index("ipam_service_move_of_service", "ipam_service_move", ["service_id", "id"])


def _create_samples() -> None:
    op.create_table(
        "ipam_pool_sample",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("size", "assigned", "quarantined", "reserved", "draining", "free")
        ),
        sa.Column("level", sa.Text(), nullable=False),
        sa.CheckConstraint("level IN ('ok', 'low', 'critical', 'exhausted')", name="ipam_pool_sample_level"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool_id", "at", name="ipam_pool_sample_once"),
    )
    op.create_index("ipam_pool_sample_at", "ipam_pool_sample", ["tenant_id", "at"])


def _create_nat() -> None:
    in_force = sa.text("until IS NULL")
    op.create_table(
        "ipam_nat_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("prefix_id", sa.Integer(), nullable=False),
        sa.Column("first_outside", sa.LargeBinary(length=16), nullable=False),
        sa.Column("last_outside", sa.LargeBinary(length=16), nullable=False),
        sa.Column("first_inside", sa.LargeBinary(length=16), nullable=False),
        sa.Column("inside_count", sa.Integer(), nullable=False),
        sa.Column("first_port", sa.Integer(), nullable=False),
        sa.Column("last_port", sa.Integer(), nullable=False),
        sa.Column("ports_per_subscriber", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("first_outside <= last_outside", name="ipam_nat_rule_outside_bounds"),
        sa.CheckConstraint(
            "first_port BETWEEN 1 AND last_port AND last_port <= 65535 AND ports_per_subscriber BETWEEN 1 AND last_port - first_port + 1",
            name="ipam_nat_rule_ports",
        ),
        sa.CheckConstraint("algorithm IN ('by_address', 'by_block')", name="ipam_nat_rule_algorithm"),
        sa.CheckConstraint("until IS NULL OR since <= until", name="ipam_nat_rule_time"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"]),
        sa.ForeignKeyConstraint(["prefix_id"], ["ipam_prefix.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_ipam_nat_rule_pool_id", "ipam_nat_rule", ["pool_id"])
    op.create_index("ix_ipam_nat_rule_prefix_id", "ipam_nat_rule", ["prefix_id"])
    op.create_index("ipam_nat_rule_outside", "ipam_nat_rule", ["tenant_id", "first_outside"])
    op.create_index(
        "ipam_nat_rule_in_force",
        "ipam_nat_rule",
        ["pool_id"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )
    op.create_table(
        "ipam_nat_block",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("outside", sa.LargeBinary(length=16), nullable=False),
        sa.Column("first_port", sa.Integer(), nullable=False),
        sa.Column("last_port", sa.Integer(), nullable=False),
        sa.Column("vrf_id", sa.Integer(), nullable=False),
        sa.Column("inside", sa.LargeBinary(length=16), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("first_port BETWEEN 1 AND last_port AND last_port <= 65535", name="ipam_nat_block_ports"),
        sa.CheckConstraint("ended_at IS NULL OR began_at < ended_at", name="ipam_nat_block_time"),
        sa.ForeignKeyConstraint(["vrf_id"], ["ipam_vrf.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "outside", "first_port", "began_at", name="ipam_nat_block_once"),
    )
    op.create_index("ipam_nat_block_inside", "ipam_nat_block", ["tenant_id", "inside", "began_at"])
