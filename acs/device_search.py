"""CPEs by the beginning of a serial number, whichever way it is written: bound ones, and those that serve nobody."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, UnaryExpression, and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.operators import custom_op
from typing_extensions import TypedDict

from acs.device_records import DEVICE, RECORDS, DeviceRecord, record_of
from acs.serials import canonical_serial, is_serial
from acs.tables import AcsSeenDevice

SHORTEST_SERIAL = 4
LAST = "\U0010ffff"
_SEPARATORS = re.compile(r"[\s:-]")
_HEX = re.compile(r"[0-9A-F]{8,16}")
_VENDOR = re.compile(r"[A-Z]{4}")


class UnboundSerial(TypedDict):
    """A CPE that the ACS knows and that serves nobody."""

    serial: str
    device_id: str
    oui: str | None
    product_class: str | None


def beginnings_of_serial(text: str) -> tuple[str, ...]:
    """Of how a serial number may begin in our spelling if somebody writes it so; empty: it is none.

    The hexadecimal form of a GPON serial number (ITU-T G.984.3 s9.2.4.1) says so from its vendor's four letters on.
    """
    stripped = text.strip()
    found = []
    for spelt in (stripped, _SEPARATORS.sub("", stripped)):
        if len(spelt) < SHORTEST_SERIAL or not is_serial(spelt) or not any(each.isdigit() for each in spelt):
            continue
        canonical = canonical_serial(spelt)
        if _HEX.fullmatch(canonical):
            vendor = bytes.fromhex(canonical[:8]).decode("latin-1")
            found += [vendor + canonical[8:]] if _VENDOR.fullmatch(vendor) else []
        found.append(canonical)
    return tuple(dict.fromkeys(found))


class DeviceSearch:
    """Finds CPEs of one tenant. Reads only."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._is_postgresql = db.get_bind().dialect.name == "postgresql"

    async def bound(self, beginning: str, *, limit: int) -> list[DeviceRecord]:
        """Those with a serial number that begins so, also as history; those that serve somebody first."""
        query = RECORDS.where(DEVICE.tenant_id == self._tenant_id, self._begins(DEVICE.serial, beginning))
        found = [
            record_of(row) for row in await self._db.execute(query.order_by(self._by_bytes(DEVICE.serial)).limit(limit))
        ]
        return sorted(found, key=lambda one: one["state"] == "withdrawn")

    async def of_services(self, service_ids: Collection[int]) -> list[DeviceRecord]:
        """Those that serve one of these services, the oldest first."""
        live = (DEVICE.tenant_id == self._tenant_id, DEVICE.service_id.in_(service_ids), DEVICE.state != "withdrawn")
        return [record_of(row) for row in await self._db.execute(RECORDS.where(*live).order_by(DEVICE.id))]

    async def unbound(self, beginning: str, *, limit: int) -> list[UnboundSerial]:
        """Those at the ACS that serve nobody and have such a serial number."""
        seen = AcsSeenDevice.__table__.c
        bound = select(DEVICE.serial).where(
            DEVICE.tenant_id == self._tenant_id, DEVICE.serial == seen.serial, DEVICE.state != "withdrawn"
        )
        query = (
            select(seen.serial, seen.device_id, seen.oui, seen.product_class)
            .where(seen.tenant_id == self._tenant_id, self._begins(seen.serial, beginning), ~bound.exists())
            .order_by(self._by_bytes(seen.serial))
            .limit(limit)
        )
        return [UnboundSerial(**row) for row in (await self._db.execute(query)).mappings()]  # type: ignore[typeddict-item]

    def _by_bytes(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The order of the index, so that of thousands that begin so no more are read than the limit."""
        return UnaryExpression(column, modifier=custom_op("USING ~<~")) if self._is_postgresql else column

    def _begins(self, column: ColumnElement[Any], beginning: str) -> ColumnElement[bool]:
        if self._is_postgresql:  # the operators of text_pattern_ops
            return and_(column.op("~>=~")(beginning), column.op("~<~")(beginning + LAST))
        return and_(column >= beginning, column < beginning + LAST)
