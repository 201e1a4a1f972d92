"""Which CPE is bound to which service, one at a time, within the caller's transaction."""

from __future__ import annotations

from sqlalchemy import and_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs.errors import DesiredStateChanged, SerialBoundElsewhere
from acs.ports import Now
from acs.tables import AcsDevice
from acs.wishes import IN_FLIGHT


class Bindings:
    """The rows of ``acs_device`` of one tenant."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def bind(
        self, serial: str, *, spelt: str, customer_id: int, service_id: int | None, acs_name: str
    ) -> AcsDevice:
        """The live row of that serial for that service, made when there is none. Raises: SerialBoundElsewhere."""
        device = await self.live(serial) or await self._insert(serial, spelt, customer_id, service_id, acs_name)
        # Somebody else was quicker: theirs it is, unless it is gone again already.
        device = device or await self.live(serial)
        if device is None:
            raise DesiredStateChanged(serial)
        if (device.customer_id, device.service_id) != (customer_id, service_id):
            raise SerialBoundElsewhere(
                serial,
                customer_id=customer_id,
                bound_service_id=device.service_id,
                bound_customer_id=device.customer_id,
            )
        return device

    async def _insert(
        self, serial: str, spelt: str, customer_id: int, service_id: int | None, acs_name: str
    ) -> AcsDevice | None:
        """A new row, its wish still to be filled in; None when the serial has a live one by now."""
        now = self._now()
        # What was sent just before may come to the ACS after everything there was taken back.
        may_arrive = and_(
            AcsDevice.queued_at > now - IN_FLIGHT,
            or_(AcsDevice.applied_at.is_(None), AcsDevice.applied_at < AcsDevice.queued_at),
        )
        left = select(AcsDevice.id).where(
            AcsDevice.tenant_id == self._tenant_id,
            AcsDevice.serial == serial,
            AcsDevice.acs_name == acs_name,
            AcsDevice.state == "withdrawn",
            or_(AcsDevice.cleared_at.is_(None), may_arrive),
        )
        device = AcsDevice(
            tenant_id=self._tenant_id,
            serial=serial,
            serial_as_given=spelt,
            customer_id=customer_id,
            service_id=service_id,
            acs_name=acs_name,
            template="",
            data_model="",
            inputs={},
            parameters=[],
            delivery={},
            overrides={},
            rows={},
            secret_version=1,
            revision="",
            state="awaiting_first_inform",
            reason="",
            details=[],
            bound_at=now,
            updated_at=now,
            left_standing=await self._db.scalar(left.limit(1)) is not None,
        )
        try:
            async with self._db.begin_nested():
                self._db.add(device)
        except IntegrityError:
            return None
        return device

    async def live(self, serial: str, *, locked: bool = True) -> AcsDevice | None:
        """The binding that counts; ``locked`` for whoever is going to change it, which a reader must not."""
        query = select(AcsDevice).where(
            AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state != "withdrawn"
        )
        return (await self._db.scalars(query.with_for_update() if locked else query)).one_or_none()

    async def latest_withdrawn(self, serial: str, service_id: int | None) -> AcsDevice | None:
        query = select(AcsDevice).where(
            AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state == "withdrawn"
        )
        if service_id is not None:
            query = query.where(AcsDevice.service_id == service_id)
        found = await self._db.scalars(query.order_by(AcsDevice.id.desc()).limit(1))
        return found.one_or_none()
