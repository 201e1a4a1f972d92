"""Networks to allocate from: pools of every size, as full as wanted, filled by bulk insert and not one by one.

A /8 is filled with reservations, which need no service: by a statement of the database's own for each free range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import bindparam, delete, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import NetworkEstate
from ipam.bulk import insert_many
from ipam.tables import (
    AddressPlan,
    Allocation,
    AllocationEvent,
    FreeRange,
    Location,
    Pool,
    Service,
    Svlan,
    UtcDateTime,
    table_of,
)
from provisioning.bootstrap import utc_now

PLAN = "bench"
NETWORKS = {"/24": "10.0.{}.0/24", "/16": "10.0.0.0/16", "/8": "10.0.0.0/8", "/56 of /40": "2001:db8::/40"}
SMALL_POOLS = {"fresh": 128, "churn": 4}
"""One /24 is used up in no time: so many of them serve a place each, and clients go from place to place."""
MOST_KEPT = 50
PORTS = 24
"""Of a whole service's access node: each has an S-VLAN with its 4,093 C-VLANs."""
CHUNK = 5_000
_RANGE = table_of(FreeRange)
_RESERVE = (
    "INSERT INTO ipam_allocation (tenant_id, pool_id, unit, state, subject, assigned_at, note)"
    " SELECT :tenant_id, :pool_id, unit, 'reserved', 'filled', :ago, 'filled' FROM "
)
_UNITS = {
    "postgresql": "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS every (unit)",
    "sqlite": "(WITH RECURSIVE every (unit) AS (SELECT :first UNION ALL SELECT unit + 1 FROM every WHERE unit < :last)"
    " SELECT unit FROM every)",
}


@dataclass(frozen=True)
class Shape:
    """Pools of one size, and how many percent of each somebody has. ``fresh``: the others were never used. ``churn``:
    all were, and those that are free have been given back."""

    pool: str
    state: str
    fill_percent: float

    @property
    def pools(self) -> int:
        return SMALL_POOLS[self.state] if self.pool == "/24" else 1

    @property
    def locations(self) -> tuple[str, ...]:
        return tuple(f"LOC-{number}" for number in range(self.pools))

    def free(self, clients: int) -> int:
        """How many operations there may be, however unevenly the clients go from place to place."""
        if self.state == "churn" or self.pool != "/24":
            return 1_000_000 if self.state == "churn" else 3_000
        return self.pools * (int(254 * (100 - self.fill_percent) / 100) // clients) * clients

    def keeps(self, clients: int) -> int | None:
        """In churn, how many services each client may have before it gives them back: together half of what is free."""
        if self.state != "churn":
            return None
        of_each = {"/24": 254, "/16": 65_534, "/56 of /40": 65_536}[self.pool]
        free = self.pools * int(of_each * (100 - self.fill_percent) / 100)
        return max(1, min(free // (2 * clients), MOST_KEPT))

    def described(self) -> dict[str, Any]:
        """The network as `firstlight import` takes it."""
        of_v6 = self.pool.startswith("/56")
        nodes = [f"OLT-{number}" for number in range(self.pools)]
        return {
            **_places(nodes),
            "plan": [{"name": PLAN, "access": "pppoe", "ipv4": not of_v6, "ipv6_pd": of_v6, "cvlan": "never"}],
            "location": [{"id": f"LOC-{number}", "access_node": node} for number, node in enumerate(nodes)],
            "pool": [
                {
                    "name": f"pool-{number}",
                    "kind": "ipv6_pd" if of_v6 else "ipv4",
                    "network": NETWORKS[self.pool].format(number),
                    "quarantine_seconds": 0,
                    "bindings": [{"access_node": node}],
                }
                for number, node in enumerate(nodes)
            ],
            "svlan": [{"group": "metro", "vid": 100, "bindings": [{"bng": "bng-1"}]}],
        }


def whole_service() -> dict[str, Any]:
    """An access node whose lines get an IPv4 address, a WAN prefix, a delegated prefix, and a C-VLAN of their own."""
    bindings = [{"bng": "bng-1"}]
    ports = [f"0/{number}" for number in range(PORTS)]
    pools = {"ipv4": "10.0.0.0/8", "ipv6_wan": "2001:db8:1000::/40", "ipv6_pd": "2001:db8:2000::/36"}
    return {
        **_places(["OLT-0"]),
        "access_node": [
            {"name": "OLT-0", "site": "site-1", "bng": "bng-1", "vlan_model": "one_to_one", "ports": ports}
        ],
        "plan": [{"name": PLAN, "access": "pppoe", "ipv6_wan": True, "ipv6_pd": True}],
        "location": [
            {"id": f"LOC-{number}", "access_node": "OLT-0", "port": port} for number, port in enumerate(ports)
        ],
        "pool": [
            {"name": kind, "kind": kind, "network": network, "bindings": bindings} for kind, network in pools.items()
        ],
        "svlan": [
            {
                "group": "metro",
                "vid": 100 + number,
                "cvlans": ["2-4094"],
                "bindings": [{"access_node": "OLT-0", "port": port}],
            }
            for number, port in enumerate(ports)
        ],
    }


def _places(nodes: list[str]) -> dict[str, Any]:
    return {
        "bng": [{"name": "bng-1"}],
        "site": [{"name": "site-1"}],
        "access_node": [{"name": node, "site": "site-1", "bng": "bng-1"} for node in nodes],
        "vlan_group": [{"name": "metro", "vids": ["100-399"]}],
    }


async def make(db: AsyncSession, tenant_id: str, shape: Shape) -> None:
    """The network, filled as the shape says."""
    await NetworkEstate(db, tenant_id=tenant_id, now=utc_now).apply(shape.described())
    if shape.fill_percent or shape.state == "churn":
        await _Filling(db, tenant_id, shape).fill()


class _Filling:
    """As an import writes it: rows and ranges, by the thousand."""

    def __init__(self, db: AsyncSession, tenant_id: str, shape: Shape) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._shape = shape
        self._now = utc_now()

    async def fill(self) -> None:
        names = [
            await self._db.scalar(select(model.id).where(model.tenant_id == self._tenant_id))
            for model in (AddressPlan, Svlan)
        ]
        mine = FreeRange.tenant_id == self._tenant_id
        rows = await self._db.execute(select(*_RANGE.c).where(mine).order_by(FreeRange.pool_id, FreeRange.seq))
        places = await self._db.execute(
            select(Pool.id, Location.id)
            .join(Location, Location.name == func.replace(Pool.name, literal("pool-"), literal("LOC-")))
            .where(Pool.tenant_id == self._tenant_id, Location.tenant_id == self._tenant_id)
        )
        location = {pool: place for pool, place in places}
        used = []
        for each in rows.all():
            units = each.last_unit - each.next_unit + 1
            if self._shape.pool == "/8":
                await self._reserve(each, round(units * self._shape.fill_percent / 100))
                continue
            taken = round(units * self._shape.fill_percent / 100)
            last = each.last_unit if self._shape.state == "churn" else each.next_unit + taken - 1
            used += [(each.pool_id, unit, unit - each.next_unit < taken) for unit in range(each.next_unit, last + 1)]
            await self._begin_at(each, last + 1)
        for some in _chunks(iter(used)):
            await self._write(some, location, *names)

    async def _reserve(self, row: Any, units: int) -> None:
        """The first units of a free range."""
        every = _UNITS[self._db.get_bind().dialect.name]
        asked = text(_RESERVE + every).bindparams(bindparam("ago", type_=UtcDateTime))
        first, last = row.next_unit, row.next_unit + units - 1
        given = {"tenant_id": self._tenant_id, "pool_id": row.pool_id, "first": first, "last": last}
        await self._db.execute(asked, {**given, "ago": self._now - timedelta(days=30)})
        await self._begin_at(row, last + 1)

    async def _begin_at(self, row: Any, unit: int) -> None:
        this = (_RANGE.c.pool_id == row.pool_id, _RANGE.c.seq == row.seq)
        if unit > row.last_unit:
            await self._db.execute(delete(_RANGE).where(*this))
        else:
            await self._db.execute(update(_RANGE).where(*this).values(next_unit=unit))

    async def _write(self, used: list[tuple[int, int, bool]], location: dict[int, int], plan: Any, svlan: Any) -> None:
        held = [each for each in used if each[2]]
        services = dict(zip(held, await self._numbers(len(held)), strict=True))
        ago = self._now - timedelta(days=30)
        mine = {"tenant_id": self._tenant_id}
        await insert_many(
            self._db,
            table_of(Service),
            [
                {
                    **mine,
                    "service_id": number,
                    "customer_id": number,
                    "location_id": location[pool],
                    "plan_id": plan,
                    "svlan_id": svlan,
                    "username": f"filled-{number}",
                    "state": "active",
                    "created_at": ago,
                }
                for (pool, _, _), number in services.items()
            ],
        )
        rows: list[dict[str, Any]] = [
            {**mine, "pool_id": each[0], "unit": each[1], "service_id": services.get(each)} for each in used
        ]
        await insert_many(
            self._db,
            table_of(Allocation),
            [
                {
                    **row,
                    "state": "assigned" if row["service_id"] else "quarantine",
                    "subject": f"filled-{row['unit']}",
                    "assigned_at": ago,
                    "available_at": None if row["service_id"] else ago + timedelta(minutes=row["unit"] % 1000),
                }
                for row in rows
            ],
        )
        events = [{**row, "what": "assigned", "at": ago} for row in rows if row["service_id"]]
        await insert_many(self._db, table_of(AllocationEvent), events)

    async def _numbers(self, wanted: int) -> list[int]:
        if self._db.get_bind().dialect.name == "postgresql":
            sequence = func.pg_get_serial_sequence(literal("ipam_service"), literal("service_id"))
            drawn = select(func.nextval(sequence)).select_from(func.generate_series(1, wanted).alias("every"))
            return list(await self._db.scalars(drawn))
        last: int = await self._db.scalar(select(func.coalesce(func.max(Service.service_id), 0))) or 0
        return list(range(last + 1, last + 1 + wanted))


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
