"""The service: the subscriber's own login, and only then the bill and the mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from radius import ProjectedSubscriber
from workflows.answers import LinkTo
from workflows.definitions.installation.cpe import provision_device
from workflows.definitions.installation.kit import Installation, step
from workflows.definitions.installation.line import begin_testing, project_pending, see_open_sessions
from workflows.definitions.installation.resources import allocate_resources, create_subscriber
from workflows.definitions.installation.ticket import (
    SessionSeen,
)
from workflows.definitions.installation.visit import schedule_installation
from workflows.definitions.mailing import Letter, mail_steps
from workflows.engine.routes import Hold, KeepWaiting, Proceed, Route
from workflows.engine.step_kit import wait_for
from workflows.services import (
    ActivatedService,
    Outside,
    Services,
)

WIFI_LINK_OPENS = timedelta(days=14)
"""How long a customer has to look at the WiFi passphrase that was generated for their router."""


def right_session(run: Installation, seen: SessionSeen) -> Route:
    if f"{seen.nas_address}/{seen.session_id}" in run[see_open_sessions]["sessions"]:
        return KeepWaiting()
    wanted = run[allocate_resources]["ip_address"]
    if wanted and seen.framed_ip_address != wanted:
        return Hold(f"{seen.username} is online with {seen.framed_ip_address}, but {wanted} was allocated")
    return Proceed()


def no_login(run: Installation) -> Hold:
    """The subscriber and the NAS are not blamed for accounting that nobody could read."""
    username, unseen = run[create_subscriber]["username"], run.unseen(session_started)
    window = f"{run[begin_testing]['testing_until']:%Y-%m-%d %H:%M} UTC; retry from begin_testing renews it"
    if unseen is not None:
        return Hold(
            f"nobody knows whether {username} has logged in within {run.within('session')} of the CPE's "
            f"configuration: {unseen}. Retry once that is mended; a session of meanwhile counts. The testing window "
            f"ends {window}"
        )
    return Hold(
        f"{username} has not logged in within {run.within('session')} of the CPE's configuration: look at the NAS' "
        f"log and the last RADIUS replies of this user. The testing window ends {window}"
    )


session_started = wait_for(
    "session_started",
    signal="session_started",
    payload=SessionSeen,
    says="the CPE is configured: waiting for the subscriber's own login",
    subject=lambda run: run[create_subscriber]["username"],
    deadline=lambda run: run.now + run.patience("session"),
    patience=("session",),
    on_deadline=no_login,
    route=right_session,
)


async def stop_billing(services: Services, run: Installation, active: ActivatedService) -> None:
    await services.billing_service.withdraw_activation(
        subscription_id=active["subscription_id"], reason="the installation was undone"
    )
    await services.radius_service.return_to_pending(subscriber_id=run[create_subscriber]["subscriber_id"])


@step.transactional(undo=stop_billing)
async def activate_service(services: Services, run: Installation) -> ActivatedService:
    """The bill, the subscriber's state and the end of the visit are one commit."""
    await services.radius_service.activate(subscriber_id=run[create_subscriber]["subscriber_id"])
    await services.ticketing_service.complete_visit(
        visit_id=run[schedule_installation]["visit_id"], request_id=f"{run.key(activate_service)}/visit"
    )
    return await services.billing_service.activate_service(
        customer_id=run.customer_id,
        service_id=run[allocate_resources]["service_id"],
        plan=run.input.bandwidth_plan,
        request_id=run.key(activate_service),
    )


@step.keyed(undo=project_pending)
async def project_active(outside: Outside, run: Installation) -> ProjectedSubscriber:
    return await outside.radius.project_subscriber(run[create_subscriber]["subscriber_id"])


async def wifi_of(services: Services, run: Installation) -> dict[str, Any]:
    """How the customer learns the passphrase that only their router knows: by a one-time link, or by asking us."""
    bound = run.last(provision_device)
    serial = bound["device_serial"] if bound is not None else ""
    if not serial or not await services.genieacs_service.holds_generated_wifi(device_serial=serial):
        return {}
    if not await services.communications_service.has_links():
        return {"ask_for_wifi_of": serial}
    return {"wifi_link": LinkTo("reveal_wifi", serial, run.now + WIFI_LINK_OPENS)}


async def service_activated(services: Services, run: Installation) -> Letter:
    """The letter and its link are one commit, so the link opens from then on."""
    customer = await services.customer_service.customer(run.customer_id)
    allocated = run[allocate_resources]
    return Letter(
        template="service_activated",
        recipient=customer["email"],
        language=customer["language"],
        variables={
            "customer_name": customer["name"],
            "plan": run.input.bandwidth_plan,
            "username": allocated["username"],
            "service_id": allocated["service_id"],
            "activated_at": run[activate_service]["billing_started_at"],
            **await wifi_of(services, run),
        },
    )


send_template_email, deliver_email = mail_steps(service_activated, undone_because="the installation was undone")
