"""What serves which place, as PostgreSQL's function (``at_once_ddl``) has worked it out last, so that it is spared it.

Who serves a place follows from what the network says, which is read a thousand times as often as it is changed. A row
holds for as long as the network is the one that it was worked out from: each transaction that changes a tenant's
network counts ``ipam_network_version`` up, and a row of any other version is as good as none. So nothing has to be
cleared, and a change counts from its commit on. On SQLite both tables stay empty: its script asks anew each time.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, MetaData, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from ipam import ddl
from ipam.network_tables import IpamBase, reference

CHANGED = "firstlight.network_changed"
"""The setting, of a transaction alone, that names the tenant whose network it has changed last."""
SEEN_TABLES = (
    "ipam_bng",
    "ipam_site",
    "ipam_access_node",
    "ipam_access_port",
    "ipam_address_plan",
    "ipam_prefix",
    "ipam_pool",
    "ipam_pool_binding",
    "ipam_svlan",
    "ipam_vlan_group",
)
"""Whatever is said in ``ipam_serving`` comes from these. A premise isn't among them: it is looked up each time."""


def _an_array_of(kind: type[Boolean | Integer | Text]) -> Any:
    return mapped_column(Text().with_variant(ARRAY(kind), "postgresql"))


class NetworkVersion(IpamBase):
    """How often a tenant's network was changed."""

    __tablename__ = "ipam_network_version"
    tenant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


class Serving(IpamBase):
    """For an access node, a port of it and a plan: the pools in the order to try, and what is told of them."""

    __tablename__ = "ipam_serving"
    tenant_id: Mapped[str] = mapped_column(Text, primary_key=True)
    node_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    port_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    """0: the premise's port isn't known."""
    plan: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    plan_id: Mapped[int] = reference("ipam_address_plan.id", index=True, cascade=True)
    wanted: Mapped[int]
    """Of how many kinds something is needed."""
    kinds: Mapped[list[str]] = _an_array_of(Text)
    """This and the next five: an element for each binding."""
    standings: Mapped[list[int]] = _an_array_of(Integer)
    pools: Mapped[list[int | None]] = _an_array_of(Integer)
    reuses: Mapped[list[bool | None]] = _an_array_of(Boolean)
    last_seqs: Mapped[list[int]] = _an_array_of(Integer)
    """The highest number of a free range by then: a hint of where to look, which may be out of date."""
    svlans: Mapped[list[int | None]] = _an_array_of(Integer)
    firsts: Mapped[list[int]] = _an_array_of(Integer)
    """Which of them come first, one of each kind; from 1 on."""
    drawn: Mapped[list[int] | None] = mapped_column(Text().with_variant(ARRAY(Integer), "postgresql"))
    """The pools of those, in that order, if never used units can be drawn from each of them, so that one statement is
    enough for all; None: there is none, or one of them hands out used units first, had none left that was never used,
    or is the BNG's."""
    hints: Mapped[list[int]] = _an_array_of(Integer)
    """``last_seqs`` of the pools that ``drawn`` may name."""
    facts: Mapped[str] = mapped_column(Text)
    """What the answer tells of place, plan and pools (JSON)."""


def _counted(table: str) -> str:
    return (
        f"CREATE TRIGGER {table}_counted AFTER INSERT OR UPDATE OR DELETE ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION ipam_count_network_change()"
    )


COUNT_CHANGES = f"""
CREATE OR REPLACE FUNCTION ipam_count_network_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of_tenant text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        of_tenant := OLD.tenant_id;
    ELSE
        of_tenant := NEW.tenant_id;
    END IF;
    IF current_setting('{CHANGED}', true) IS DISTINCT FROM of_tenant THEN
        INSERT INTO ipam_network_version AS v (tenant_id, version) VALUES (of_tenant, 1)
        ON CONFLICT (tenant_id) DO UPDATE SET version = v.version + 1;
        PERFORM set_config('{CHANGED}', of_tenant, true);
    END IF;
    RETURN NULL;
END $$
""".strip()  # noqa: S608 - a name of ours, and no value
"""Once a transaction: of the many rows that it may change the first counts, and savepoints take setting and row back
together."""
COUNTED = {table: _counted(table) for table in SEEN_TABLES}


def count_changes(metadata: MetaData) -> None:
    """Has each of these tables count, from when it is made."""
    for name, trigger in COUNTED.items():
        ddl.after_create(metadata.tables[name], postgresql=(COUNT_CHANGES, trigger), sqlite=())
