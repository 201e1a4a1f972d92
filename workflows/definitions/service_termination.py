"""From the wish that a service ends to nothing that is left of it, in the order in which nothing can be lost.

its day -> bill and account end in one commit, and there is no return -> FreeRADIUS lets nobody in -> the session is
ended -> the CPE is unbound and reset, while its line still carries it -> the line is taken off the OLT -> accounting
shows nobody online -> addresses and VLAN into quarantine -> the last mail. Until its day nothing has happened, and a
cancel leaves everything as it was.
"""

from __future__ import annotations

from datetime import timedelta

from workflows.definitions.termination import Termination
from workflows.definitions.termination.cpe import release_devices, request_resets, see_resets, ticket_for_cpe
from workflows.definitions.termination.ending import end_service, until_its_day
from workflows.definitions.termination.farewell import deliver_email, send_template_email
from workflows.definitions.termination.line import line_removed, release_resources, take_line_off
from workflows.definitions.termination.sessions import disconnect_sessions, remove_from_radius, see_sessions_ended
from workflows.engine.definition import Definition

SERVICE_TERMINATION = Definition(
    name="service_termination",
    version=1,
    input=Termination,
    steps=(
        until_its_day,
        end_service,
        remove_from_radius,
        disconnect_sessions,
        release_devices,
        request_resets,
        see_resets,
        take_line_off,
        line_removed,
        see_sessions_ended,
        release_resources,
        send_template_email,
        deliver_email,
        ticket_for_cpe,
    ),
    key=lambda termination: f"service/{termination.service_id}/termination/{termination.number}",
    customer_id=lambda termination: termination.customer_id,
    started_by="service.termination_requested",
    no_return=end_service,
    patience={"reset": timedelta(hours=24), "line": timedelta(hours=24)},
)
