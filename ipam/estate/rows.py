"""Rows of the estate by name: found, made when missing, changed only where they differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.engine import RowMapping, Transaction
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import AnySelect
from ipam.bulk import among, in_parts
from ipam.errors import NameUnknown
from ipam.estate.faults import KIND_OF
from ipam.tables import AccessNode, AccessPort, AddressPlan, Bng, IpamBase, Site, VlanGroup, Vrf, table_of
from ipam.usage.ending import TellCrossing

Outcome = Literal["created", "changed", "unchanged"]
Guard = Callable[[RowMapping, set[str]], Awaitable[None]]

_NAMED: dict[str, type[IpamBase]] = {
    "vrf": Vrf,
    "bng": Bng,
    "site": Site,
    "access_node": AccessNode,
    "plan": AddressPlan,
    "vlan_group": VlanGroup,
}


def worst(*outcomes: Outcome) -> Outcome:
    """What became of a whole whose first part is the thing itself."""
    if outcomes[0] == "unchanged" and any(outcome != "unchanged" for outcome in outcomes):
        return "changed"
    return outcomes[0]


class EstateRows:
    """One tenant's rows, in the caller's transaction."""

    def __init__(self, db: AsyncSession, tenant_id: str, tell: TellCrossing | None = None) -> None:
        self.db = db
        self.tenant_id = tenant_id
        self.tell = tell
        """Tells of pools that leave the network; None: nobody is told."""
        self.unbound: list[dict[str, int]] = []
        """The pools (``pool_id``) and S-VLANs (``svlan_id``) that lost a binding."""
        self.told_anew: tuple[str, ...] = ()
        """Which VLANs of an access node were changed that OLT and CPEs are told."""
        self._alone_in: Transaction | None = None

    @property
    def has_other_writers(self) -> bool:
        """Whether others may be writing at this moment: SQLite has one writer anyway."""
        return self.db.get_bind().dialect.name == "postgresql"

    async def be_alone(self) -> None:
        """Those who change a network, or what of its pools may be handed out, do so one after the other. It is the
        first lock that each of them takes; then come premises, plans, a pool's free ranges, and its row."""
        if not self.has_other_writers or (self._alone_in is not None and self._alone_in.is_active):
            return
        connection = (await self.db.connection()).sync_connection
        assert connection is not None
        key = func.hashtextextended(f"ipam estate of {self.tenant_id}", 0)
        await self.db.execute(select(func.pg_advisory_xact_lock(key)))
        # A savepoint that is rolled back gives up what was locked since.
        self._alone_in = connection.get_nested_transaction() or connection.get_transaction()

    async def hold(self, model: type[IpamBase], **key: Any) -> None:
        """Who makes a service that refers to these rows has ended before this returns, or waits until our transaction
        does: so their services can be counted, and are counted all."""
        if self.has_other_writers:
            table = table_of(model)
            which = (table.c.tenant_id == self.tenant_id, *(table.c[name].in_(key[name]) for name in key))
            await self.db.execute(select(table.c.id).where(*which).order_by(table.c.id).with_for_update())

    async def find(self, model: type[IpamBase], **key: Any) -> RowMapping | None:
        table = table_of(model)
        found = await self.db.execute(
            select(table).where(table.c.tenant_id == self.tenant_id, *(table.c[name] == key[name] for name in key))
        )
        return found.mappings().first()

    async def named(self, model: type[IpamBase], found: AnySelect, names: Iterable[str]) -> list[Row[*tuple[Any, ...]]]:
        """What ``found`` finds of the rows of these names, in one question for so many as a statement may name."""
        table = table_of(model)
        of_tenant = found.where(table.c.tenant_id == self.tenant_id)
        rows: list[Row[*tuple[Any, ...]]] = []
        for some in in_parts(list(names)):
            rows += await self.db.execute(of_tenant.where(among(self.db, table.c.name, some)))
        return rows

    async def add(self, model: type[IpamBase], **values: Any) -> int:
        table = table_of(model)
        added = await self.db.execute(
            insert(table).values(tenant_id=self.tenant_id, **values).returning(*table.primary_key.columns)
        )
        return int(added.scalar_one())

    async def change(self, model: type[IpamBase], row_id: int, **values: Any) -> None:
        table = table_of(model)
        await self.db.execute(update(table).where(table.c.id == row_id).values(**values))

    async def put(
        self, model: type[IpamBase], key: Mapping[str, Any], values: Mapping[str, Any], guard: Guard | None = None
    ) -> tuple[int, Outcome]:
        """Make the row of that key have those values. ``guard`` sees the old row and the names that would change."""
        await self.be_alone()
        row = await self.find(model, **key)
        if row is None:
            return await self.add(model, **key, **values), "created"
        differing = {name for name, value in values.items() if row[name] != value}
        if not differing:
            return row["id"], "unchanged"
        if guard:
            await guard(row, differing)
        await self.change(model, row["id"], **values)
        return row["id"], "changed"

    async def id_of(self, kind: str, name: str) -> int:
        """The id of a vrf, bng, site, access_node, plan or vlan_group.

        Raises:
            NameUnknown: there is none of that name.
        """
        # What was read from a file may have NUL (U+0000) in it, for which PostgreSQL can't be asked.
        row = None if "\0" in name else await self.find(_NAMED[kind], name=name)
        if row is None:
            raise NameUnknown(KIND_OF.get(kind, kind), name)
        return int(row["id"])

    async def port_id(self, node_id: int, node: str, port: str) -> int:
        """
        Raises:
            NameUnknown: the access node has no such port.
        """
        row = await self.find(AccessPort, node_id=node_id, name=port)
        if row is None:
            raise NameUnknown(f"port of access node {node}", port)
        return int(row["id"])
