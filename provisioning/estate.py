"""The ISP's estate from one TOML file: the network, rates, NASes, teams, technicians, customers and their surveys.

``firstlight import FILE`` reads it. Everything is checked before anything is written, all faults are named at once, and
the same file again changes nothing. What the file does not mention stays as it is.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import IpamError, NetworkEstate, NetworkEstateSpec
from provisioning.bootstrap import Appliance
from provisioning.commercial import CrmService, CustomerService, Teams
from provisioning.errors import Fault, InvalidRequest, ProvisioningError
from provisioning.field import Technicians
from provisioning.intake import faults_of
from radius import RadiusError, RadiusService


class Part(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RateSpec(Part):
    """The rate of a plan, seen from the subscriber: download is what comes to him (kbit/s)."""

    plan: str
    download_kbps: int
    upload_kbps: int
    session_timeout_seconds: int | None = None
    idle_timeout_seconds: int | None = None
    interim_interval_seconds: int = 300


class NasSpec(Part):
    """A NAS. Its RADIUS secret is made at random; ``firstlight keys reveal`` tells it for the NAS' configuration."""

    name: str
    address: str
    dialect: str
    coa_port: int = 3799


class TeamSpec(Part):
    """Some of the ISP's people. Of each channel its Apprise address, which holds tokens and goes into the vault, or the
    reference of one that is there already (``secret:notice/<team>/<channel>``)."""

    name: str
    email: str | None = None
    channels: dict[str, SecretStr] = Field(default_factory=dict)


class TechnicianSpec(Part):
    """Somebody who visits customers."""

    id: int
    name: str
    email: str | None = None
    skills: tuple[str, ...] = ()


class CustomerSpec(Part):
    """A customer, by the number the ISP has for them."""

    id: int
    name: str
    email: str
    phone: str | None = None


class SurveySpec(Part):
    """A completed site survey."""

    customer_id: int
    service_location: str
    result: Literal["feasible", "not_feasible"]
    surveyed_at: AwareDatetime
    notes: str = ""


class EstateSpec(Part):
    """The whole file."""

    network: NetworkEstateSpec = Field(default_factory=NetworkEstateSpec)
    rates: tuple[RateSpec, ...] = Field(default=(), alias="rate")
    nas: tuple[NasSpec, ...] = ()
    teams: tuple[TeamSpec, ...] = Field(default=(), alias="team")
    technicians: tuple[TechnicianSpec, ...] = Field(default=(), alias="technician")
    customers: tuple[CustomerSpec, ...] = Field(default=(), alias="customer")
    surveys: tuple[SurveySpec, ...] = Field(default=(), alias="site_survey")


def read_estate(path: Path) -> EstateSpec:
    """Raises: InvalidRequest naming every fault of the file and where it stands."""
    what = f"The estate {path.name}"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(what, [Fault(str(path), error.strerror or "can't be read")]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(what, [Fault(str(path), f"is not TOML: {error}")]) from error
    try:
        return EstateSpec.model_validate(data)
    except ValidationError as error:
        raise InvalidRequest(what, faults_of(error, whole="estate")) from error


@dataclass(frozen=True)
class EstateServices:
    """What an estate is written through, all bound to one transaction."""

    network: NetworkEstate
    radius: RadiusService
    teams: Teams
    technicians: Technicians
    customers: CustomerService
    crm: CrmService


async def apply_estate(db: AsyncSession, spec: EstateSpec, services: EstateServices) -> dict[str, int]:
    """Writes the estate in the caller's transaction; returns how many of each kind it names.

    Raises: InvalidRequest with every fault found; the caller's rollback leaves nothing behind.
    """
    faults: list[Fault] = []
    await _try(faults, "network", lambda: services.network.apply(spec.network))
    for rate in spec.rates:
        terms = rate.model_dump(exclude={"plan"})
        await _try(faults, f"rate {rate.plan}", lambda r=rate, t=terms: services.radius.define_plan(name=r.plan, **t))
    for nas in spec.nas:
        await _try(faults, f"nas {nas.name}", lambda n=nas: services.radius.define_nas(**n.model_dump()))
    for team in spec.teams:
        await _try(faults, f"team {team.name}", lambda t=team: _team(services.teams, t))
    for one in spec.technicians:
        await _try(faults, f"technician {one.id}", lambda t=one: _technician(services.technicians, t))
    for customer in spec.customers:
        await _try(faults, f"customer {customer.id}", lambda c=customer: _customer(services.customers, c))
    for survey in spec.surveys:
        await _try(faults, f"site_survey of {survey.customer_id}", lambda s=survey: _survey(services.crm, s))
    if faults:
        raise InvalidRequest("The estate", faults)
    return {
        "pools": len(spec.network.pools),
        "locations": len(spec.network.locations),
        "rates": len(spec.rates),
        "nas": len(spec.nas),
        "teams": len(spec.teams),
        "technicians": len(spec.technicians),
        "customers": len(spec.customers),
        "site_surveys": len(spec.surveys),
    }


async def _try(faults: list[Fault], where: str, act: Callable[..., Awaitable[Any]]) -> None:
    try:
        await act()
    except InvalidRequest as error:
        faults += [Fault(f"{where}: {fault.field}", fault.reason) for fault in error.faults]
    except (ProvisioningError, IpamError, RadiusError) as error:
        inner = getattr(error, "faults", None)
        faults += [Fault(where, str(fault)) for fault in inner] if inner else [Fault(where, str(error))]


async def _team(teams: Teams, spec: TeamSpec) -> None:
    channels = {name: address.get_secret_value() for name, address in spec.channels.items()}
    await teams.define(name=spec.name, email=spec.email, channels=channels)


async def _technician(technicians: Technicians, spec: TechnicianSpec) -> None:
    await technicians.register(technician_id=spec.id, name=spec.name, email=spec.email, skills=list(spec.skills))


async def _customer(customers: CustomerService, spec: CustomerSpec) -> None:
    await customers.register(customer_id=spec.id, name=spec.name, email=spec.email, phone=spec.phone)


async def _survey(crm: CrmService, spec: SurveySpec) -> None:
    moment: datetime = spec.surveyed_at
    await crm.record_site_survey(
        customer_id=spec.customer_id,
        service_location=spec.service_location,
        result=spec.result,
        surveyed_at=moment,
        notes=spec.notes,
        request_id=f"estate/{spec.customer_id}/{spec.service_location}/{moment.isoformat()}",
    )


async def import_estate(appliance: Appliance, file: Path) -> dict[str, int]:
    """The estate of a file in one transaction, then FreeRADIUS' plans and NASes.

    Raises: InvalidRequest with every fault.
    """
    spec = read_estate(file)
    tenant_id, now = appliance.tenant_id, appliance.clock
    async with appliance.database.begin() as db:
        services = EstateServices(
            network=NetworkEstate(db, tenant_id=tenant_id, now=now),
            radius=RadiusService(db, tenant_id=tenant_id, now=now, secrets=appliance.vault),
            teams=appliance.teams(db),
            technicians=Technicians(db, tenant_id=tenant_id),
            customers=CustomerService(db, tenant_id=tenant_id, now=now),
            crm=CrmService(db, tenant_id=tenant_id, now=now),
        )
        counts = await apply_estate(db, spec, services)
    await appliance.projector.project_plans()
    await appliance.projector.project_nas()
    return counts
