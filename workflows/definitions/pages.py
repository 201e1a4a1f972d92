"""A customer's page: whoever gave it looks whether it answers, before anybody is told its address."""

from __future__ import annotations

from typing import Any

from workflows.answers import ProvisionedTenant, TenantAnswer
from workflows.definitions.kit import step
from workflows.engine.run import Run
from workflows.engine.steps import Act, NothingToUndo, RetryPolicy
from workflows.services import Outside

# About twenty minutes: a page that is not there yet comes with a restart of the web server, or needs a person.
PAGE_PATIENCE = RetryPolicy(attempts=10, first_delay_seconds=1.0, factor=3.0, longest_delay_seconds=300.0)


def page_answers(page: Act[Any, ProvisionedTenant]) -> Act[Any, TenantAnswer]:
    """The step ``tenant_answers``: the page that this step has given is asked for from outside, as a customer would."""

    async def tenant_answers(outside: Outside, run: Run[Any]) -> TenantAnswer:
        return await outside.tenants.answers(run[page]["tenant_url"])

    return step.keyed(undo=NothingToUndo("looking changes nothing"), retry=PAGE_PATIENCE, timeout_seconds=60)(
        tenant_answers
    )
