"""license_service: licences out of templates and partners' pools, as keys that anybody can prove offline."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Literal

from dateutil.relativedelta import relativedelta
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.licences.licence_errors import LicenseRevoked, LicenseUnknown
from provisioning.commercial.licences.licence_keys import LicenseClaims, LicenseSigner, end_of
from provisioning.commercial.licences.licence_signing import SigningKeys
from provisioning.commercial.licences.licence_tables import License, LicenseState, LicenseTemplate
from provisioning.commercial.licences.licence_templates import require_template
from provisioning.commercial.partners.partner_customers import require_partner_customer
from provisioning.commercial.partners.partner_pool import PartnerPool
from provisioning.commercial.partners.partner_tables import PoolEntry
from provisioning.errors import ChangeRaced, RequestConflict, TenantMismatch
from provisioning.intake import Clock, Faults
from provisioning.vault import SecretVault
from workflows.answers import AllocatedLicenses, IssuedLicense

LONGEST_REASON = 500
LARGEST_ALLOCATION = 1000
LONGEST_LIST = 500


class LicenseRecord(TypedDict):
    license_id: int
    customer_id: int
    license_template_id: int
    seats: int
    state: LicenseState
    valid_from: datetime
    valid_until: date | None
    partner_id: int | None
    allocation_id: int | None
    license_key: str
    revoked_at: datetime | None
    revoke_reason: str | None


class ReturnedAllocation(TypedDict):
    allocation_id: int
    partner_id: int
    customer_id: int
    license_count: int
    quota_remaining: int
    state: Literal["returned"]


class LicenseService:
    """Issues and revokes licences. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, secrets: SecretVault) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._signing = SigningKeys(db, tenant_id=tenant_id, now=now, secrets=secrets)
        self._pool = PartnerPool(db, tenant_id=tenant_id, now=now)

    async def issue_license(
        self, *, customer_id: int, license_template_id: int, tenant_id: str, request_id: str | None = None
    ) -> IssuedLicense:
        """Issue one licence of this template to this customer, valid from now for the template's calendar months.

        The same request is the same licence. Without a request id every call issues another one.

        Raises: InvalidRequest (all faults), TenantMismatch, CustomerUnknown, LicenseTemplateUnknown, LicenseRevoked
        (this request's licence was revoked since), RequestConflict, ChangeRaced, VaultError.
        """
        if tenant_id != self._tenant_id:
            raise TenantMismatch(tenant_id, self._tenant_id)
        faults = Faults("The licence")
        wanted = (faults.number("customer_id", customer_id), faults.number("license_template_id", license_template_id))
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if (known := await self._issued(wanted, request)) is not None:
            return known
        await require_customer(self._db, self._tenant_id, customer_id)
        template = await require_template(self._db, self._tenant_id, license_template_id)
        signer = await self._signing.signer()
        try:
            async with self._db.begin_nested():
                return _issued(await self._issue(customer_id, template, signer, request_id=request))
        except IntegrityError as exc:
            if (known := await self._issued(wanted, request)) is not None:
                return known
            raise ChangeRaced from exc

    async def revoke_license(self, *, license_id: int, reason: str) -> LicenseRecord:
        """Undo of ``issue_license``. Revoking what is revoked changes nothing: the first reason stands.

        A key that was given away still verifies offline, until its end; whoever asks the appliance learns of it.

        Raises: InvalidRequest, LicenseUnknown.
        """
        faults = Faults("The revocation")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await self._license(license_id, lock=True)
        if row.state == "active":
            row.state, row.revoked_at, row.revoke_reason = "revoked", self._now(), why
            await self._db.flush()  # a later question in this transaction must find it revoked
        return license_record(row)

    async def allocate_from_partner(
        self, *, partner_id: int, customer_id: int, license_count: int, request_id: str | None = None
    ) -> AllocatedLicenses:
        """Take so many licences out of the partner's pool and issue them to the partner's customer, by the partner's
        template. The pool can't fall below nothing, whoever else takes from it at the same time.

        The same request is the same allocation. Without a request id every call takes more.

        Raises: InvalidRequest (all faults), PartnerUnknown, PartnerSuspended, QuotaExhausted, CustomerUnknown,
        CustomerOfAnotherPartner, AllocationReturned (this request's was returned since), RequestConflict, ChangeRaced,
        VaultError.
        """
        faults = Faults("The allocation")
        faults.number("partner_id", partner_id)
        faults.number("customer_id", customer_id)
        if faults.number("license_count", license_count) > LARGEST_ALLOCATION:
            faults.add("license_count", f"is more than {LARGEST_ALLOCATION}")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        await require_partner_customer(self._db, self._tenant_id, partner_id, customer_id)
        allocation, is_new = await self._pool.take(
            partner_id=partner_id, customer_id=customer_id, licenses=license_count, request_id=request
        )
        if is_new:
            await self._issue_allocated(allocation)
        return await self._allocated(allocation)

    async def return_allocation(self, *, allocation_id: int, reason: str) -> ReturnedAllocation:
        """Undo of ``allocate_from_partner``: its licences are revoked and back in the pool. Once is enough.

        Raises: InvalidRequest, AllocationUnknown, ChangeRaced.
        """
        faults = Faults("The return of an allocation")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        returned = await self._pool.give_back(allocation_id=allocation_id, reason=why)
        await self._db.execute(
            update(License)
            .where(License.allocation_id == allocation_id, License.state == "active")
            .values(state="revoked", revoked_at=self._now(), revoke_reason=why)
            .execution_options(synchronize_session="fetch")
        )
        assert returned.customer_id is not None, "what is returned had a customer, by constraint"
        return ReturnedAllocation(
            allocation_id=allocation_id,
            partner_id=returned.partner_id,
            customer_id=returned.customer_id,
            license_count=returned.licenses,
            quota_remaining=returned.balance_after,
            state="returned",
        )

    async def license(self, license_id: int) -> LicenseRecord:
        """Raises: LicenseUnknown."""
        return license_record(await self._license(license_id))

    async def licenses(
        self,
        *,
        customer_id: int | None = None,
        partner_id: int | None = None,
        after_id: int = 0,
        limit: int = LONGEST_LIST,
    ) -> list[LicenseRecord]:
        """Licences in the order in which they were issued, a page at a time (``after_id``)."""
        query = select(License).where(License.tenant_id == self._tenant_id, License.id > after_id)
        if customer_id is not None:
            query = query.where(License.customer_id == customer_id)
        if partner_id is not None:
            query = query.where(License.partner_id == partner_id)
        rows = await self._db.scalars(query.order_by(License.id).limit(min(limit, LONGEST_LIST)))
        return [license_record(row) for row in rows]

    async def _issued(self, wanted: tuple[int, int], request_id: str | None) -> IssuedLicense | None:
        """The licence that this request has, if any."""
        if request_id is None:
            return None
        row = await self._db.scalar(
            select(License).where(License.tenant_id == self._tenant_id, License.request_id == request_id)
        )
        if row is None:
            return None
        if (row.customer_id, row.template_id) != wanted:
            raise RequestConflict(request_id, f"licence {row.id}")
        if row.state == "revoked":
            raise LicenseRevoked(row.id, row.revoked_at, row.revoke_reason)
        return _issued(row)

    async def _issue_allocated(self, allocation: PoolEntry) -> None:
        template_id = await self._pool.template_of(allocation.partner_id)
        template = await require_template(self._db, self._tenant_id, template_id)
        signer = await self._signing.signer()
        assert allocation.customer_id is not None, "an allocation has a customer, by constraint"
        for _ in range(-allocation.licenses):
            await self._issue(allocation.customer_id, template, signer, allocation=allocation)

    async def _issue(
        self,
        customer_id: int,
        template: LicenseTemplate,
        signer: LicenseSigner,
        *,
        allocation: PoolEntry | None = None,
        request_id: str | None = None,
    ) -> License:
        now = self._now()
        months = template.valid_months
        valid_until = None if months is None else now.astimezone(UTC).date() + relativedelta(months=months)
        row: License | None = await self._db.scalar(
            insert(License)
            .values(
                tenant_id=self._tenant_id,
                customer_id=customer_id,
                template_id=template.id,
                seats=template.seats,
                state="active",
                valid_from=now,
                valid_until=valid_until,
                partner_id=allocation.partner_id if allocation else None,
                allocation_id=allocation.id if allocation else None,
                request_id=request_id,
            )
            .returning(License)
        )
        assert row is not None
        row.key = signer.sign(
            LicenseClaims(
                license=row.id,
                tenant=self._tenant_id,
                customer=customer_id,
                template=template.id,
                seats=template.seats,
                iat=int(now.timestamp()),
                exp=end_of(valid_until),
                kid=signer.kid,
            )
        )
        await self._db.flush()
        return row

    async def _allocated(self, allocation: PoolEntry) -> AllocatedLicenses:
        ids = await self._db.scalars(
            select(License.id).where(License.allocation_id == allocation.id).order_by(License.id)
        )
        assert allocation.customer_id is not None, "an allocation has a customer, by constraint"
        return AllocatedLicenses(
            allocation_id=allocation.id,
            partner_id=allocation.partner_id,
            customer_id=allocation.customer_id,
            license_count=-allocation.licenses,
            quota_remaining=allocation.balance_after,
            license_ids=list(ids),
        )

    async def _license(self, license_id: int, *, lock: bool = False) -> License:
        query = select(License).where(License.tenant_id == self._tenant_id, License.id == license_id)
        row: License | None = await self._db.scalar(
            (query.with_for_update() if lock else query).execution_options(populate_existing=True)
        )
        if row is None:
            raise LicenseUnknown(license_id)
        return row


def license_record(row: License) -> LicenseRecord:
    return LicenseRecord(
        license_id=row.id,
        customer_id=row.customer_id,
        license_template_id=row.template_id,
        seats=row.seats,
        state=row.state,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        partner_id=row.partner_id,
        allocation_id=row.allocation_id,
        license_key=_key(row),
        revoked_at=row.revoked_at,
        revoke_reason=row.revoke_reason,
    )


def _issued(row: License) -> IssuedLicense:
    return IssuedLicense(
        license_key=_key(row),
        license_id=row.id,
        customer_id=row.customer_id,
        seats=row.seats,
        valid_until=row.valid_until,
    )


def _key(row: License) -> str:
    assert row.key is not None, "a licence is signed in the commit that issues it"
    return row.key
