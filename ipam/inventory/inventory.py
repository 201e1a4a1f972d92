"""What is allocated as files: taken over from other systems, handed to them, and compared with RADIUS."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.estate.rows import EstateRows
from ipam.inventory import exporting, importing
from ipam.inventory.answers import CheckedImport, ImportCounts
from ipam.inventory.files import ImportFile
from ipam.inventory.netbox import SHAPES, ExportShape, shaped
from ipam.inventory.new_services import REQUESTS
from ipam.inventory.reconciling import Reconciliation
from ipam.tables import ASSIGNED, Allocation, Service

log = structlog.get_logger(__name__)


class AddressInventory:
    """Imports, exports and compares for one tenant, within the caller's transaction.

    What an imported address becomes: a service's, if the file (or a mapping beside it) knows the customer, the location
    and the plan, and else a reservation with a note that says where it came from, so that it is given to nobody. A
    service comes with all that its plan needs, or not at all: what lines share is looked up, but no address is made up.
    It has the username of the file; its subject is its customer and premise, so what it gives back is kept for it. Its
    history begins at ``since`` (now, if the file doesn't say), and each entry says which system it came from. Services
    need no run and no subscriber yet: ``imported_service_ids`` names them.
    """

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime], username_realm: str) -> None:
        self._db = db
        self._rows = EstateRows(db, tenant_id)
        self._tenant_id = tenant_id
        self._now = now
        self._realm = username_realm

    async def check(self, file: ImportFile) -> CheckedImport:
        """What a file would come to, and all that is wrong with each of its lines; nothing is written."""
        return await importing.check(self._rows, file, at=self._now())

    async def bring_in(self, file: ImportFile) -> ImportCounts:
        """Everything that the file says, or nothing. The same file again changes nothing.

        Raises:
            ImportRefused: with all that is wrong with its lines.
            PoolBusy: transient; others were at one of its units for too long.
        """
        counts = await importing.bring_in(self._rows, file, at=self._now(), realm=self._realm)
        log.debug("allocations imported", source=file.source, **counts)
        return counts

    @staticmethod
    def columns(shape: ExportShape = "csv") -> Sequence[str]:
        """Of what is exported in that shape, in their order."""
        return SHAPES[shape]

    async def export(
        self, *, pool: str | None = None, shape: ExportShape = "csv"
    ) -> AsyncGenerator[Sequence[str], None]:
        """What is held, kept or cooling (of one pool), a row of ``columns`` each, while it is read.

        Raises:
            NameUnknown, RequestInvalid: there is no such pool of ours.
        """
        async with aclosing(exporting.export(self._db, self._tenant_id, pool=pool, at=self._now())) as rows:
            async for row in rows:
                if (cells := shaped(row, shape)) is not None:
                    yield cells

    async def not_exported(self) -> list[int]:
        """Live services that hold no unit of their own (the BNG chooses their address, and they share their VLAN): no
        export has a row of them, and so no import brings them back."""
        holds = exists().where(Allocation.service_id == Service.service_id, ASSIGNED)
        found = await self._db.scalars(
            select(Service.service_id)
            .where(Service.tenant_id == self._tenant_id, Service.state == "active", ~holds)
            .order_by(Service.service_id)
        )
        return list(found)

    def reconciliation(self) -> Reconciliation:
        """What is allocated, to be compared with what RADIUS replies with."""
        return Reconciliation(self._db, self._tenant_id, at=self._now())

    async def imported_service_ids(self) -> list[int]:
        """Live services that came with a file: they are wanted, though no run of ours has made them."""
        imported = Service.request_id.startswith(REQUESTS, autoescape=True)
        found = await self._db.scalars(
            select(Service.service_id)
            .where(Service.tenant_id == self._tenant_id, Service.state == "active", imported)
            .order_by(Service.service_id)
        )
        return list(found)
