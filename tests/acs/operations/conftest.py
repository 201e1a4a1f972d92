"""One bound CPE with its settings, and what is done to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs import (
    AcsDevice,
    AcsOperation,
    CustomerWishes,
    DeviceConvergence,
    DeviceOperations,
    OperationCarrier,
    OperationRecord,
)
from acs.testing import LabClock, LabCpe
from tests.acs.bench import SERIAL, Bench
from tests.acs.conftest import TENANT


@dataclass
class Ops:
    """Verbs in transactions of their own, and the carrier, all on the lab's time."""

    bench: Bench
    carrier: OperationCarrier
    told: list[OperationRecord] = field(default_factory=list)

    @asynccontextmanager
    async def verbs(self) -> AsyncIterator[DeviceOperations]:
        async with self.bench.devices.database.begin() as db:
            yield self.service(db)

    def service(self, db: AsyncSession) -> DeviceOperations:
        return DeviceOperations(
            db, tenant_id=TENANT, now=self.bench.lab.clock.now, templates=self.bench.devices.templates
        )

    @asynccontextmanager
    async def wishes(self) -> AsyncIterator[CustomerWishes]:
        async with self.bench.devices.database.begin() as db:
            yield CustomerWishes(
                db,
                tenant_id=TENANT,
                now=self.bench.lab.clock.now,
                templates=self.bench.devices.templates,
                secrets=self.bench.secrets,
                devices=self.bench.devices.service(db),
            )

    async def ask(self, verb: str, **arguments: Any) -> OperationRecord:
        async with self.verbs() as verbs:
            record: OperationRecord = await getattr(verbs, verb)(**{"device_serial": SERIAL, "by": "nora"} | arguments)
        return record

    async def done(self, record: OperationRecord, *, seconds: float = 300.0) -> OperationRecord:
        return await self.carrier.wait(record["operation_id"], seconds=seconds)

    async def later(self, seconds: float) -> None:
        """So much later, by the lab's clock."""
        clock = self.bench.lab.clock
        assert isinstance(clock, LabClock)
        await clock.advance(seconds)

    async def row(self, record: OperationRecord) -> AcsOperation:
        async with self.bench.devices.database.begin() as db:
            row = await db.get(AcsOperation, record["operation_id"])
            assert row is not None
            return row

    async def device(self) -> AcsDevice:
        async with self.bench.devices.database.begin() as db:
            return (await db.scalars(select(AcsDevice))).one()

    async def configured(self, **identity: Any) -> LabCpe:
        """A CPE in service: it has reported and has its settings."""
        await self.bench.bind(template="tr098-pppoe" if identity.get("data_model") == "TR-098" else "tr181-pppoe")
        cpe = await self.bench.power_on(**identity)
        cpe.quirks.reboot_seconds = 5.0
        await self.bench.convergence.apply(SERIAL)
        await self.bench.convergence.verify(SERIAL)
        cpe.rpcs_seen.clear()
        return cpe


def sent(cpe: LabCpe, rpc: str) -> int:
    """How often the CPE was sent it."""
    return [name for name, _ in cpe.rpcs_seen].count(rpc)


@pytest.fixture
def ops(bench: Bench, convergence: DeviceConvergence) -> Ops:
    made: list[OperationRecord] = []

    async def told(db: AsyncSession, record: OperationRecord) -> None:
        made.append(record)

    carrier = OperationCarrier(
        bench.devices.database.begin,
        lambda acs_name: convergence,
        tenant_id=TENANT,
        now=bench.lab.clock.now,
        told=told,
        sleep=bench.lab.clock.sleep,
    )
    return Ops(bench, carrier, made)
