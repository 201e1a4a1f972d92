"""What an installation is told: the ticket that starts it and the signals it waits for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from typing_extensions import TypedDict

from acs import is_serial
from workflows.definitions.input_types import FILLED, Frozen, Identifier, Line, Moment, Note, PositiveId, matching
from workflows.engine.run import Run
from workflows.errors import WorkflowError
from workflows.printable import PRINTABLE


def _fits_a_beacon(name: str) -> str:
    if len(name.encode()) > 32:
        raise ValueError(f"is {len(name.encode())} bytes long, and a WiFi name has at most 32 (IEEE 802.11)")
    return name


def _of_a_cpe(serial: str) -> str:
    """As it is spelt: some CPEs report their serial to the ACS in that very spelling."""
    if not is_serial(serial):
        raise ValueError(f"is {serial!r}, but must be a serial of 1 to 64 letters, digits and . _ ~ % -")
    return serial.strip()


Serial = Annotated[str, AfterValidator(_of_a_cpe)]
Ssid = Annotated[  # blanks around a name are a part of it
    str, FILLED, matching(PRINTABLE + "{1,32}", "a WiFi name of at most 32 bytes"), AfterValidator(_fits_a_beacon)
]


class Appointment(Frozen):
    """A technician and a time."""

    technician_id: PositiveId
    scheduled_date: Moment


class AgreedAppointment(Appointment):
    """A technician and a time that was agreed with the customer, or that their order's visit has already."""

    visit_id: PositiveId | None = Field(default=None, description="of the order's visit, to be joined as it stands")


class InstallTicket(Frozen):
    """An approved installation ticket. No secret is in it: passwords are generated and sealed on the way."""

    ticket_id: Identifier
    order_id: PositiveId | None = Field(default=None, description="whose visit is the installation's too")
    customer_id: PositiveId
    service_location: Identifier
    installation_address: Line
    bandwidth_plan: Identifier
    config_template: Identifier
    wifi_ssid: Ssid | None = None
    device_serial: Serial | None = Field(default=None, description="planned; what counts is the serial that is scanned")
    appointment: Appointment | None = Field(default=None, description="without one, dispatch makes the appointment")
    hold_until: Moment | None = Field(default=None, description="until when addresses are kept without a visit")
    subscriber_external_id: Identifier | None = Field(
        default=None,
        description="the ISP's own id of the subscriber",
        exclude_if=lambda said: said is None,  # a ticket of before there was one is the same ticket
    )

    def keep_until(self, run: Run[Any]) -> datetime:
        """Until when the resources are kept while no visit has succeeded."""
        return self.hold_until or run.started_at + run.patience("visit")


class VisitReport(Frozen):
    """What came of the visit."""

    outcome: Literal["scanned", "no_access", "not_feasible", "cancelled"]
    device_serial: Serial | None = None
    port: Identifier | None = None
    note: Note | None = None
    next_appointment: Appointment | None = None

    @model_validator(mode="after")
    def _scan_has_a_serial(self) -> VisitReport:
        if (self.outcome == "scanned") != (self.device_serial is not None):
            raise ValueError("a scan brings a serial, and nothing else does")
        return self


class DeviceInformed(Frozen):
    """The CPE has reported to the ACS since it was bound."""

    device_id: str
    informed_at: AwareDatetime


class SessionSeen(Frozen):
    """An Accounting-Start of the subscriber."""

    username: str
    framed_ip_address: str | None
    nas_address: str
    session_id: str
    started_at: AwareDatetime


class OpenSessions(TypedDict):
    """Sessions by NAS and session id."""

    sessions: list[str]


class TestingService(TypedDict):
    """The full plan for the time of the installation, without a bill."""

    subscriber_id: int
    testing_until: AwareDatetime


class PortMismatch(WorkflowError):
    """The ONT came up at another port than planned."""

    code = "installation.port_mismatch"

    def __init__(self, serial: str, planned: str, actual: str) -> None:
        super().__init__(
            f"ONT {serial} is at port {actual}, planned was {planned}: move the fibre and scan again (or retry from "
            "authorise_line), or correct the location's port and retry from allocate_resources; where that is refused, "
            "since the VLAN or addresses belong to the port, cancel this run, correct the port and file the ticket "
            "again under another id"
        )
        self.serial = serial
        self.planned = planned
        self.actual = actual


class LineRemovalAwaited(WorkflowError):
    """A person has to take the line off the OLT before the undo can go on."""

    code = "installation.line_removal_awaited"

    def __init__(self, line_order_id: int, serial: str, snippet: str | None) -> None:
        super().__init__(
            f"ONT {serial} has to be taken off the OLT by hand (line order {line_order_id}); then confirm with "
            f"`firstlight line removed {line_order_id}` and retry" + (f":\n{snippet}" if snippet else "")
        )
        self.line_order_id = line_order_id
        self.serial = serial


class LineRemovalUnconfirmed(WorkflowError):
    """Whoever drives the OLT has heard that a line is to be removed, and hasn't said yet that it is."""

    code = "installation.line_removal_unconfirmed"
    transient = True

    def __init__(self, line_order_id: int, serial: str, access_node: str) -> None:
        super().__init__(
            f"The system that drives {access_node} was asked to take ONT {serial} off (line order {line_order_id}) and "
            "hasn't confirmed that yet; when it does, the undo goes on by itself. If it never will, see that the ONT "
            f"is off, confirm with `firstlight line removed {line_order_id}` and retry"
        )
        self.line_order_id = line_order_id
        self.serial = serial


class LineRefusedLater(WorkflowError):
    """Whoever drives the OLT has taken the order for a line, and said no in the end."""

    code = "installation.line_refused"

    def __init__(self, serial: str, access_node: str, reason: str) -> None:
        super().__init__(f"{access_node} refused {serial}: {reason}; when the cause is gone, retry from authorise_line")
        self.serial = serial
        self.reason = reason


def line_profile(plan: str) -> str:
    """The OLT's line profile of a plan: by convention they carry one name."""
    return plan
