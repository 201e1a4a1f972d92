"""From an approved installation ticket to a live subscriber, in the order in which it happens in the field.

survey -> addresses and VLAN -> account (refused until a scan) -> appointment, and a mail about it -> visit -> line on
the OLT -> CPE configured and verified -> the subscriber's own login seen -> bill -> mail. A bill follows a working
line, and an ONT informs only after the OLT lets it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from workflows.definitions.installation.cpe import apply_device, device_informed, provision_device, verify_device
from workflows.definitions.installation.line import (
    authorise_line,
    begin_testing,
    confirm_port,
    hand_over_line,
    line_answer,
    project_testing,
    see_open_sessions,
)
from workflows.definitions.installation.resources import (
    allocate_resources,
    create_subscriber,
    get_site_survey,
    project_subscriber,
)
from workflows.definitions.installation.service import (
    activate_service,
    deliver_email,
    project_active,
    send_template_email,
    session_started,
)
from workflows.definitions.installation.ticket import InstallTicket
from workflows.definitions.installation.visit import (
    appointment,
    deliver_appointment,
    mail_appointment,
    schedule_installation,
    visit,
)
from workflows.engine.definition import Definition

ISP_TICKET_TO_DEPLOYMENT = Definition(
    name="isp_ticket_to_deployment",
    version=2,
    input=InstallTicket,
    steps=(
        get_site_survey,
        allocate_resources,
        create_subscriber,
        project_subscriber,
        appointment,
        schedule_installation,
        mail_appointment,
        deliver_appointment,
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
    started_by="ticket.installation_approved",
    reopens={"appointment": (appointment, visit), "visit": (visit, activate_service)},
    back_with={
        project_subscriber: create_subscriber,
        deliver_appointment: mail_appointment,
        project_testing: begin_testing,
        hand_over_line: authorise_line,
        apply_device: provision_device,
        project_active: activate_service,
        deliver_email: send_template_email,
    },
    patience={
        "visit": timedelta(days=14),
        "line": timedelta(hours=24),
        "inform": timedelta(hours=2),
        "session": timedelta(hours=1),
        "testing": timedelta(hours=24),
    },
)

# As it was before appointments were mailed; runs that began with it go on with it.
ISP_TICKET_TO_DEPLOYMENT_1 = replace(
    ISP_TICKET_TO_DEPLOYMENT,
    version=1,
    steps=tuple(step for step in ISP_TICKET_TO_DEPLOYMENT.steps if step not in (mail_appointment, deliver_appointment)),
    back_with={
        step: begun_with
        for step, begun_with in ISP_TICKET_TO_DEPLOYMENT.back_with.items()
        if step is not deliver_appointment
    },
)
