"""Who is in a campaign's group: bound CPEs by template, model, data model, state, or by serial number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.serials import canonical_serial, is_serial
from acs.tables import AcsDevice

SERIALS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Group:
    """All of what is given must be so. ``model`` is the product class by which the CPE reports to the ACS."""

    template: str | None = None
    model: str | None = None
    serials: tuple[str, ...] = ()

    def as_json(self) -> dict[str, str | None]:
        """By what it was chosen; its serial numbers are its members' own."""
        return {"template": self.template, "model": self.model}

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, each in words."""
        if self.template is None and self.model is None and not self.serials:
            return ["a group needs a template, a model or serial numbers"]
        return [f"{serial!r} is no serial number" for serial in self.serials if not is_serial(serial)]


@dataclass(frozen=True, slots=True)
class Target:
    """A CPE of a group; ``is_heard``: it has reported to the ACS, and nothing keeps it from being reached now."""

    row_id: int
    serial: str
    is_heard: bool = True


async def targets(db: AsyncSession, group: Group, *, tenant_id: str) -> tuple[list[Target], list[str]]:
    """The CPEs of a group in the order of their binding, and those of its serials that aren't among them.

    Those that are heard come first: one that is off would hold up all others as the first of them.
    """
    query = select(AcsDevice.id, AcsDevice.serial, AcsDevice.device_id, AcsDevice.unreached_why).where(
        AcsDevice.tenant_id == tenant_id, AcsDevice.state != "withdrawn"
    )
    if group.template is not None:
        query = query.where(AcsDevice.template == group.template)
    if not group.serials:
        return sorted(await _found(db, query, group.model), key=_turn), []
    wanted = list(dict.fromkeys(canonical_serial(serial) for serial in group.serials))
    found: list[Target] = []
    for start in range(0, len(wanted), SERIALS_AT_ONCE):
        some = query.where(AcsDevice.serial.in_(wanted[start : start + SERIALS_AT_ONCE]))
        found += await _found(db, some, group.model)
    there = {target.serial for target in found}
    return sorted(found, key=_turn), [serial for serial in wanted if serial not in there]


def _turn(target: Target) -> tuple[bool, int]:
    return not target.is_heard, target.row_id


async def _found(db: AsyncSession, query: Select[int, str, str | None, str | None], model: str | None) -> list[Target]:
    rows = await db.execute(query)
    return [
        Target(row_id, serial, is_heard=device_id is not None and unreached_why is None)
        for row_id, serial, device_id, unreached_why in rows
        if model is None or product_class(device_id) == model
    ]


def product_class(device_id: str | None) -> str | None:
    """The second part of the ACS's ``OUI-ProductClass-Serial``, whose parts have no bare dash; None without one."""
    parts: Sequence[str] = (device_id or "").split("-")
    return unquote(parts[1]) if len(parts) == 3 else None
