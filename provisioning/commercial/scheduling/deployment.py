"""deployment_service: customers' pages that answer, and deployments that get their technician."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.licences.licence_errors import LicenseMissing
from provisioning.commercial.licences.licence_keys import LONGEST_KEY
from provisioning.commercial.licences.licence_signing import require_valid_license
from provisioning.commercial.partners.partner_customers import require_partner_customer
from provisioning.commercial.partners.partner_domains import PartnerDomains
from provisioning.commercial.scheduling.deployments import Deployments
from provisioning.commercial.scheduling.wanted_deployment import read_deployment
from provisioning.commercial.tenants.brand import read_white_label
from provisioning.commercial.tenants.hosted_tenants import (
    HostedTenants,
    TenantRecord,
    WantedTenant,
    random_suffix,
    tenant_record,
    tenant_url,
)
from provisioning.commercial.tenants.tenant_errors import PublicUrlMissing
from provisioning.commercial.tenants.tenant_tables import HostedTenant
from provisioning.field import AS_THE_CROW_FLIES, Ways
from provisioning.intake import Clock, Faults
from workflows.answers import ProvisionedTenant, ScheduledDeployment

LONGEST_REASON = 500
HOSTED = "hosted"


class DeploymentService:
    """Provisions customers' pages and schedules deployments. Writes only ``db``; the caller commits.

    ``public_url`` is where the appliance answers from outside (None: no page is provisioned), ``zone`` the time zone in
    which technicians work, ``ways`` what is known of their ways.
    """

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        public_url: str | None,
        zone: ZoneInfo,
        ways: Ways = AS_THE_CROW_FLIES,
        suffix: Callable[[], str] = random_suffix,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._public_url = public_url
        self._tenants = HostedTenants(db, tenant_id=tenant_id, now=now, suffix=suffix)
        self._deployments = Deployments(db, tenant_id=tenant_id, now=now, zone=zone, ways=ways)

    async def provision_tenant(
        self, *, customer_id: int, license_key: str, deployment_type: str, request_id: str | None = None
    ) -> ProvisionedTenant:
        """Give the customer a page under the ISP's own brand, for this licence: one licence, one page.

        ``deployment_type`` is ``hosted``: the appliance itself answers. The same licence again is the same page.

        Raises: InvalidRequest (all faults), PublicUrlMissing, CustomerUnknown, LicenseKeyInvalid, LicenseSignerUnknown,
        LicenseUnknown, LicenseExpired, LicenseRevoked, LicenseOfAnother, LicenseInUse, TenantWithdrawn (this request's
        page was withdrawn since), RequestConflict, ChangeRaced.
        """
        faults = Faults("The customer page")
        faults.number("customer_id", customer_id)
        key = faults.line("license_key", license_key, longest=LONGEST_KEY)
        if deployment_type != HOSTED:
            faults.add("deployment_type", f"{deployment_type} is not offered; there is: {HOSTED}")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        self._refuse_without_address()
        await require_customer(self._db, self._tenant_id, customer_id)
        license_ = await require_valid_license(self._db, self._tenant_id, key, customer_id=customer_id, now=self._now)
        wanted = WantedTenant(
            customer_id=customer_id,
            partner_id=None,
            license_id=license_.id,
            deployment_type="hosted",
            white_label={},
            domain=None,
            readable=f"c{customer_id}",  # never the customer's name: the address is for everybody's eyes
        )
        return self._provisioned(await self._tenants.provision(wanted, license_.id, request))

    async def provision_partner_tenant(
        self, *, customer_id: int, partner_id: int, white_label_config: Mapping[str, Any], request_id: str | None = None
    ) -> ProvisionedTenant:
        """Give the partner's customer a page under the partner's brand, for an unused licence of their allocation.

        ``white_label_config``: see ``provisioning.commercial.tenants.brand``. The same brand again is the same page.

        Raises: InvalidRequest (all faults), PublicUrlMissing, PartnerUnknown, CustomerUnknown,
        CustomerOfAnotherPartner, LicenseMissing, DomainUnproven, DomainTaken, TenantWithdrawn (this request's page was
        withdrawn since), RequestConflict, ChangeRaced.
        """
        faults = Faults("The customer page")
        faults.number("customer_id", customer_id)
        faults.number("partner_id", partner_id)
        brand = read_white_label(faults, white_label_config, own_host=urlsplit(self._public_url or "").hostname or "")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        self._refuse_without_address()
        await require_partner_customer(self._db, self._tenant_id, partner_id, customer_id, lock=True)
        wanted = WantedTenant(
            customer_id=customer_id,
            partner_id=partner_id,
            license_id=None,
            deployment_type="white_label",
            white_label=brand.kept(),
            domain=brand.domain,
            readable=brand.name,
        )
        if (known := await self._tenants.existing(wanted, request)) is not None:
            return self._provisioned(known)
        await PartnerDomains(self._db, tenant_id=self._tenant_id, now=self._now).require_proven(
            partner_id, brand.domain
        )
        license_ = await self._tenants.unused_license(customer_id, partner_id)
        if license_ is None:
            raise LicenseMissing(customer_id, partner_id)
        return self._provisioned(await self._tenants.provision(wanted, license_.id, request))

    async def withdraw_tenant(self, *, deployment_id: int, reason: str) -> TenantRecord:
        """Undo of both: the page answers no more, its name is never given again, its licence is free for another one.

        Raises: InvalidRequest, TenantUnknown.
        """
        why = _reason("The withdrawal of a customer page", reason)
        return tenant_record(await self._tenants.withdraw(deployment_id, why))

    async def schedule_deployment(
        self,
        *,
        order_id: int,
        customer_id: int,
        priority: str,
        scheduled_date: date | datetime,
        installation_address: str | None = None,
        moves_visit: bool = False,
        request_id: str | None = None,
    ) -> ScheduledDeployment:
        """Book a technician for this order in the calendar that visits are booked in. The same order, wanted for the
        same time, is the same deployment.

        Where an installation of this order has a visit, that is the deployment's too, as it stands; with
        ``moves_visit``, one to come is moved to the date, where that is another. One that was made counts.

        A date: of that day the time, within the working hours, that the dispatch board would offer first: the least
        way, or, where nobody knows the place, the earliest. A moment: whoever is free then, with the least way. What
        dispatch has described at a visit of the order that came to nothing (a job, a place) still holds. Where no
        address is given, it is the place of the customer's newest site survey. ``priority`` (low,
        normal, high, urgent) is kept for dispatch.

        Raises: InvalidRequest (all faults), CustomerUnknown, NoTechnicians, NobodyAble (names the skills),
        PlaceUnknown, DayFull (names the next day with room), SlotTaken (names the next time),
        OrderScheduled (otherwise), DeploymentReleased (this request's was released since), RequestConflict,
        ChangeRaced.
        """
        faults = Faults("The deployment")
        wanted = read_deployment(
            faults,
            scheduled_date,
            order_id=order_id,
            customer_id=customer_id,
            priority=priority,
            installation_address=installation_address,
        )
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        return await self._deployments.schedule(wanted, request, moves_visit=moves_visit)

    async def complete_deployment(self, *, deployment_id: int, request_id: str | None = None) -> ScheduledDeployment:
        """Somebody has been there for the order. An installation that shares the visit goes on with it.

        Raises: DeploymentUnknown, VisitOver (nobody has scanned anything), RequestConflict.
        """
        return await self._deployments.complete(deployment_id, request_id)

    async def release_deployment(self, *, deployment_id: int, reason: str, stays: bool = False) -> ScheduledDeployment:
        """Undo of ``schedule_deployment``: the technician is free again, unless an installation still needs them. Once
        is enough; the first reason stands. ``stays``: the visit was moved, and the order joins it anew.

        Raises: InvalidRequest, DeploymentUnknown.
        """
        why = _reason("The release of a deployment", reason)
        return await self._deployments.release(deployment_id, why, stays=stays)

    def _refuse_without_address(self) -> None:
        if self._public_url is None:
            raise PublicUrlMissing

    def _provisioned(self, row: HostedTenant) -> ProvisionedTenant:
        return ProvisionedTenant(
            tenant_url=tenant_url(self._public_url, row.slug), tenant_id=row.slug, deployment_id=row.id
        )


def _reason(what: str, reason: str) -> str:
    faults = Faults(what)
    why = faults.line("reason", reason, longest=LONGEST_REASON)
    faults.refuse_if_any()
    return why
