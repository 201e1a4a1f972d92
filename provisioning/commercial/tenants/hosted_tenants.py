"""Customers' pages as rows: one licence, one page, under a name that can be read and not be guessed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, exists, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.licences.licence_errors import LicenseInUse
from provisioning.commercial.licences.licence_tables import License
from provisioning.commercial.tenants.tenant_errors import DomainTaken, TenantUnknown, TenantWithdrawn
from provisioning.commercial.tenants.tenant_tables import HostedTenant
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock
from workflows.answers import DeploymentType, HostedState

NAMING_ATTEMPTS = 5
LONGEST_READABLE = 40
SUFFIX_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
SUFFIX_LENGTH = 8
LONGEST_LIST = 500


class TenantRecord(TypedDict):
    deployment_id: int
    tenant_id: str
    customer_id: int
    partner_id: int | None
    license_id: int
    deployment_type: DeploymentType
    brand: str | None
    domain: str | None
    state: HostedState
    provisioned_at: datetime
    withdrawn_at: datetime | None
    withdraw_reason: str | None


@dataclass(frozen=True)
class WantedTenant:
    """A page as it is wanted. ``license_id`` None: whichever unused one the partner's customer has."""

    customer_id: int
    partner_id: int | None
    license_id: int | None
    deployment_type: DeploymentType
    white_label: dict[str, Any]
    domain: str | None
    readable: str  # what its name begins with

    def is_met_by(self, row: HostedTenant) -> bool:
        mine = (self.customer_id, self.partner_id, self.deployment_type, self.white_label)
        its = (row.customer_id, row.partner_id, row.deployment_type, row.white_label)
        return mine == its and self.license_id in (None, row.license_id)


def random_suffix() -> str:
    """About 40 bits: nobody finds other customers' pages by counting."""
    return "".join(secrets.choice(SUFFIX_LETTERS) for _ in range(SUFFIX_LENGTH))


def slug_of(readable: str, suffix: str) -> str:
    """``Nord Netz`` and ``k3v9q2mw`` as ``nord-netz-k3v9q2mw``; letters that ASCII lacks are left out."""
    words = re.sub(r"[^a-z0-9]+", "-", readable.lower()).strip("-")[:LONGEST_READABLE].strip("-")
    return f"{words}-{suffix}" if words else suffix


def tenant_url(public_url: str | None, slug: str) -> str:
    """Where a page answers, whether it has a domain of its own or not; the path alone where nobody has set the rest."""
    return f"{public_url or ''}/t/{slug}"


class HostedTenants:
    """The pages of one ISP's customers. Writes only ``db``; the caller commits."""

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Clock, suffix: Callable[[], str] = random_suffix
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._suffix = suffix

    async def existing(self, wanted: WantedTenant, request_id: str | None) -> HostedTenant | None:
        """The page that this wish already has: by its request, or live and just like it.

        Raises: TenantWithdrawn (this request's page was withdrawn since), RequestConflict.
        """
        if request_id is not None:
            row = await self._db.scalar(
                self._mine().where(HostedTenant.request_id == request_id).execution_options(populate_existing=True)
            )
            if row is not None:
                if not wanted.is_met_by(row):
                    raise RequestConflict(request_id, f"the customer page {row.slug}")
                if row.state == "withdrawn":
                    raise TenantWithdrawn(row.slug, row.withdrawn_at, row.withdraw_reason)
                return row
        live = await self._db.scalars(
            self._mine()
            .where(HostedTenant.customer_id == wanted.customer_id, HostedTenant.state == "active")
            .order_by(HostedTenant.id)
        )
        return next((row for row in live if wanted.is_met_by(row)), None)

    async def provision(self, wanted: WantedTenant, license_id: int, request_id: str | None) -> HostedTenant:
        """The page under a new name, or the one that this wish has got meanwhile.

        Raises: LicenseInUse, DomainTaken, TenantWithdrawn, RequestConflict, ChangeRaced.
        """
        raced: IntegrityError | None = None
        for _ in range(NAMING_ATTEMPTS):
            if (known := await self.existing(wanted, request_id)) is not None:
                return known
            await self._refuse_if_taken(license_id, wanted.domain)
            try:
                async with self._db.begin_nested():
                    return await self._insert(wanted, license_id, request_id)
            except IntegrityError as exc:  # the name is somebody's, or another transaction was first: look again
                raced = exc
        raise ChangeRaced from raced

    async def withdraw(self, deployment_id: int, reason: str) -> HostedTenant:
        """Answer no more; name and history stay. Twice is once. Raises: TenantUnknown."""
        row: HostedTenant | None = await self._db.scalar(
            self._mine()
            .where(HostedTenant.id == deployment_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise TenantUnknown(str(deployment_id))
        if row.state == "active":
            row.state, row.withdrawn_at, row.withdraw_reason = "withdrawn", self._now(), reason
            await self._db.flush()  # a later question in this transaction must find it withdrawn
        return row

    async def by_slug(self, slug: str) -> TenantRecord:
        """Raises: TenantUnknown."""
        row = await self._db.scalar(self._mine().where(HostedTenant.slug == slug))
        if row is None:
            raise TenantUnknown(slug)
        return tenant_record(row)

    async def tenants(self, *, partner_id: int | None = None, after_id: int = 0) -> list[TenantRecord]:
        """Pages in the order in which they were provisioned, a page of them at a time (``after_id``)."""
        query = self._mine().where(HostedTenant.id > after_id).order_by(HostedTenant.id).limit(LONGEST_LIST)
        if partner_id is not None:
            query = query.where(HostedTenant.partner_id == partner_id)
        return [tenant_record(row) for row in await self._db.scalars(query)]

    async def unused_license(self, customer_id: int, partner_id: int) -> License | None:
        """The customer's oldest licence out of that partner's pool that is valid today and serves no page yet."""
        serving = exists().where(HostedTenant.license_id == License.id, HostedTenant.state == "active")
        today = self._now().astimezone(UTC).date()
        found: License | None = await self._db.scalar(
            select(License)
            .where(
                License.tenant_id == self._tenant_id,
                License.customer_id == customer_id,
                License.partner_id == partner_id,
                License.state == "active",
                (License.valid_until.is_(None)) | (License.valid_until >= today),
                ~serving,
            )
            .order_by(License.id)
            .limit(1)
        )
        return found

    def _mine(self) -> Select[HostedTenant]:
        return select(HostedTenant).where(HostedTenant.tenant_id == self._tenant_id)

    async def _insert(self, wanted: WantedTenant, license_id: int, request_id: str | None) -> HostedTenant:
        row: HostedTenant | None = await self._db.scalar(
            insert(HostedTenant)
            .values(
                tenant_id=self._tenant_id,
                slug=slug_of(wanted.readable, self._suffix()),
                customer_id=wanted.customer_id,
                partner_id=wanted.partner_id,
                license_id=license_id,
                deployment_type=wanted.deployment_type,
                white_label=wanted.white_label,
                domain=wanted.domain,
                state="active",
                provisioned_at=self._now(),
                request_id=request_id,
            )
            .returning(HostedTenant)
        )
        assert row is not None
        return row

    async def _refuse_if_taken(self, license_id: int, domain: str | None) -> None:
        serving = await self._db.scalar(
            self._mine().where(HostedTenant.license_id == license_id, HostedTenant.state == "active")
        )
        if serving is not None:
            raise LicenseInUse(license_id, serving.slug)
        if domain is not None:
            taken = await self._db.scalar(
                select(HostedTenant.id).where(HostedTenant.domain == domain, HostedTenant.state == "active")
            )
            if taken is not None:
                raise DomainTaken(domain)


def tenant_record(row: HostedTenant) -> TenantRecord:
    return TenantRecord(
        deployment_id=row.id,
        tenant_id=row.slug,
        customer_id=row.customer_id,
        partner_id=row.partner_id,
        license_id=row.license_id,
        deployment_type=row.deployment_type,
        brand=row.white_label.get("name"),
        domain=row.domain,
        state=row.state,
        provisioned_at=row.provisioned_at,
        withdrawn_at=row.withdrawn_at,
        withdraw_reason=row.withdraw_reason,
    )
