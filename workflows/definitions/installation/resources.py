"""Before the visit: the survey, the addresses and VLANs, and an account that is refused until a scan."""

from __future__ import annotations

from ipam import AllocatedResources
from radius import CreatedSubscriber, ProjectedSubscriber
from workflows.definitions.installation.kit import Installation, step
from workflows.engine.steps import NothingToUndo
from workflows.framed import framed_addresses
from workflows.services import (
    Outside,
    Services,
    SiteSurvey,
)


@step.transactional(undo=NothingToUndo("a survey is only read"))
async def get_site_survey(services: Services, run: Installation) -> SiteSurvey:
    """Of the premise that the ticket names by its id or an alias; surveys are kept under the id."""
    place = await services.network_service.locate(run.input.service_location)
    return await services.crm_service.get_site_survey(customer_id=run.customer_id, service_location=place["location"])


def premise(run: Installation) -> str:
    """The id of the premise that was surveyed; the ticket's word for it where the survey was skipped."""
    survey = run.last(get_site_survey)
    return run.input.service_location if survey is None else survey["service_location"]


async def release_resources(services: Services, run: Installation, allocated: AllocatedResources) -> None:
    await services.network_service.release_resources(service_id=allocated["service_id"])


@step.transactional(undo=release_resources)
async def allocate_resources(services: Services, run: Installation) -> AllocatedResources:
    return await services.network_service.allocate_resources(
        customer_id=run.customer_id,
        service_location=premise(run),
        bandwidth_plan=run.input.bandwidth_plan,
        request_id=run.key(allocate_resources),
    )


async def terminate_subscriber(services: Services, run: Installation, created: CreatedSubscriber) -> None:
    await services.radius_service.terminate(subscriber_id=created["subscriber_id"])


@step.transactional(undo=terminate_subscriber)
async def create_subscriber(services: Services, run: Installation) -> CreatedSubscriber:
    allocated = run[allocate_resources]
    return await services.radius_service.create_subscriber(
        customer_id=run.customer_id,
        username=allocated["username"],
        bandwidth_profile=run.input.bandwidth_plan,
        service_id=allocated["service_id"],
        addresses=framed_addresses(allocated),
        external_id=run.input.subscriber_external_id,
        request_id=run.key(create_subscriber),
    )


async def withdraw_subscriber(outside: Outside, run: Installation, projected: ProjectedSubscriber | None) -> None:
    await outside.radius.withdraw_subscriber(run[create_subscriber]["subscriber_id"])


@step.keyed(undo=withdraw_subscriber)
async def project_subscriber(outside: Outside, run: Installation) -> ProjectedSubscriber:
    return await outside.radius.project_subscriber(run[create_subscriber]["subscriber_id"])
