"""What comes of licences, partners, tenants and deployments."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NotRequired

from typing_extensions import TypedDict

PartnerState = Literal["active", "suspended"]
PoolMovement = Literal["granted", "allocated", "returned"]
CommissionType = Literal["percentage", "fixed"]
CommissionState = Literal["accrued", "reversed", "paid"]
DeploymentType = Literal["hosted", "white_label"]
HostedState = Literal["active", "withdrawn"]
DeploymentPriority = Literal["low", "normal", "high", "urgent"]
DeploymentState = Literal["scheduled", "released"]


class PartnerCustomer(TypedDict):
    """A customer whom a partner has brought."""

    customer_id: int
    partner_id: int
    name: str
    email: str


class IssuedLicense(TypedDict):
    """A licence and its key: a signed claim that anybody can prove offline, and that opens nothing by itself."""

    license_key: str
    license_id: int
    customer_id: int
    seats: int
    valid_until: date | None


class AllocatedLicenses(TypedDict):
    """Licences out of a partner's pool; ``quota_remaining`` is what was left of it then."""

    allocation_id: int
    partner_id: int
    customer_id: int
    license_count: int
    quota_remaining: int
    license_ids: list[int]


class LicenseQuota(TypedDict):
    """Whether a partner may give so many licences out. Only an allocation takes them."""

    available: bool
    quota_remaining: int
    partner_id: int
    requested: int


class PartnerRecord(TypedDict):
    """A partner and the terms agreed with them; basis points are hundredths of a percent."""

    partner_id: int
    name: str
    email: str
    state: PartnerState
    license_template_id: int
    license_quota: int
    quota_remaining: int
    commission_type: CommissionType
    commission_basis_points: int | None
    commission_fixed_minor: int | None
    currency: str


class RecordedCommission(TypedDict):
    """What a partner has earned with a customer."""

    commission_id: int
    partner_id: int
    customer_id: int
    commission_type: CommissionType
    amount: Decimal
    amount_minor: int
    currency: str
    state: CommissionState


class ProvisionedTenant(TypedDict):
    """A customer's page; ``tenant_id`` is the name in its address, ``deployment_id`` its number."""

    tenant_url: str
    tenant_id: str
    deployment_id: int


class ScheduledDeployment(TypedDict):
    """A deployment and the technician's visit for it; ``is_made``: somebody has been there, for the installation.

    ``is_announced``: its customer has read of this very time, or is written of it by the installation.
    """

    deployment_id: int
    order_id: int
    customer_id: int
    priority: DeploymentPriority
    technician_id: int
    technician_name: NotRequired[str]
    visit_id: int
    starts_at: datetime
    ends_at: datetime
    address: NotRequired[str]
    state: DeploymentState
    is_made: NotRequired[bool]
    is_announced: NotRequired[bool]


class TenantAnswer(TypedDict):
    """A customer's page answered, and it was the right one."""

    tenant_url: str
    status: int
    checked_at: datetime
