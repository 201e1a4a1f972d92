"""The journeys, one file each.

To add a journey: write its steps as functions (`installation/` shows all kinds), its `Definition` in a file of its
own (`isp_ticket_to_deployment.py`), and add that to `DEFINITIONS` below. A step names the earlier ones that it may send
the run back to (`again_from`) and the lengths of time that it asks for (`patience`); what the definition doesn't have
is refused at import. To change one that has open runs: give the changed definition the next version and keep the old
one in the table until its last run has ended; start-up refuses to go on without it.
"""

from __future__ import annotations

from typing import Any

from workflows.definitions.customer_renewal_process import CUSTOMER_RENEWAL_PROCESS
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT, ISP_TICKET_TO_DEPLOYMENT_1
from workflows.definitions.lead_to_customer_onboarding import LEAD_TO_CUSTOMER_ONBOARDING
from workflows.definitions.partner_customer_provisioning import PARTNER_CUSTOMER_PROVISIONING
from workflows.definitions.quote_accepted_to_order import QUOTE_ACCEPTED_TO_ORDER
from workflows.definitions.service_termination import SERVICE_TERMINATION
from workflows.engine.definition import Definition

__all__ = ["DEFINITIONS"]

DEFINITIONS: dict[tuple[str, int], Definition[Any]] = {
    (definition.name, definition.version): definition
    for definition in (
        ISP_TICKET_TO_DEPLOYMENT,
        ISP_TICKET_TO_DEPLOYMENT_1,
        LEAD_TO_CUSTOMER_ONBOARDING,
        QUOTE_ACCEPTED_TO_ORDER,
        PARTNER_CUSTOMER_PROVISIONING,
        CUSTOMER_RENEWAL_PROCESS,
        SERVICE_TERMINATION,
    )
}
