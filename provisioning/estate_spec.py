"""What an estate may say: the parts of its file, apart from what each of them does (``provisioning.estate``)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, Field, SecretStr, StrictBool, StrictInt, StrictStr

from ipam import NetworkEstateSpec
from provisioning.estate_part import Part
from provisioning.estate_radius import NasSpec, RadiusSpec, RateSpec


class CpePlanSpec(Part):
    """What every CPE of a network plan has otherwise than its template says: inputs, paths, ``management``,
    ``inform.verified_seconds`` by name, and paths that are left alone. See docs/cpe-templates.md."""

    plan: str
    overrides: dict[str, StrictBool | StrictInt | StrictStr] = Field(default_factory=dict)
    left_alone: tuple[str, ...] = ()


class OfferSpec(Part):
    """Something that is sold, by the number the ISP has for it; ``plan`` is the network plan and rate it sells, if any.

    Amounts are minor units (cents): ``price_minor`` is due every ``billing_period_months``, ``setup_fee_minor`` once.
    """

    id: int
    title: str
    price_minor: int
    currency: str
    term_months: int
    payment_terms: Literal["prepaid", "postpaid"]
    plan: str | None = None
    billing_period_months: int = 1
    setup_fee_minor: int = 0
    license_template_id: int | None = None
    active: bool = True


class TeamSpec(Part):
    """Some of the ISP's people. Of each channel its Apprise address, which holds tokens and goes into the vault, or the
    reference of one that is there already (``secret:notice/<team>/<channel>``)."""

    name: str
    email: str | None = None
    channels: dict[str, SecretStr] = Field(default_factory=dict)


class VisitJobSpec(Part):
    """A kind of job: how long it takes, what is kept free after it, within what technicians arrive, what it needs."""

    name: str
    duration_minutes: int
    buffer_minutes: int = 0
    window_minutes: int = 0
    skills: tuple[str, ...] = ()


class TechnicianSpec(Part):
    """Somebody who visits customers. Where and when they work is told as a whole, or stays as it was planned."""

    id: int
    name: str
    email: str | None = None
    skills: tuple[str, ...] = ()
    team: str | None = None
    van: str | None = None
    home_latitude: float | None = None
    home_longitude: float | None = None
    week: dict[str, list[str]] | None = None
    time_zone: str | None = None
    holidays: str | None = None

    @property
    def plan(self) -> dict[str, Any]:
        """What the file says of how they work; nothing: it says nothing."""
        told = self.model_dump(exclude={"id", "name", "email", "skills"})
        return told if any(value is not None for value in told.values()) else {}


class CustomerSpec(Part):
    """A customer, by the number the ISP has for them."""

    id: int
    name: str
    email: str
    phone: str | None = None
    language: str | None = None


class SurveySpec(Part):
    """A completed site survey."""

    customer_id: int
    service_location: str
    result: Literal["feasible", "not_feasible"]
    surveyed_at: AwareDatetime
    notes: str = ""


class LicenseTemplateSpec(Part):
    """What a licence of this kind holds; without ``valid_months`` it has no end."""

    id: int
    name: str
    seats: int
    valid_months: int | None = None
    features: dict[str, Any] = Field(default_factory=dict)


class CommissionSpec(Part):
    """What a partner earns: ``percentage`` with ``basis_points``, or ``fixed`` with ``fixed_minor``."""

    type: str
    currency: str
    basis_points: int | None = None
    fixed_minor: int | None = None


class PartnerSpec(Part):
    """Who sells for the ISP; ``license_quota`` are their first licences, more come by ``firstlight partners grant``."""

    id: int
    name: str
    email: str
    license_template: int
    license_quota: int
    commission: CommissionSpec
    state: str = "active"


class EstateSpec(Part):
    """The whole file."""

    network: NetworkEstateSpec = Field(default_factory=NetworkEstateSpec)
    rates: tuple[RateSpec, ...] = Field(default=(), alias="rate")
    radius: RadiusSpec = Field(default_factory=RadiusSpec)
    nas: tuple[NasSpec, ...] = ()
    cpe_plans: tuple[CpePlanSpec, ...] = Field(default=(), alias="cpe_plan")
    offers: tuple[OfferSpec, ...] = Field(default=(), alias="offer")
    teams: tuple[TeamSpec, ...] = Field(default=(), alias="team")
    visit_jobs: tuple[VisitJobSpec, ...] = Field(default=(), alias="visit_job")
    technicians: tuple[TechnicianSpec, ...] = Field(default=(), alias="technician")
    customers: tuple[CustomerSpec, ...] = Field(default=(), alias="customer")
    surveys: tuple[SurveySpec, ...] = Field(default=(), alias="site_survey")
    license_templates: tuple[LicenseTemplateSpec, ...] = Field(default=(), alias="license_template")
    partners: tuple[PartnerSpec, ...] = Field(default=(), alias="partner")
