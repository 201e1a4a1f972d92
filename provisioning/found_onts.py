"""The door for an ONT that the OLT shows at a port and that nobody has let in: it is bound as if it had been scanned.

A PON port carries many, and whoever plugs one in there is not known. So it counts only where exactly one visit is at
work at that port at this time; else a person scans it.

ProvisioningError
`-- OntNotBound        an ONT was found, and whose it is, is not known
    |-- OntNotAwaited      no visit is at work at that port
    |-- OntAmbiguous       several are
    `-- OntServes          it serves somebody already
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs import DeviceUnknown, GenieAcsService, SerialMalformed, canonical_serial, same_serial
from ipam import LocationUnknown, NetworkService
from provisioning.errors import ProvisioningError
from provisioning.field import VisitRecord, Visits
from provisioning.intake import Clock, Faults
from provisioning.visits import VisitDesk

LONGEST_PORT = 64
OVERTIME = timedelta(hours=12)
"""A visit that goes on for so long beyond its end is not at work any more."""


class FoundOnt(TypedDict):
    """To which visit it was bound. ``is_new``: not by this or another word before. ``runs`` heard of it now."""

    visit_id: int
    customer_id: int
    device_serial: str
    access_node: str
    port: str
    is_new: bool
    runs: list[int]


class OntNotBound(ProvisioningError):
    """An ONT was found, and whose it is, is not known."""

    code = "line.ont_not_bound"


class OntNotAwaited(OntNotBound):
    """No visit is at work at that port."""

    code = "line.ont_not_awaited"

    def __init__(self, serial: str, access_node: str, port: str) -> None:
        super().__init__(
            f"ONT {serial} was found at {access_node} {port}, where no visit is at work at this time; nothing was"
            " bound. If it is a customer's, have it scanned: firstlight visits report."
        )


class OntAmbiguous(OntNotBound):
    """Several visits are at work at that port."""

    code = "line.ont_ambiguous"

    def __init__(self, serial: str, access_node: str, port: str, visit_ids: Sequence[int]) -> None:
        self.visit_ids = tuple(visit_ids)
        several = ", ".join(map(str, visit_ids))
        super().__init__(
            f"ONT {serial} was found at {access_node} {port}, where visits {several} are at work; nothing was bound."
            " Have it scanned at one of them: firstlight visits report."
        )


class OntServes(OntNotBound):
    """That ONT serves somebody already."""

    code = "line.ont_serves"

    def __init__(self, serial: str, access_node: str, port: str, customer_id: int) -> None:
        super().__init__(
            f"ONT {serial} was found at {access_node} {port} and serves customer {customer_id} already; nothing was"
            " changed."
        )


class FoundOntDesk:
    """Within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        visits: VisitDesk,
        network: NetworkService,
        devices: GenieAcsService,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._desk = visits
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._network = network
        self._devices = devices
        self._now = now

    async def found(self, *, serial: str, access_node: str, port: str, by: str) -> FoundOnt:
        """Bind it to the one visit that is at work at that port, as a scan would; the same again changes nothing.

        Raises: InvalidRequest (all faults), OntNotAwaited, OntAmbiguous, OntServes, and as ``VisitDesk.report``.
        """
        faults = Faults("The ONT that was found")
        node = faults.line("access_node", access_node)
        where = faults.line("port", port, longest=LONGEST_PORT)
        spelt = faults.line("serial", serial, longest=64)
        try:
            plain = canonical_serial(spelt) if spelt else ""
        except SerialMalformed as malformed:
            faults.add("serial", str(malformed))
        faults.refuse_if_any()
        at_work = [visit for visit in await self._at_work() if await self._is_at(visit, node, where)]
        for visit in at_work:
            if visit["scanned_serial"] is not None and same_serial(visit["scanned_serial"], plain):
                return _found(visit, plain, node, where, is_new=False, runs=[])
        awaiting = [visit for visit in at_work if visit["state"] == "booked"]
        await self._require_free(plain, node, where)
        if not awaiting:
            raise OntNotAwaited(plain, node, where)
        if len(awaiting) > 1:
            raise OntAmbiguous(plain, node, where, [visit["visit_id"] for visit in awaiting])
        [visit] = awaiting
        _, runs = await self._desk.report(
            visit_id=visit["visit_id"], outcome="scanned", serial=plain, port=where, seen=visit, by=by
        )
        return _found(visit, plain, node, where, is_new=True, runs=runs)

    async def _at_work(self) -> list[VisitRecord]:
        now = self._now()
        return await self._visits.visits(starts_at=now - OVERTIME, ends_at=now, states=["booked", "scanned"])

    async def _is_at(self, visit: VisitRecord, access_node: str, port: str) -> bool:
        if visit["planned_port"] != port or visit["location"] is None:
            return False
        try:
            return (await self._network.locate(visit["location"]))["access_node"] == access_node
        except LocationUnknown:  # it was renamed since: then nobody can say where that is
            return False

    async def _require_free(self, serial: str, access_node: str, port: str) -> None:
        """Raises: OntServes."""
        try:
            bound = await self._devices.device(device_serial=serial)
        except DeviceUnknown:
            return
        raise OntServes(serial, access_node, port, bound["customer_id"])


def _found(visit: VisitRecord, serial: str, access_node: str, port: str, *, is_new: bool, runs: list[int]) -> FoundOnt:
    return FoundOnt(
        visit_id=visit["visit_id"],
        customer_id=visit["customer_id"],
        device_serial=serial,
        access_node=access_node,
        port=port,
        is_new=is_new,
        runs=runs,
    )
