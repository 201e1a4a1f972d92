"""The ISP's list of partners: their numbers, names and terms, as the estate gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.licences.licence_templates import require_template
from provisioning.commercial.money import LARGEST_AMOUNT_MINOR, read_currency
from provisioning.commercial.partners.partner_errors import PartnerConflict, PartnerUnknown
from provisioning.commercial.partners.partner_pool import LARGEST_GRANT, PartnerPool
from provisioning.commercial.partners.partner_tables import Partner, PoolEntry
from provisioning.errors import ChangeRaced
from provisioning.intake import Clock, Faults
from workflows.answers import CommissionType, PartnerRecord, PartnerState

WHOLE_BASIS_POINTS = 10_000


@dataclass(frozen=True)
class CommissionTerms:
    """What a partner earns: a share of what the customer pays, in basis points, or a fixed sum in minor units."""

    type: str
    currency: str
    basis_points: int | None = None
    fixed_minor: int | None = None


class Partners:
    """The partners of one ISP. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._pool = PartnerPool(db, tenant_id=tenant_id, now=now)

    async def register(
        self,
        *,
        partner_id: int,
        name: str,
        email: str,
        license_template_id: int,
        license_quota: int,
        commission: CommissionTerms,
        state: str = "active",
    ) -> PartnerRecord:
        """Make this partner known under the ISP's number, with their first licences. A known one gets the e-mail,
        state, template and commission terms given now; more licences come by ``grant``.

        Raises: InvalidRequest (all faults), LicenseTemplateUnknown, PartnerConflict (the number is somebody else's, or
        other first licences were given), ChangeRaced.
        """
        faults = Faults("The partner")
        faults.number("partner_id", partner_id)
        full_name = faults.line("name", name)
        if (
            isinstance(license_quota, bool)
            or not isinstance(license_quota, int)
            or not 0 <= license_quota <= LARGEST_GRANT
        ):
            faults.add("license_quota", f"is not from 0 to {LARGEST_GRANT}")
        terms = {
            "email": faults.email("email", email),
            "state": _one_of(faults, "state", state, get_args(PartnerState)),
            "license_template_id": faults.number("license_template_id", license_template_id),
            **_commission_terms(faults, commission),
        }
        faults.refuse_if_any()
        await require_template(self._db, self._tenant_id, license_template_id)
        row = await self._row(partner_id) or await self._insert(partner_id, full_name, license_quota, terms)
        if row.name != full_name:
            raise PartnerConflict(partner_id, f"{row.name}; use another number")
        if (first := await self._first_grant(partner_id)) != license_quota:
            more = f"`firstlight partners grant {partner_id} NUMBER`"
            raise PartnerConflict(partner_id, f"known with a first quota of {first}; give more licences by {more}")
        for term, value in terms.items():
            setattr(row, term, value)
        await self._db.flush()  # a later question in this transaction must find them changed
        return await self.partner(partner_id)

    async def partner(self, partner_id: int) -> PartnerRecord:
        """Raises: PartnerUnknown."""
        row = await self._row(partner_id)
        if row is None:
            raise PartnerUnknown(partner_id)
        return _record(row)

    async def partners(
        self, *, among: int | None = None, after_id: int = 0, limit: int | None = None
    ) -> list[PartnerRecord]:
        """By their numbers, all of them or a page at a time (``after_id``); ``among``: that one alone."""
        query = select(Partner).where(Partner.tenant_id == self._tenant_id, Partner.id > after_id).order_by(Partner.id)
        if among is not None:
            query = query.where(Partner.id == among)
        rows = await self._db.scalars(query.limit(limit).execution_options(populate_existing=True))
        return [_record(row) for row in rows]

    async def _insert(self, partner_id: int, name: str, license_quota: int, terms: dict[str, Any]) -> Partner:
        try:
            async with self._db.begin_nested():
                await self._db.execute(
                    insert(Partner).values(
                        tenant_id=self._tenant_id,
                        id=partner_id,
                        name=name,
                        license_quota=0,
                        license_balance=0,
                        **terms,
                    )
                )
        except IntegrityError as exc:
            raise ChangeRaced from exc
        if license_quota:
            await self._pool.grant(
                partner_id=partner_id,
                licenses=license_quota,
                note="first quota",
                by="estate",
                request_id=_first_request(partner_id),
            )
        row = await self._row(partner_id)
        assert row is not None
        return row

    async def _first_grant(self, partner_id: int) -> int:
        granted: int | None = await self._db.scalar(
            select(PoolEntry.licenses).where(
                PoolEntry.tenant_id == self._tenant_id, PoolEntry.request_id == _first_request(partner_id)
            )
        )
        return granted or 0

    async def _row(self, partner_id: int) -> Partner | None:
        return await self._db.get(Partner, (self._tenant_id, partner_id), populate_existing=True)


def _first_request(partner_id: int) -> str:
    return f"partner/{partner_id}/first-quota"


def _one_of(faults: Faults, field: str, value: object, known: Sequence[str]) -> str:
    if value not in known:
        faults.add(field, f"{value} is none of {', '.join(known)}")
    return str(value)


def _commission_terms(faults: Faults, terms: CommissionTerms) -> dict[str, Any]:
    kind = _one_of(faults, "commission.type", terms.type, get_args(CommissionType))
    fits = {"percentage": (terms.basis_points, terms.fixed_minor), "fixed": (terms.fixed_minor, terms.basis_points)}
    wanted, unwanted = fits.get(kind, (0, None))
    field, other = ("basis_points", "fixed_minor") if kind == "percentage" else ("fixed_minor", "basis_points")
    least, most = (0, WHOLE_BASIS_POINTS) if kind == "percentage" else (1, LARGEST_AMOUNT_MINOR)
    if kind in fits and (isinstance(wanted, bool) or not isinstance(wanted, int) or not least <= wanted <= most):
        faults.add(f"commission.{field}", f"is not from {least} to {most}")
    if unwanted is not None:
        faults.add(f"commission.{other}", f"does not belong to a {kind} commission")
    return {
        "commission_type": kind,
        "commission_basis_points": terms.basis_points,
        "commission_fixed_minor": terms.fixed_minor,
        "currency": read_currency(faults, "commission.currency", terms.currency),
    }


def _record(row: Partner) -> PartnerRecord:
    return PartnerRecord(
        partner_id=row.id,
        name=row.name,
        email=row.email,
        state=row.state,
        license_template_id=row.license_template_id,
        license_quota=row.license_quota,
        quota_remaining=row.license_balance,
        commission_type=row.commission_type,
        commission_basis_points=row.commission_basis_points,
        commission_fixed_minor=row.commission_fixed_minor,
        currency=row.currency,
    )
