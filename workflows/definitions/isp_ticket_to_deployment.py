"""From an approved installation ticket to a live subscriber, in the order in which it happens in the field.

survey -> addresses and VLAN -> account (refused until a scan) -> appointment -> visit -> line on the OLT -> CPE
configured and verified -> the subscriber's own login seen -> bill -> mail. A bill follows a working line, and an ONT
informs only after the OLT lets it.
"""

from __future__ import annotations

from datetime import timedelta

from acs import ApplyOutcome, ProvisionedDevice, VerifyOutcome, require_verified
from ipam import AllocatedResources
from radius import CreatedSubscriber, FramedAddresses, ProjectedSubscriber
from workflows.definitions.installation import (
    Appointment,
    DeviceInformed,
    InstallTicket,
    LineRemovalAwaited,
    OpenSessions,
    PortMismatch,
    SessionSeen,
    TestingService,
    VisitReport,
    line_profile,
)
from workflows.engine.run import Run
from workflows.engine.steps import (
    Definition,
    GoBack,
    Hold,
    KeepWaiting,
    NothingToUndo,
    Proceed,
    RetryPolicy,
    Route,
    StepKit,
    UndoAll,
    wait_for,
)
from workflows.services import (
    ActivatedService,
    DeliveredEmail,
    LineAnswer,
    LineOrder,
    Outside,
    QueuedEmail,
    ScheduledInstallation,
    Services,
    SiteSurvey,
)

step = StepKit[Services, Outside]()
Installation = Run[InstallTicket]

# A CPE may be switched off or behind NAT for hours; the ACS converges at its next Inform.
CPE_PATIENCE = RetryPolicy(attempts=40, first_delay_seconds=1.0, factor=2.0, longest_delay_seconds=600.0)


# A CPE that goes on showing other values is one that lies or is changed by somebody: a person must look.
REPAIRS = 2
READ_BACK = RetryPolicy(attempts=6, first_delay_seconds=2.0, factor=3.0, longest_delay_seconds=120.0)


# -- before the visit --------------------------------------------------------------------------------------------------


@step.transactional(undo=NothingToUndo("a survey is only read"))
async def get_site_survey(services: Services, run: Installation) -> SiteSurvey:
    return await services.crm_service.get_site_survey(
        customer_id=run.customer_id, service_location=run.input.service_location
    )


async def release_resources(services: Services, run: Installation, allocated: AllocatedResources) -> None:
    await services.network_service.release_resources(service_id=allocated["service_id"])


@step.transactional(undo=release_resources)
async def allocate_resources(services: Services, run: Installation) -> AllocatedResources:
    return await services.network_service.allocate_resources(
        customer_id=run.customer_id,
        service_location=run.input.service_location,
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
        addresses=FramedAddresses(
            ipv4=allocated["ip_address"] or None,
            ipv4_pool=allocated["framed_pool"],
            ipv6_wan_prefix=allocated["ipv6_wan_prefix"],
            delegated_prefix=allocated["delegated_prefix"],
        ),
        request_id=run.key(create_subscriber),
    )


async def withdraw_subscriber(outside: Outside, run: Installation, projected: ProjectedSubscriber | None) -> None:
    await outside.radius.withdraw_subscriber(run[create_subscriber]["subscriber_id"])


@step.keyed(undo=withdraw_subscriber)
async def project_subscriber(outside: Outside, run: Installation) -> ProjectedSubscriber:
    return await outside.radius.project_subscriber(run[create_subscriber]["subscriber_id"])


# -- the visit ---------------------------------------------------------------------------------------------------------


def proposed(run: Installation) -> Appointment | None:
    """The appointment that is wanted now: at first the ticket's, after a failed visit the one its report named.

    Where a run was sent back from behind a scan, the technician is still at the door: the same visit is booked anew.
    """
    report, booked = run.last(visit), run.last(schedule_installation)
    if report is None or booked is None:
        return run.input.appointment
    if report.outcome == "scanned" and booked["ends_at"] > run.now:
        return Appointment(technician_id=booked["technician_id"], scheduled_date=booked["starts_at"])
    return report.next_appointment


def gave_up_waiting(run: Installation) -> Route:
    return UndoAll(f"no successful visit before {run.input.keep_until(run):%Y-%m-%d %H:%M} UTC; everything is released")


appointment = wait_for(
    "appointment",
    signal="appointment",
    payload=Appointment,
    says="an appointment with the customer has to be made",
    subject=lambda run: run.input.ticket_id,
    deadline=lambda run: run.input.keep_until(run),
    on_deadline=gave_up_waiting,
    when=lambda run: proposed(run) is None or run.is_told("appointment"),
    otherwise="the appointment is known already",
)


async def release_visit(services: Services, run: Installation, booked: ScheduledInstallation) -> None:
    await services.ticketing_service.release_visit(visit_id=booked["visit_id"], reason="the installation was undone")


@step.transactional(undo=release_visit)
async def schedule_installation(services: Services, run: Installation) -> ScheduledInstallation:
    wanted = (run[appointment] if run.done(appointment) else None) or proposed(run) or run[appointment]
    return await services.ticketing_service.schedule_installation(
        customer_id=run.customer_id,
        installation_address=run.input.installation_address,
        technician_id=wanted.technician_id,
        scheduled_date=wanted.scheduled_date,
        service_location=run.input.service_location,
        planned_port=run[allocate_resources]["port"],
        request_id=run.key(schedule_installation),
    )


def after_visit(run: Installation, report: VisitReport) -> Route:
    match report.outcome:
        case "scanned":
            return Proceed()
        case "not_feasible":
            return UndoAll(f"the technician found the installation not feasible: {report.note}")
        case _:
            words = {"no_access": "nobody was at home", "cancelled": "the visit was called off"}[report.outcome]
            return GoBack("appointment", words + (f": {report.note}" if report.note else ""))


visit = wait_for(
    "visit",
    signal="visit",
    payload=VisitReport,
    says="the technician's visit: waiting for the scan of the ONT",
    subject=lambda run: str(run[schedule_installation]["visit_id"]),
    deadline=lambda run: max(run.input.keep_until(run), run[schedule_installation]["ends_at"]),
    on_deadline=gave_up_waiting,
    route=after_visit,
)


def serial(run: Installation) -> str:
    """The serial that was scanned; the visit's report has been checked to carry one."""
    scanned = run[visit].device_serial
    assert scanned is not None
    return scanned


# -- the line ----------------------------------------------------------------------------------------------------------


async def end_testing(services: Services, run: Installation, testing: TestingService) -> None:
    await services.radius_service.return_to_pending(subscriber_id=testing["subscriber_id"])


@step.transactional(undo=end_testing)
async def begin_testing(services: Services, run: Installation) -> TestingService:
    subscriber_id = run[create_subscriber]["subscriber_id"]
    until = run.now + run.patience("testing")
    await services.radius_service.begin_testing(subscriber_id=subscriber_id, until=until)
    return {"subscriber_id": subscriber_id, "testing_until": until}


async def project_pending(outside: Outside, run: Installation, projected: ProjectedSubscriber | None) -> None:
    await outside.radius.return_to_pending(run[create_subscriber]["subscriber_id"])


@step.keyed(undo=project_pending)
async def project_testing(outside: Outside, run: Installation) -> ProjectedSubscriber:
    return await outside.radius.project_subscriber(run[create_subscriber]["subscriber_id"])


async def withdraw_line(services: Services, run: Installation, order: LineOrder) -> None:
    await services.line_service.withdraw_line(line_order_id=order["line_order_id"])


@step.transactional(undo=withdraw_line)
async def authorise_line(services: Services, run: Installation) -> LineOrder:
    allocated = run[allocate_resources]
    return await services.line_service.authorise_line(
        customer_id=run.customer_id,
        service_id=allocated["service_id"],
        device_serial=serial(run),
        access_node=allocated["access_node"],
        port=_port(run),
        svlan=allocated["svlan"],
        cvlan=allocated["cvlan"],
        management_vlan=allocated["management_vlan"],
        line_profile=line_profile(run.input.bandwidth_plan),
        request_id=run.key(authorise_line),
    )


def _port(run: Installation) -> str | None:
    """The port to light: the planned one, which must be the scanned one; its S-VLAN and addresses belong to it."""
    planned, scanned = run[allocate_resources]["port"], run[visit].port
    if planned is not None and scanned is not None and planned != scanned:
        raise PortMismatch(serial(run), planned, scanned)
    return planned or scanned


@step.keyed(undo=NothingToUndo("looking changes nothing"))
async def see_open_sessions(outside: Outside, run: Installation) -> OpenSessions:
    """The sessions that are open before the line is: ghosts of an earlier CPE, never proof of this one."""
    sessions = await outside.sessions.open_sessions(run[create_subscriber]["username"])
    return {"sessions": [f"{session.nas_address}/{session.session_id}" for session in sessions]}


async def take_line_off(outside: Outside, run: Installation, answer: LineAnswer | None) -> None:
    order = run[authorise_line]
    removal = await outside.line.withdraw(order["line_order_id"])
    if not removal["answered"]:
        raise LineRemovalAwaited(order["line_order_id"], order["device_serial"], removal["snippet"])


@step.keyed(undo=take_line_off)
async def hand_over_line(outside: Outside, run: Installation) -> LineAnswer:
    return await outside.line.hand_over(run[authorise_line]["line_order_id"])


line_answer = wait_for(
    "line_answer",
    signal="line_answer",
    payload=LineAnswer,
    says="the line has been handed over: waiting for the OLT side's answer",
    subject=lambda run: str(run[authorise_line]["line_order_id"]),
    deadline=lambda run: run.now + run.patience("line"),
    when=lambda run: not run[hand_over_line]["answered"],
    otherwise="the OLT answered at once",
)


@step.transactional(undo=NothingToUndo("the comparison writes nothing"))
async def confirm_port(services: Services, run: Installation) -> LineAnswer:
    """The port the ONT came up at must be the one that was ordered: its S-VLAN and addresses belong to that port."""
    answer = run[line_answer] if run.done(line_answer) else run[hand_over_line]
    planned, actual = run[authorise_line]["port"], answer["actual_port"]
    if planned is not None and actual is not None and planned != actual:
        raise PortMismatch(serial(run), planned, actual)
    return answer


# -- the CPE -----------------------------------------------------------------------------------------------------------


async def withdraw_device(services: Services, run: Installation, bound: ProvisionedDevice) -> None:
    await services.genieacs_service.withdraw_device(
        device_serial=bound["device_serial"], service_id=run[allocate_resources]["service_id"]
    )


@step.transactional(undo=withdraw_device)
async def provision_device(services: Services, run: Installation) -> ProvisionedDevice:
    allocated, subscriber = run[allocate_resources], run[create_subscriber]
    return await services.genieacs_service.provision_device(
        customer_id=run.customer_id,
        device_serial=serial(run),
        config_template=run.input.config_template,
        service_id=allocated["service_id"],
        values={
            "pppoe_username": subscriber["username"],
            "pppoe_password": subscriber["password"],
            "cpe_vlan_id": allocated["cpe_vlan_id"],
            "wifi_ssid": run.input.wifi_ssid,
        },
        request_id=run.key(provision_device),
    )


device_informed = wait_for(
    "device_informed",
    signal="device_informed",
    payload=DeviceInformed,
    says="waiting for the CPE's first Inform",
    subject=lambda run: run[provision_device]["device_serial"],
    since=lambda run: run.started(hand_over_line),  # a CPE may inform the instant the OLT lets it
    deadline=lambda run: run.now + run.patience("inform"),
    on_deadline=lambda run: Hold(
        f"CPE {run[provision_device]['device_serial']} has not informed within {run.patience('inform')}: check its "
        "power, the fibre, the management VLAN and the ACS address it was given"
    ),
)


async def withdraw_from_acs(outside: Outside, run: Installation, applied: ApplyOutcome | None) -> None:
    await outside.acs.release(run[provision_device]["device_serial"], service_id=run[allocate_resources]["service_id"])


@step.keyed(undo=withdraw_from_acs, retry=CPE_PATIENCE, timeout_seconds=240)
async def apply_device(outside: Outside, run: Installation) -> ApplyOutcome:
    return await outside.acs.apply(run[provision_device]["device_serial"])


def apply_again(run: Installation, reason: str) -> Route | None:
    """A CPE that lost or changed its settings gets them anew; one that goes on losing them needs a person."""
    return GoBack("apply_device", reason) if len(run.rounds["verify_device"]) <= REPAIRS else None


@step.keyed(
    undo=NothingToUndo("reading back changes nothing"),
    retry=READ_BACK,
    timeout_seconds=240,
    leads={"acs.device_drifted": apply_again},
)
async def verify_device(outside: Outside, run: Installation) -> VerifyOutcome:
    return require_verified(await outside.acs.verify(run[provision_device]["device_serial"]))


# -- the service -------------------------------------------------------------------------------------------------------


def right_session(run: Installation, seen: SessionSeen) -> Route:
    if f"{seen.nas_address}/{seen.session_id}" in run[see_open_sessions]["sessions"]:
        return KeepWaiting()
    wanted = run[allocate_resources]["ip_address"]
    if wanted and seen.framed_ip_address != wanted:
        return Hold(f"{seen.username} is online with {seen.framed_ip_address}, but {wanted} was allocated")
    return Proceed()


session_started = wait_for(
    "session_started",
    signal="session_started",
    payload=SessionSeen,
    says="the CPE is configured: waiting for the subscriber's own login",
    subject=lambda run: run[create_subscriber]["username"],
    deadline=lambda run: run.now + run.patience("session"),
    on_deadline=lambda run: Hold(
        f"{run[create_subscriber]['username']} has not logged in within {run.patience('session')} of the CPE's "
        "configuration: look at the NAS' log and the last RADIUS replies of this user. The testing window ends "
        f"{run[begin_testing]['testing_until']:%Y-%m-%d %H:%M} UTC; retry from begin_testing renews it"
    ),
    route=right_session,
)


async def stop_billing(services: Services, run: Installation, active: ActivatedService) -> None:
    await services.billing_service.stop_billing(
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


async def withdraw_email(services: Services, run: Installation, queued: QueuedEmail) -> None:
    await services.communications_service.withdraw_unsent_email(
        email_id=queued["email_id"], reason="the installation was undone"
    )


@step.transactional(undo=withdraw_email)
async def send_template_email(services: Services, run: Installation) -> QueuedEmail:
    customer = await services.customer_service.customer(run.customer_id)
    allocated = run[allocate_resources]
    return await services.communications_service.send_template_email(
        template="service_activated",
        recipient=customer["email"],
        variables={
            "customer_name": customer["name"],
            "plan": run.input.bandwidth_plan,
            "username": allocated["username"],
            "service_id": allocated["service_id"],
            "activated_at": run[activate_service]["billing_started_at"],
        },
        request_id=run.key(send_template_email),
    )


# The mail server may take minutes to look at what it was given (RFC 5321 s4.5.3.2).
@step.blind(
    undo=NothingToUndo("a delivered mail can't be taken back"), retry=RetryPolicy(attempts=12), timeout_seconds=420
)
async def deliver_email(outside: Outside, run: Installation) -> DeliveredEmail:
    return await outside.mail.deliver(run[send_template_email]["email_id"])


ISP_TICKET_TO_DEPLOYMENT = Definition(
    name="isp_ticket_to_deployment",
    version=1,
    input=InstallTicket,
    steps=(
        get_site_survey,
        allocate_resources,
        create_subscriber,
        project_subscriber,
        appointment,
        schedule_installation,
        visit,
        begin_testing,
        project_testing,
        authorise_line,
        see_open_sessions,
        hand_over_line,
        line_answer,
        confirm_port,
        provision_device,
        device_informed,
        apply_device,
        verify_device,
        session_started,
        activate_service,
        project_active,
        send_template_email,
        deliver_email,
    ),
    key=lambda ticket: f"ticket/{ticket.ticket_id}",
    customer_id=lambda ticket: ticket.customer_id,
    reopens={"appointment": (appointment, visit), "visit": (visit, activate_service)},
    back_with={
        "project_subscriber": create_subscriber,
        "project_testing": begin_testing,
        "hand_over_line": authorise_line,
        "apply_device": provision_device,
        "project_active": activate_service,
        "deliver_email": send_template_email,
    },
    patience={
        "visit": timedelta(days=14),
        "line": timedelta(hours=24),
        "inform": timedelta(hours=2),
        "session": timedelta(hours=1),
        "testing": timedelta(hours=24),
    },
)
