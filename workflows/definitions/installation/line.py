"""The line: the full plan for the time of the installation, and whoever drives the OLT lets the ONT in."""

from __future__ import annotations

from radius import ProjectedSubscriber
from workflows.definitions.installation.kit import Installation, step
from workflows.definitions.installation.resources import allocate_resources, create_subscriber
from workflows.definitions.installation.ticket import (
    LineRefusedLater,
    LineRemovalAwaited,
    LineRemovalUnconfirmed,
    OpenSessions,
    PortMismatch,
    TestingService,
    line_profile,
)
from workflows.definitions.installation.visit import serial, visit
from workflows.engine.step_kit import wait_for
from workflows.engine.steps import NothingToUndo
from workflows.services import (
    LineAnswer,
    LineOrder,
    Outside,
    Services,
)


async def end_testing(services: Services, run: Installation, testing: TestingService) -> None:
    await services.radius_service.return_to_pending(subscriber_id=testing["subscriber_id"])


@step.transactional(undo=end_testing, patience=("testing",))
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
    """The subscriber's sessions that are open before the line is: ghosts of an earlier CPE, never proof of this one."""
    sessions = await outside.sessions.open_of(run[create_subscriber]["subscriber_id"])
    return {"sessions": [f"{session.nas_address}/{session.session_id}" for session in sessions]}


async def take_line_off(outside: Outside, run: Installation, answer: LineAnswer | None) -> None:
    order = run[authorise_line]
    removal = await outside.line.withdraw(order["line_order_id"])
    if not removal["answered"] and removal["snippet"] is None:
        raise LineRemovalUnconfirmed(order["line_order_id"], order["device_serial"], order["access_node"])
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
    patience=("line",),
    when=lambda run: not run[hand_over_line]["answered"],
    otherwise="the OLT answered at once",
)


@step.transactional(undo=NothingToUndo("the comparison writes nothing"))
async def confirm_port(services: Services, run: Installation) -> LineAnswer:
    """The port the ONT came up at must be the one that was ordered: its S-VLAN and addresses belong to that port."""
    answer = run[line_answer] if run.done(line_answer) else run[hand_over_line]
    if "refusal" in answer:
        order = run[authorise_line]
        raise LineRefusedLater(order["device_serial"], order["access_node"], answer["refusal"])
    planned, actual = run[authorise_line]["port"], answer["actual_port"]
    if planned is not None and actual is not None and planned != actual:
        raise PortMismatch(serial(run), planned, actual)
    return answer
