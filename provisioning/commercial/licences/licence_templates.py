"""What may be issued: licence templates, by the ISP's numbers. Their terms never change: licences stand on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.licences.licence_errors import LicenseTemplateConflict, LicenseTemplateUnknown
from provisioning.commercial.licences.licence_tables import LicenseTemplate
from provisioning.errors import ChangeRaced
from provisioning.intake import Faults

MOST_SEATS = 1_000_000
MOST_MONTHS = 1200
MOST_FEATURES = 100
_FEATURE = re.compile(r"[a-z][a-z0-9_]{0,62}")


class LicenseTemplateRecord(TypedDict):
    license_template_id: int
    name: str
    seats: int
    valid_months: int | None
    features: dict[str, bool | int | str]


class LicenseTemplates:
    """The licence templates of one ISP. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def define(
        self,
        *,
        license_template_id: int,
        name: str,
        seats: int,
        valid_months: int | None = None,
        features: Mapping[str, Any] | None = None,
    ) -> LicenseTemplateRecord:
        """Make this template known; the same one again is the same answer. ``valid_months`` None: without end.

        Raises: InvalidRequest (all faults), LicenseTemplateConflict, ChangeRaced.
        """
        faults = Faults("The licence template")
        wanted = LicenseTemplateRecord(
            license_template_id=faults.number("license_template_id", license_template_id),
            name=faults.line("name", name),
            seats=_number_up_to(faults, "seats", seats, MOST_SEATS),
            valid_months=None
            if valid_months is None
            else _number_up_to(faults, "valid_months", valid_months, MOST_MONTHS),
            features=_features(faults, features or {}),
        )
        faults.refuse_if_any()
        row = await self._db.get(LicenseTemplate, (self._tenant_id, license_template_id))
        if row is None:
            row = await self._insert(wanted)
        found = _record(row)
        if differing := [term for term in wanted if found[term] != wanted[term]]:  # type: ignore[literal-required]
            raise LicenseTemplateConflict(license_template_id, differing)
        return found

    async def _insert(self, wanted: LicenseTemplateRecord) -> LicenseTemplate:
        terms = {name: value for name, value in wanted.items() if name != "license_template_id"}
        try:
            async with self._db.begin_nested():
                row: LicenseTemplate | None = await self._db.scalar(
                    insert(LicenseTemplate)
                    .values(tenant_id=self._tenant_id, id=wanted["license_template_id"], **terms)
                    .returning(LicenseTemplate)
                )
        except IntegrityError as exc:
            raise ChangeRaced from exc
        assert row is not None
        return row


async def require_template(db: AsyncSession, tenant_id: str, template_id: int) -> LicenseTemplate:
    """Raises: LicenseTemplateUnknown."""
    row = await db.get(LicenseTemplate, (tenant_id, template_id))
    if row is None:
        raise LicenseTemplateUnknown(template_id)
    return row


def _number_up_to(faults: Faults, field: str, value: object, most: int) -> int:
    number = faults.number(field, value)
    if number > most:
        faults.add(field, f"is more than {most}")
    return number


def _features(faults: Faults, given: Mapping[str, Any]) -> dict[str, bool | int | str]:
    if len(given) > MOST_FEATURES:
        faults.add("features", f"are more than {MOST_FEATURES}")
        return {}
    features: dict[str, bool | int | str] = {}
    for name, value in given.items():
        if not _FEATURE.fullmatch(name):
            faults.add(f"features.{name}", "is no word of small letters, digits and underscores")
        elif isinstance(value, str):
            features[name] = faults.line(f"features.{name}", value)
        elif isinstance(value, bool | int) and abs(value) < 2**53:
            features[name] = value
        else:
            faults.add(f"features.{name}", "is neither yes or no, nor a whole number, nor a line of text")
    return features


def _record(row: LicenseTemplate) -> LicenseTemplateRecord:
    return LicenseTemplateRecord(
        license_template_id=row.id,
        name=row.name,
        seats=row.seats,
        valid_months=row.valid_months,
        features=dict(row.features),
    )
