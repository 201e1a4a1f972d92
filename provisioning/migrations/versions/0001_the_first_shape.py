"""the first shape"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ipam.ddl import POSTGRESQL_HISTORY, POSTGRESQL_PREFIX, SQLITE_HISTORY, SQLITE_PREFIX
from provisioning.migrations.technician_once import VISIT_ALONE, postgresql_rules, sqlite_rules

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("journey", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("business_key", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("input_digest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("back_to", sa.Text(), nullable=True),
        sa.Column("end_state", sa.Text(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("has_skips", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("current_step", sa.Text(), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("waiting_on", sa.Text(), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("segment", sa.Integer(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "journey", "business_key", name="uq_run_business_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_customer", "run", ["tenant_id", "customer_id"], unique=False)
    op.create_index("ix_run_state", "run", ["tenant_id", "state", "id"], unique=False)
    op.create_index("ix_run_waiting", "run", ["waiting_for", "waiting_on"], unique=False)
    op.create_index(
        "ix_run_wake_at",
        "run",
        ["wake_at"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "run_worker",
        sa.Column("executor_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("executor_id"),
    )
    op.create_table(
        "run_note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_run_note_run", "run_note", ["run_id", "id"], unique=False)
    op.create_table(
        "run_signal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("sent_by", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consumed_by", sa.Text(), nullable=True),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run_id", "key", name="uq_run_signal_key"),
    )
    op.create_table(
        "run_step",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("undo_attempts", sa.Integer(), nullable=False),
        sa.Column("forgiven_attempts", sa.Integer(), nullable=False),
        sa.Column("forgiven_undo_attempts", sa.Integer(), nullable=False),
        sa.Column("skipped_by", sa.Text(), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waits_on", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "step", "round"),
    )
    op.create_index("ix_run_step_waits_on", "run_step", ["waits_on"], unique=False)
    op.create_table(
        "ipam_address_plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), nullable=False),
        sa.Column("addressing", sa.Text(), nullable=False),
        sa.Column("ipv4", sa.Boolean(), nullable=False),
        sa.Column("ipv6_wan", sa.Boolean(), nullable=False),
        sa.Column("ipv6_pd", sa.Boolean(), nullable=False),
        sa.Column("cvlan", sa.Text(), nullable=False),
        sa.CheckConstraint("access IN ('pppoe', 'ipoe')", name="ipam_address_plan_access"),
        sa.CheckConstraint("addressing IN ('sticky', 'framed_pool', 'dhcp')", name="ipam_address_plan_addressing"),
        sa.CheckConstraint("cvlan IN ('by_node', 'always', 'never')", name="ipam_address_plan_cvlan"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_address_plan_name"),
    )
    op.create_table(
        "ipam_bng",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_bng_name"),
    )
    op.create_table(
        "ipam_site",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_site_name"),
    )
    op.create_table(
        "ipam_vlan_group",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vids", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_vlan_group_name"),
    )
    op.create_table(
        "ipam_vrf",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_vrf_name"),
    )
    op.create_table(
        "ipam_access_node",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("bng_id", sa.Integer(), nullable=False),
        sa.Column("vlan_model", sa.Text(), nullable=False),
        sa.Column("cpe_vlan_id", sa.Integer(), nullable=True),
        sa.Column("management_vlan", sa.Integer(), nullable=True),
        sa.CheckConstraint("vlan_model IN ('n1', 'one_to_one')", name="ipam_access_node_vlan_model"),
        sa.CheckConstraint("cpe_vlan_id BETWEEN 1 AND 4094", name="ipam_access_node_cpe_vlan"),
        sa.CheckConstraint("management_vlan BETWEEN 1 AND 4094", name="ipam_access_node_management_vlan"),
        sa.ForeignKeyConstraint(
            ["bng_id"],
            ["ipam_bng.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["ipam_site.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_access_node_name"),
    )
    op.create_index(op.f("ix_ipam_access_node_bng_id"), "ipam_access_node", ["bng_id"], unique=False)
    op.create_index(op.f("ix_ipam_access_node_site_id"), "ipam_access_node", ["site_id"], unique=False)
    op.create_table(
        "ipam_prefix",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("vrf_id", sa.Integer(), nullable=False),
        sa.Column("family", sa.Integer(), nullable=False),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("first_address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("last_address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("gateway", sa.LargeBinary(length=16), nullable=True),
        sa.CheckConstraint("role IN ('public', 'cgnat', 'wan6', 'pd', 'infra', 'container')", name="ipam_prefix_role"),
        sa.CheckConstraint("family IN (4, 6)", name="ipam_prefix_family"),
        sa.CheckConstraint("gateway IS NULL OR length(gateway) = 16", name="ipam_prefix_gateway"),
        sa.CheckConstraint(
            "length(first_address) = 16 AND length(last_address) = 16 AND first_address <= last_address",
            name="ipam_prefix_bounds",
        ),
        sa.ForeignKeyConstraint(
            ["vrf_id"],
            ["ipam_vrf.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("vrf_id", "network", "role", name="ipam_prefix_network"),
    )
    op.create_index("ipam_prefix_order", "ipam_prefix", ["vrf_id", "first_address"], unique=False)
    op.create_table(
        "ipam_svlan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("vid", sa.Integer(), nullable=False),
        sa.CheckConstraint("vid BETWEEN 2 AND 4094", name="ipam_svlan_vid"),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["ipam_vlan_group.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("group_id", "vid", name="ipam_svlan_vid_once"),
    )
    op.create_table(
        "ipam_access_port",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["node_id"],
            ["ipam_access_node.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node_id", "id", name="ipam_access_port_of_node"),
        sa.UniqueConstraint("node_id", "name", name="ipam_access_port_name"),
    )
    op.create_table(
        "ipam_pool",
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
        sa.CheckConstraint(
            "(kind = 'cvlan') = (svlan_id IS NOT NULL) AND (kind = 'cvlan') = (prefix_id IS NULL) AND (kind = 'cvlan') = (unit_length IS NULL)",
            name="ipam_pool_stands_on",
        ),
        sa.CheckConstraint("framed_pool IS NULL OR kind = 'ipv4'", name="ipam_pool_framed"),
        sa.CheckConstraint("kind IN ('ipv4', 'ipv6_wan', 'ipv6_pd', 'cvlan')", name="ipam_pool_kind"),
        sa.CheckConstraint("quarantine_seconds >= 0", name="ipam_pool_quarantine"),
        sa.CheckConstraint(
            "span > 0 AND span <= 4611686018427387904 AND size BETWEEN 0 AND span", name="ipam_pool_size"
        ),
        sa.ForeignKeyConstraint(
            ["prefix_id"],
            ["ipam_prefix.id"],
        ),
        sa.ForeignKeyConstraint(
            ["svlan_id"],
            ["ipam_svlan.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("prefix_id"),
        sa.UniqueConstraint("svlan_id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_pool_name"),
    )
    op.create_table(
        "ipam_exclusion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("first_unit", sa.BigInteger(), nullable=False),
        sa.Column("last_unit", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("first_unit >= 0 AND first_unit <= last_unit", name="ipam_exclusion_bounds"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool_id", "first_unit", name="ipam_exclusion_once"),
    )
    op.create_table(
        "ipam_free_range",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("next_unit", sa.BigInteger(), nullable=False),
        sa.Column("last_unit", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("next_unit >= 0 AND next_unit <= last_unit", name="ipam_free_range_not_empty"),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("pool_id", "seq"),
        postgresql_with={"fillfactor": 20},
    )
    op.create_table(
        "ipam_location",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Integer(), nullable=False),
        sa.Column("port_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["node_id", "port_id"],
            ["ipam_access_port.node_id", "ipam_access_port.id"],
            name="ipam_location_port_is_of_its_node",
        ),
        sa.ForeignKeyConstraint(
            ["node_id"],
            ["ipam_access_node.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", name="ipam_location_name"),
    )
    op.create_index(op.f("ix_ipam_location_node_id"), "ipam_location", ["node_id"], unique=False)
    op.create_table(
        "ipam_pool_binding",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=True),
        sa.Column("svlan_id", sa.Integer(), nullable=True),
        sa.Column("bng_id", sa.Integer(), nullable=True),
        sa.Column("site_id", sa.Integer(), nullable=True),
        sa.Column("node_id", sa.Integer(), nullable=True),
        sa.Column("port_id", sa.Integer(), nullable=True),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.CheckConstraint("(pool_id IS NULL) <> (svlan_id IS NULL)", name="ipam_pool_binding_of_one"),
        sa.CheckConstraint(
            "1 = (CASE WHEN bng_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN site_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN node_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN port_id IS NULL THEN 0 ELSE 1 END)",
            name="ipam_pool_binding_to_one",
        ),
        sa.ForeignKeyConstraint(
            ["bng_id"],
            ["ipam_bng.id"],
        ),
        sa.ForeignKeyConstraint(
            ["node_id"],
            ["ipam_access_node.id"],
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["ipam_address_plan.id"],
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["ipam_pool.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["port_id"],
            ["ipam_access_port.id"],
        ),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["ipam_site.id"],
        ),
        sa.ForeignKeyConstraint(["svlan_id"], ["ipam_svlan.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ipam_pool_binding_once",
        "ipam_pool_binding",
        [
            sa.literal_column("coalesce(pool_id, 0)"),
            sa.literal_column("coalesce(svlan_id, 0)"),
            sa.literal_column("coalesce(bng_id, 0)"),
            sa.literal_column("coalesce(site_id, 0)"),
            sa.literal_column("coalesce(node_id, 0)"),
            sa.literal_column("coalesce(port_id, 0)"),
            sa.literal_column("coalesce(plan_id, 0)"),
        ],
        unique=True,
    )
    op.create_index(op.f("ix_ipam_pool_binding_bng_id"), "ipam_pool_binding", ["bng_id"], unique=False)
    op.create_index(op.f("ix_ipam_pool_binding_node_id"), "ipam_pool_binding", ["node_id"], unique=False)
    op.create_index(op.f("ix_ipam_pool_binding_plan_id"), "ipam_pool_binding", ["plan_id"], unique=False)
    op.create_index(op.f("ix_ipam_pool_binding_pool_id"), "ipam_pool_binding", ["pool_id"], unique=False)
    op.create_index(op.f("ix_ipam_pool_binding_port_id"), "ipam_pool_binding", ["port_id"], unique=False)
    op.create_index(op.f("ix_ipam_pool_binding_site_id"), "ipam_pool_binding", ["site_id"], unique=False)
    op.create_index(op.f("ix_ipam_pool_binding_svlan_id"), "ipam_pool_binding", ["svlan_id"], unique=False)
    op.create_table(
        "ipam_location_alias",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["ipam_location.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "alias", name="ipam_location_alias_once"),
    )
    op.create_index(op.f("ix_ipam_location_alias_location_id"), "ipam_location_alias", ["location_id"], unique=False)
    op.create_table(
        "ipam_service",
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("svlan_id", sa.Integer(), nullable=True),
        sa.Column("framed_pool_id", sa.Integer(), nullable=True),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'released') = (released_at IS NOT NULL)", name="ipam_service_released"),
        sa.CheckConstraint("state IN ('active', 'released')", name="ipam_service_state"),
        sa.CheckConstraint("customer_id > 0", name="ipam_service_customer"),
        sa.ForeignKeyConstraint(
            ["framed_pool_id"],
            ["ipam_pool.id"],
        ),
        sa.ForeignKeyConstraint(
            ["location_id"],
            ["ipam_location.id"],
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["ipam_address_plan.id"],
        ),
        sa.ForeignKeyConstraint(
            ["svlan_id"],
            ["ipam_svlan.id"],
        ),
        sa.PrimaryKeyConstraint("service_id"),
        sa.UniqueConstraint("tenant_id", "request_id", name="ipam_service_request_once"),
        sa.UniqueConstraint("username", name="ipam_service_username_once"),
    )
    op.create_index(op.f("ix_ipam_service_customer_id"), "ipam_service", ["customer_id"], unique=False)
    op.create_index(op.f("ix_ipam_service_framed_pool_id"), "ipam_service", ["framed_pool_id"], unique=False)
    op.create_index(op.f("ix_ipam_service_location_id"), "ipam_service", ["location_id"], unique=False)
    op.create_index(op.f("ix_ipam_service_plan_id"), "ipam_service", ["plan_id"], unique=False)
    op.create_index(op.f("ix_ipam_service_svlan_id"), "ipam_service", ["svlan_id"], unique=False)
    op.create_table(
        "ipam_allocation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("assigned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'assigned') = (service_id IS NOT NULL)", name="ipam_allocation_holder"),
        sa.CheckConstraint("(state = 'quarantine') = (available_at IS NOT NULL)", name="ipam_allocation_available"),
        sa.CheckConstraint("state IN ('assigned', 'quarantine', 'reserved')", name="ipam_allocation_state"),
        sa.CheckConstraint("unit >= 0", name="ipam_allocation_unit"),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["ipam_pool.id"],
        ),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["ipam_service.service_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("pool_id", "unit", name="ipam_allocation_unit_once"),
    )
    op.create_index(
        "ipam_allocation_held_by",
        "ipam_allocation",
        ["service_id", "pool_id"],
        unique=True,
        sqlite_where=sa.text("state = 'assigned'"),
        postgresql_where=sa.text("state = 'assigned'"),
    )
    op.create_index(
        "ipam_allocation_oldest",
        "ipam_allocation",
        ["pool_id", "available_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'quarantine'"),
        postgresql_where=sa.text("state = 'quarantine'"),
    )
    op.create_index(
        "ipam_allocation_own",
        "ipam_allocation",
        ["subject", "pool_id", "available_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'quarantine'"),
        postgresql_where=sa.text("state = 'quarantine'"),
    )
    op.create_table(
        "ipam_allocation_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.BigInteger(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("what IN ('assigned', 'released')", name="ipam_allocation_event_what"),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["ipam_pool.id"],
        ),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["ipam_service.service_id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ipam_allocation_event_of_unit", "ipam_allocation_event", ["pool_id", "unit", "id"], unique=False)
    op.create_index(op.f("ix_ipam_allocation_event_service_id"), "ipam_allocation_event", ["service_id"], unique=False)
    op.create_table(
        "radius_nas",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("dialect", sa.String(length=32), nullable=False),
        sa.Column("coa_port", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("projected_version", sa.BigInteger(), nullable=True),
        sa.Column("projected_digest", sa.String(length=64), nullable=True),
        sa.Column("projected_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("coa_port BETWEEN 1 AND 65535", name=op.f("ck_radius_nas_coa_port")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_nas")),
        sa.UniqueConstraint("address", name=op.f("uq_radius_nas_address")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_radius_nas_tenant_id_name")),
    )
    op.create_table(
        "radius_plan",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("download_kbps", sa.BigInteger(), nullable=False),
        sa.Column("upload_kbps", sa.BigInteger(), nullable=False),
        sa.Column("session_timeout_seconds", sa.BigInteger(), nullable=True),
        sa.Column("idle_timeout_seconds", sa.BigInteger(), nullable=True),
        sa.Column("interim_interval_seconds", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("projected_version", sa.BigInteger(), nullable=True),
        sa.Column("projected_digest", sa.String(length=64), nullable=True),
        sa.Column("projected_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("download_kbps > 0 AND upload_kbps > 0", name=op.f("ck_radius_plan_rates")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_plan")),
        sa.UniqueConstraint("tenant_id", "id", name=op.f("uq_radius_plan_tenant_id_id")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_radius_plan_tenant_id_name")),
    )
    op.create_table(
        "radius_subscriber",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("service_id", sa.BigInteger(), nullable=True),
        sa.Column("username", sa.String(length=128), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("testing_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("framed_ipv4", sa.String(length=15), nullable=True),
        sa.Column("framed_pool", sa.String(length=253), nullable=True),
        sa.Column("ipv6_wan_prefix", sa.String(length=49), nullable=True),
        sa.Column("delegated_prefix", sa.String(length=49), nullable=True),
        sa.Column("request_id", sa.String(length=200), nullable=True),
        sa.Column("request_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("projected_version", sa.BigInteger(), nullable=True),
        sa.Column("projected_digest", sa.String(length=64), nullable=True),
        sa.Column("projected_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'testing') = (testing_until IS NOT NULL)", name=op.f("ck_radius_subscriber_testing_until")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'testing', 'active', 'suspended', 'terminated')",
            name=op.f("ck_radius_subscriber_state"),
        ),
        sa.CheckConstraint(
            "framed_ipv4 IS NULL OR framed_pool IS NULL", name=op.f("ck_radius_subscriber_address_or_pool")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "plan_id"],
            ["radius_plan.tenant_id", "radius_plan.id"],
            name=op.f("fk_radius_subscriber_tenant_id_plan_id_radius_plan"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_radius_subscriber")),
        sa.UniqueConstraint("tenant_id", "request_id", name=op.f("uq_radius_subscriber_tenant_id_request_id")),
    )
    op.create_index("ix_radius_subscriber_customer", "radius_subscriber", ["tenant_id", "customer_id"], unique=False)
    op.create_index("ix_radius_subscriber_every_username", "radius_subscriber", ["username"], unique=False)
    op.create_index(
        "uq_radius_subscriber_username",
        "radius_subscriber",
        ["username"],
        unique=True,
        sqlite_where=sa.text("state <> 'terminated'"),
        postgresql_where=sa.text("state <> 'terminated'"),
    )
    op.create_table(
        "acs_device",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("serial_as_given", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("data_model", sa.Text(), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("secret_version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.String(length=64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("task_id", sa.Text(), nullable=True),
        sa.Column("applied_revision", sa.String(length=64), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reading_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_inform_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="acs_device_withdrawn"),
        sa.CheckConstraint(
            "state IN ('awaiting_first_inform', 'queued', 'applied', 'verified', 'accepted_unverifiable', 'drifted', 'faulted', 'unreachable', 'withdrawn')",
            name="acs_device_state",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "acs_device_live_serial",
        "acs_device",
        ["tenant_id", "serial"],
        unique=True,
        sqlite_where=sa.text("state <> 'withdrawn'"),
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
    op.create_index("acs_device_service", "acs_device", ["tenant_id", "service_id"], unique=False)
    op.create_table(
        "acs_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("input_digest", sa.String(length=64), nullable=False),
        sa.Column("device_row_id", sa.Integer(), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_row_id"],
            ["acs_device.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "request_id", name="acs_request_once"),
    )
    op.create_table(
        "customer",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_customer")),
    )
    op.create_index("uq_customer_request", "customer", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "line_order",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("device_serial", sa.String(length=64), nullable=False),
        sa.Column("access_node", sa.String(length=64), nullable=False),
        sa.Column("port", sa.String(length=64), nullable=True),
        sa.Column("svlan", sa.Integer(), nullable=False),
        sa.Column("cvlan", sa.Integer(), nullable=True),
        sa.Column("management_vlan", sa.Integer(), nullable=True),
        sa.Column("line_profile", sa.String(length=64), nullable=False),
        sa.Column("adapter", sa.String(length=32), nullable=True),
        sa.Column("actual_port", sa.String(length=64), nullable=True),
        sa.Column("onu_id", sa.Integer(), nullable=True),
        sa.Column("received_power_dbm", sa.Float(precision=53), nullable=True),
        sa.Column("refusal", sa.String(length=500), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removal_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state <> 'authorised' OR (actual_port IS NOT NULL AND answered_at IS NOT NULL)",
            name=op.f("ck_line_order_answer"),
        ),
        sa.CheckConstraint(
            "state <> 'refused' OR (refusal IS NOT NULL AND answered_at IS NOT NULL)",
            name=op.f("ck_line_order_refusal"),
        ),
        sa.CheckConstraint(
            "state IN ('requested', 'handed_over', 'authorised', 'refused', 'withdrawn')",
            name=op.f("ck_line_order_state"),
        ),
        sa.CheckConstraint("cvlan BETWEEN 1 AND 4094", name=op.f("ck_line_order_cvlan")),
        sa.CheckConstraint("management_vlan BETWEEN 1 AND 4094", name=op.f("ck_line_order_management_vlan")),
        sa.CheckConstraint("svlan BETWEEN 1 AND 4094", name=op.f("ck_line_order_svlan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_line_order")),
    )
    op.create_index(
        "uq_line_order_live_serial",
        "line_order",
        ["tenant_id", "device_serial"],
        unique=True,
        postgresql_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
        sqlite_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
    )
    op.create_index(
        "uq_line_order_live_service",
        "line_order",
        ["tenant_id", "service_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
        sqlite_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
    )
    op.create_index(
        "uq_line_order_request",
        "line_order",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'withdrawn'"),
        sqlite_where=sa.text("state <> 'withdrawn'"),
    )
    op.create_table(
        "mail",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("variables_digest", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("smtp_reply", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_mail_sent_at_when_sent")),
        sa.CheckConstraint(
            "state IN ('queued', 'unknown', 'sent', 'refused', 'withdrawn')", name=op.f("ck_mail_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail")),
    )
    op.create_index("ix_mail_open", "mail", ["tenant_id", "state", "queued_at"], unique=False)
    op.create_index("uq_mail_message_id", "mail", ["message_id"], unique=True)
    op.create_index("uq_mail_request", "mail", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "secret",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret")),
        sa.UniqueConstraint("tenant_id", "ref", name=op.f("uq_secret_tenant_id_ref")),
    )
    op.create_index(op.f("ix_secret_key_id"), "secret", ["key_id"], unique=False)
    op.create_table(
        "secret_reveal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("ref", sa.String(length=200), nullable=False),
        sa.Column("revealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revealed_to", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_reveal")),
    )
    op.create_index(op.f("ix_secret_reveal_tenant_id_ref"), "secret_reveal", ["tenant_id", "ref"], unique=False)
    op.create_table(
        "technician",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_technician")),
    )
    op.create_table(
        "mail_attempt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("mail_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["mail_id"], ["mail.id"], name=op.f("fk_mail_attempt_mail_id_mail")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_attempt")),
    )
    op.create_index("uq_mail_attempt_number", "mail_attempt", ["mail_id", "number"], unique=True)
    op.create_table(
        "site_survey",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service_location", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("surveyed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint("result IN ('feasible', 'not_feasible')", name=op.f("ck_site_survey_result")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_site_survey_tenant_id_customer_id_customer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_survey")),
    )
    op.create_index("ix_site_survey_newest", "site_survey", ["tenant_id", "customer_id", "surveyed_at"], unique=False)
    op.create_index("uq_site_survey_request", "site_survey", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "subscription",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("service_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("billing_started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("billing_stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'active') = (billing_stopped_at IS NULL)", name=op.f("ck_subscription_stopped_when_not_active")
        ),
        sa.CheckConstraint("state IN ('active', 'cancelled')", name=op.f("ck_subscription_state")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"],
            ["customer.tenant_id", "customer.id"],
            name=op.f("fk_subscription_tenant_id_customer_id_customer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
    )
    op.create_index(
        "uq_subscription_live_service",
        "subscription",
        ["tenant_id", "service_id"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index("uq_subscription_request", "subscription", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "visit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("technician_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("planned_port", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("scanned_serial", sa.Text(), nullable=True),
        sa.Column("scanned_port", sa.Text(), nullable=True),
        sa.Column("outcome_note", sa.Text(), nullable=True),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('booked', 'scanned', 'no_access', 'not_feasible', 'cancelled', 'completed')",
            name=op.f("ck_visit_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('scanned', 'completed') OR scanned_serial IS NOT NULL",
            name=op.f("ck_visit_serial_when_scanned"),
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_visit_period")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "technician_id"],
            ["technician.tenant_id", "technician.id"],
            name=op.f("fk_visit_tenant_id_technician_id_technician"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit")),
    )
    op.create_index("ix_visit_customer", "visit", ["tenant_id", "customer_id"], unique=False)
    op.create_index("ix_visit_day", "visit", ["tenant_id", "starts_at"], unique=False)
    op.create_index("ix_visit_technician", "visit", ["tenant_id", "technician_id", "starts_at"], unique=False)
    op.create_index("uq_visit_request", "visit", ["tenant_id", "request_id"], unique=True)
    op.create_table(
        "visit_report",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("visit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("port", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["visit_id"], ["visit.id"], name=op.f("fk_visit_report_visit_id_visit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_report")),
    )
    op.create_index("ix_visit_report_visit", "visit_report", ["visit_id"], unique=False)
    op.create_index("uq_visit_report_request", "visit_report", ["tenant_id", "request_id"], unique=True)
    _beyond_sqlalchemy()


def _beyond_sqlalchemy() -> None:
    """Overlaps and double bookings that only an EXCLUDE constraint or a trigger can refuse."""
    rules = {
        "postgresql": (*POSTGRESQL_PREFIX, *POSTGRESQL_HISTORY, *postgresql_rules(VISIT_ALONE)),
        "sqlite": (*SQLITE_PREFIX, *SQLITE_HISTORY, *sqlite_rules(VISIT_ALONE)),
    }
    for statement in rules[op.get_bind().dialect.name]:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.drop_index("uq_visit_report_request", table_name="visit_report")
    op.drop_index("ix_visit_report_visit", table_name="visit_report")
    op.drop_table("visit_report")
    op.drop_index("uq_visit_request", table_name="visit")
    op.drop_index("ix_visit_technician", table_name="visit")
    op.drop_index("ix_visit_day", table_name="visit")
    op.drop_index("ix_visit_customer", table_name="visit")
    op.drop_table("visit")
    op.drop_index("uq_subscription_request", table_name="subscription")
    op.drop_index(
        "uq_subscription_live_service",
        table_name="subscription",
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.drop_table("subscription")
    op.drop_index("uq_site_survey_request", table_name="site_survey")
    op.drop_index("ix_site_survey_newest", table_name="site_survey")
    op.drop_table("site_survey")
    op.drop_index("uq_mail_attempt_number", table_name="mail_attempt")
    op.drop_table("mail_attempt")
    op.drop_table("technician")
    op.drop_index(op.f("ix_secret_reveal_tenant_id_ref"), table_name="secret_reveal")
    op.drop_table("secret_reveal")
    op.drop_index(op.f("ix_secret_key_id"), table_name="secret")
    op.drop_table("secret")
    op.drop_index("uq_mail_request", table_name="mail")
    op.drop_index("uq_mail_message_id", table_name="mail")
    op.drop_index("ix_mail_open", table_name="mail")
    op.drop_table("mail")
    op.drop_index(
        "uq_line_order_request",
        table_name="line_order",
        postgresql_where=sa.text("state <> 'withdrawn'"),
        sqlite_where=sa.text("state <> 'withdrawn'"),
    )
    op.drop_index(
        "uq_line_order_live_service",
        table_name="line_order",
        postgresql_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
        sqlite_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
    )
    op.drop_index(
        "uq_line_order_live_serial",
        table_name="line_order",
        postgresql_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
        sqlite_where=sa.text("state IN ('requested', 'handed_over', 'authorised')"),
    )
    op.drop_table("line_order")
    op.drop_index("uq_customer_request", table_name="customer")
    op.drop_table("customer")
    op.drop_table("acs_request")
    op.drop_index("acs_device_service", table_name="acs_device")
    op.drop_index(
        "acs_device_live_serial",
        table_name="acs_device",
        sqlite_where=sa.text("state <> 'withdrawn'"),
        postgresql_where=sa.text("state <> 'withdrawn'"),
    )
    op.drop_table("acs_device")
    op.drop_index(
        "uq_radius_subscriber_username",
        table_name="radius_subscriber",
        sqlite_where=sa.text("state <> 'terminated'"),
        postgresql_where=sa.text("state <> 'terminated'"),
    )
    op.drop_index("ix_radius_subscriber_every_username", table_name="radius_subscriber")
    op.drop_index("ix_radius_subscriber_customer", table_name="radius_subscriber")
    op.drop_table("radius_subscriber")
    op.drop_table("radius_plan")
    op.drop_table("radius_nas")
    op.drop_index(op.f("ix_ipam_allocation_event_service_id"), table_name="ipam_allocation_event")
    op.drop_index("ipam_allocation_event_of_unit", table_name="ipam_allocation_event")
    op.drop_table("ipam_allocation_event")
    op.drop_index(
        "ipam_allocation_own",
        table_name="ipam_allocation",
        sqlite_where=sa.text("state = 'quarantine'"),
        postgresql_where=sa.text("state = 'quarantine'"),
    )
    op.drop_index(
        "ipam_allocation_oldest",
        table_name="ipam_allocation",
        sqlite_where=sa.text("state = 'quarantine'"),
        postgresql_where=sa.text("state = 'quarantine'"),
    )
    op.drop_index(
        "ipam_allocation_held_by",
        table_name="ipam_allocation",
        sqlite_where=sa.text("state = 'assigned'"),
        postgresql_where=sa.text("state = 'assigned'"),
    )
    op.drop_table("ipam_allocation")
    op.drop_index(op.f("ix_ipam_service_svlan_id"), table_name="ipam_service")
    op.drop_index(op.f("ix_ipam_service_plan_id"), table_name="ipam_service")
    op.drop_index(op.f("ix_ipam_service_location_id"), table_name="ipam_service")
    op.drop_index(op.f("ix_ipam_service_framed_pool_id"), table_name="ipam_service")
    op.drop_index(op.f("ix_ipam_service_customer_id"), table_name="ipam_service")
    op.drop_table("ipam_service")
    op.drop_index(op.f("ix_ipam_location_alias_location_id"), table_name="ipam_location_alias")
    op.drop_table("ipam_location_alias")
    op.drop_index(op.f("ix_ipam_pool_binding_svlan_id"), table_name="ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_pool_binding_site_id"), table_name="ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_pool_binding_port_id"), table_name="ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_pool_binding_pool_id"), table_name="ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_pool_binding_plan_id"), table_name="ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_pool_binding_node_id"), table_name="ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_pool_binding_bng_id"), table_name="ipam_pool_binding")
    op.drop_index("ipam_pool_binding_once", table_name="ipam_pool_binding")
    op.drop_table("ipam_pool_binding")
    op.drop_index(op.f("ix_ipam_location_node_id"), table_name="ipam_location")
    op.drop_table("ipam_location")
    op.drop_table("ipam_free_range")
    op.drop_table("ipam_exclusion")
    op.drop_table("ipam_pool")
    op.drop_table("ipam_access_port")
    op.drop_table("ipam_svlan")
    op.drop_index("ipam_prefix_order", table_name="ipam_prefix")
    op.drop_table("ipam_prefix")
    op.drop_index(op.f("ix_ipam_access_node_site_id"), table_name="ipam_access_node")
    op.drop_index(op.f("ix_ipam_access_node_bng_id"), table_name="ipam_access_node")
    op.drop_table("ipam_access_node")
    op.drop_table("ipam_vrf")
    op.drop_table("ipam_vlan_group")
    op.drop_table("ipam_site")
    op.drop_table("ipam_bng")
    op.drop_table("ipam_address_plan")
    op.drop_index("ix_run_step_waits_on", table_name="run_step")
    op.drop_table("run_step")
    op.drop_table("run_signal")
    op.drop_index("ix_run_note_run", table_name="run_note")
    op.drop_table("run_note")
    op.drop_table("run_worker")
    op.drop_index(
        "ix_run_wake_at",
        table_name="run",
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index("ix_run_waiting", table_name="run")
    op.drop_index("ix_run_state", table_name="run")
    op.drop_index("ix_run_customer", table_name="run")
    op.drop_table("run")
