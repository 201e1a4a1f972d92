"""The last mail, when all is done."""

from __future__ import annotations

from typing import Any

from workflows.definitions.mailing import Letter, mail_steps
from workflows.definitions.termination.ending import Leaving, end_service
from workflows.services import Services


async def service_terminated(services: Services, run: Leaving) -> Letter:
    customer = await services.customer_service.customer(run.customer_id)
    ended = run[end_service]
    variables: dict[str, Any] = {
        "customer_name": customer["name"],
        "plan": ended["plan"],
        "service_id": ended["service_id"],
        "ended_on": run.input.ends_on,
    }
    if ended["device_serials"]:
        variables["device_serial"] = ", ".join(ended["device_serials"])
    return Letter(
        template="service_terminated",
        recipient=customer["email"],
        language=customer["language"],
        variables=variables,
    )


send_template_email, deliver_email = mail_steps(service_terminated, undone_because=None)
