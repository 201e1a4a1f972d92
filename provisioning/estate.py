"""The ISP's estate from one TOML file: network, rates, NASes, offers, people and jobs, customers, surveys, partners.

``firstlight import FILE`` reads it. Everything is checked before anything is written, all faults are named at once, and
the same file again changes nothing. What the file does not mention stays as it is.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceSettings
from ipam import Change, LocationUnknown, NetworkEstate, NetworkEstateSpec, NetworkService
from provisioning.bootstrap import Appliance
from provisioning.commercial import (
    CommissionTerms,
    CrmService,
    CustomerService,
    LicenseTemplates,
    OfferCatalogue,
    OfferTerms,
    Partners,
    Teams,
)
from provisioning.errors import Fault, InvalidRequest
from provisioning.estate_changes import ChangedParts, Unserved, grouped, unserved
from provisioning.estate_part import attempt
from provisioning.estate_radius import write_rates_and_nases
from provisioning.estate_spec import (
    CpePlanSpec,
    CustomerSpec,
    EstateSpec,
    LicenseTemplateSpec,
    OfferSpec,
    PartnerSpec,
    SurveySpec,
    TeamSpec,
    TechnicianSpec,
)
from provisioning.estate_told import ToldBefore, told_before
from provisioning.field import Jobs, Planning
from provisioning.intake import faults_of
from provisioning.vault import VaultError
from radius import RadiusDatabaseUnavailable, RadiusDatabaseUnfit, RadiusError, RadiusService, SessionReader


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(_named(path), [Fault(str(path), error.strerror or "can't be read")]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidRequest(_named(path), [Fault(str(path), f"is not TOML: {error}")]) from error


def _named(path: Path) -> str:
    return f"The estate {path.name}"


@dataclass(frozen=True)
class EstateServices:
    """What an estate is written through, all bound to one transaction."""

    network: NetworkEstate
    premises: NetworkService
    radius: RadiusService
    sessions: SessionReader
    cpes: DeviceSettings
    offers: OfferCatalogue
    teams: Teams
    jobs: Jobs
    planning: Planning
    customers: CustomerService
    crm: CrmService
    license_templates: LicenseTemplates
    partners: Partners


async def apply_estate(
    db: AsyncSession, spec: EstateSpec, services: EstateServices, *, leave_sessions: bool = False
) -> list[Change]:
    """Writes the estate in the caller's transaction; returns what it changed in the network. ``leave_sessions``: a NAS
    may get another address though sessions are open under its former one, where no CoA reaches them any more.

    Raises: InvalidRequest with every fault found; the caller's rollback leaves nothing behind.
    """
    faults: list[Fault] = []
    changes: list[Change] = []

    async def network() -> None:
        changes.extend(await services.network.apply(spec.network))

    await attempt(faults, "network", network)
    await write_rates_and_nases(
        faults,
        services.radius,
        services.sessions,
        rates=spec.rates,
        nases=spec.nas,
        password_storage=spec.radius.password_storage,
        leave_sessions=leave_sessions,
    )
    for cpe_plan in spec.cpe_plans:
        faults += await _cpe_plan(services, cpe_plan)
    for offer in spec.offers:
        faults += await _offer(services, offer)
    for team in spec.teams:
        await attempt(faults, f"team {team.name}", lambda t=team: _team(services.teams, t))
    for job in spec.visit_jobs:
        await attempt(faults, f"visit_job {job.name}", lambda j=job: services.jobs.define(**j.model_dump()))
    for one in spec.technicians:
        await attempt(faults, f"technician {one.id}", lambda t=one: _technician(services.planning, t))
    for customer in spec.customers:
        await attempt(faults, f"customer {customer.id}", lambda c=customer: _customer(services.customers, c))
    for survey in spec.surveys:
        await attempt(faults, f"site_survey of {survey.customer_id}", lambda s=survey: _survey(services, s))
    await _write_partners(faults, spec, services)
    if faults:
        raise InvalidRequest("The estate", faults)
    return changes


def _counts(spec: EstateSpec) -> dict[str, int]:
    """How many of each kind it names."""
    return {
        **{kind: len(getattr(spec.network, kind)) for kind in NetworkEstateSpec.model_fields},
        "rates": len(spec.rates),
        "nas": len(spec.nas),
        "cpe_plans": len(spec.cpe_plans),
        "offers": len(spec.offers),
        "teams": len(spec.teams),
        "visit_jobs": len(spec.visit_jobs),
        "technicians": len(spec.technicians),
        "customers": len(spec.customers),
        "site_surveys": len(spec.surveys),
        "license_templates": len(spec.license_templates),
        "partners": len(spec.partners),
    }


async def _write_partners(faults: list[Fault], spec: EstateSpec, services: EstateServices) -> None:
    """Partners, and before them the licence templates that they give licences of."""
    for kind in spec.license_templates:
        where = f"license_template {kind.id}"
        await attempt(faults, where, lambda k=kind: _license_template(services.license_templates, k))
    for partner in spec.partners:
        await attempt(faults, f"partner {partner.id}", lambda p=partner: _partner(services.partners, p))


async def _offer(services: EstateServices, spec: OfferSpec) -> list[Fault]:
    """Every fault of one offer: its terms', and a plan that the network or FreeRADIUS doesn't know."""
    faults: list[Fault] = []
    where, plan = f"offer {spec.id}", spec.plan
    terms = OfferTerms(**spec.model_dump(exclude={"id"}))
    await attempt(faults, where, lambda: services.offers.define(spec.id, terms))
    if plan is not None:
        await attempt(faults, f"{where}: plan", lambda: services.premises.plan(plan))
        await attempt(faults, f"{where}: plan", lambda: services.radius.plan(name=plan))
    return faults


async def _cpe_plan(services: EstateServices, spec: CpePlanSpec) -> list[Fault]:
    """Every fault of what a plan's CPEs have otherwise, and a plan that the network doesn't know."""
    faults: list[Fault] = []
    where = f"cpe_plan {spec.plan}"
    overrides = {**spec.overrides, **dict.fromkeys(spec.left_alone)}
    await attempt(faults, f"{where}: plan", lambda: services.premises.plan(spec.plan))
    await attempt(faults, where, lambda: services.cpes.define_plan_overrides(plan=spec.plan, overrides=overrides))
    return faults


async def _team(teams: Teams, spec: TeamSpec) -> None:
    channels = {name: address.get_secret_value() for name, address in spec.channels.items()}
    await teams.define(name=spec.name, email=spec.email, channels=channels)


async def _technician(planning: Planning, spec: TechnicianSpec) -> None:
    await planning.register(technician_id=spec.id, name=spec.name, email=spec.email, skills=list(spec.skills))
    if spec.plan:
        await planning.plan(technician_id=spec.id, **spec.plan)


async def _customer(customers: CustomerService, spec: CustomerSpec) -> None:
    known = await customers.register(
        customer_id=spec.id, name=spec.name, email=spec.email, phone=spec.phone, language=spec.language
    )
    if spec.language is not None and known["language"] != spec.language:
        await customers.speak(customer_id=spec.id, language=spec.language)


async def _survey(services: EstateServices, spec: SurveySpec) -> None:
    moment: datetime = spec.surveyed_at
    location = await _premise(services.premises, spec.service_location)
    await services.crm.record_site_survey(
        customer_id=spec.customer_id,
        service_location=location,
        result=spec.result,
        surveyed_at=moment,
        notes=spec.notes,
        request_id=f"estate/{spec.customer_id}/{location}/{moment.isoformat()}",
    )


async def _premise(premises: NetworkService, named: str) -> str:
    """The id under which a survey of this premise will be asked for, whatever alias it was written with."""
    if not named.isprintable():
        return named  # it will be refused with all else that is wrong with the survey
    try:
        return (await premises.locate(named))["location"]
    except LocationUnknown:
        return named  # surveyed before the network reaches it


async def _license_template(templates: LicenseTemplates, spec: LicenseTemplateSpec) -> None:
    await templates.define(license_template_id=spec.id, **spec.model_dump(exclude={"id"}))


async def _partner(partners: Partners, spec: PartnerSpec) -> None:
    await partners.register(
        partner_id=spec.id,
        name=spec.name,
        email=spec.email,
        license_template_id=spec.license_template,
        license_quota=spec.license_quota,
        commission=CommissionTerms(**spec.commission.model_dump()),
        state=spec.state,
    )


@dataclass(frozen=True)
class ImportedEstate:
    """How many of each kind the file names; what it changed in the network (None: it says nothing of it), what keeps
    serving who is elsewhere, and what OLTs and CPEs were told before; and the plans and NASes (``nas bng-1``) that
    FreeRADIUS could not be told of yet, each with the reason. The worker goes on with those."""

    counts: dict[str, int]
    network: list[ChangedParts] | None
    unserved: list[Unserved]
    told_before: list[ToldBefore]
    not_carried_over: dict[str, str]


async def import_estate(appliance: Appliance, file: Path, *, leave_sessions: bool = False) -> ImportedEstate:
    """The estate of a file in one transaction, then FreeRADIUS' plans and NASes. ``leave_sessions`` as of
    ``apply_estate``.

    Raises: InvalidRequest with every fault.
    """
    data = _parsed(file)
    try:
        spec = EstateSpec.model_validate(data)
    except ValidationError as error:
        faults = await _with_the_whole_network(appliance, data, faults_of(error, whole="estate", model=EstateSpec))
        raise InvalidRequest(_named(file), faults) from error
    tenant_id, now = appliance.tenant_id, appliance.clock
    async with appliance.database.begin() as db:
        services = EstateServices(
            network=appliance.network_estate(db),
            premises=appliance.services(db).network_service,
            radius=RadiusService(db, tenant_id=tenant_id, now=now, secrets=appliance.vault),
            sessions=appliance.sessions,
            cpes=appliance.device_settings(db),
            offers=OfferCatalogue(db, tenant_id=tenant_id),
            teams=appliance.teams(db),
            jobs=Jobs(db, tenant_id=appliance.tenant_id),
            planning=appliance.planning(db),
            customers=CustomerService(db, tenant_id=tenant_id, now=now),
            crm=CrmService(db, tenant_id=tenant_id, now=now),
            license_templates=LicenseTemplates(db, tenant_id=tenant_id),
            partners=Partners(db, tenant_id=tenant_id, now=now),
        )
        changed = await apply_estate(db, spec, services, leave_sessions=leave_sessions)
        told = await told_before(db, changed, spec.network.access_nodes, appliance)
    says_of_it = any(getattr(spec.network, kind) for kind in NetworkEstateSpec.model_fields)
    network = grouped(changed) if says_of_it else None
    return ImportedEstate(_counts(spec), network, unserved(changed), told, await _not_carried_over(appliance))


async def _not_carried_over(appliance: Appliance) -> dict[str, str]:
    """Tells FreeRADIUS of the plans and NASes as they are committed, one by one."""
    refused: dict[str, str] = {}
    for kind, source_id, name in await appliance.projector.definitions():
        try:
            await appliance.projector.project_one(kind, source_id)
        except (RadiusError, VaultError) as error:
            if _of_all(error):
                return {**refused, "plans and NASes": str(error)}
            refused[f"{kind} {name}"] = str(error)
    return refused


def _of_all(error: Exception) -> bool:
    """Whether FreeRADIUS can't be told of any other one either."""
    is_down = isinstance(error, RadiusDatabaseUnavailable) and not error.of_one
    return is_down or isinstance(error, RadiusDatabaseUnfit)


async def _with_the_whole_network(appliance: Appliance, data: dict[str, Any], faults: list[Fault]) -> list[Fault]:
    """What is wrong in the form of the network hides nothing that only the whole of it tells, such as an overlap."""
    network = data.get("network")
    if not isinstance(network, dict):
        return faults
    async with appliance.database.read() as db:
        found = await NetworkEstate(db, tenant_id=appliance.tenant_id, now=appliance.clock).validate(network)
    others = [fault for fault in faults if not fault.field.startswith("network.")]
    return [*(Fault("network", str(fault)) for fault in found), *others]
