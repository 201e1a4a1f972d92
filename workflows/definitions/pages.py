"""A customer's page: given, taken away by an undo, and looked at from outside before anybody is told its address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from workflows.answers import ProvisionedTenant, TenantAnswer
from workflows.definitions.kit import step
from workflows.engine.run import Run
from workflows.engine.steps import Act, NothingToUndo, RetryPolicy
from workflows.services import Outside, Services

# About twenty minutes: a page that is not there yet comes with a restart of the web server, or needs a person.
PAGE_PATIENCE = RetryPolicy(attempts=10, first_delay_seconds=1.0, factor=3.0, longest_delay_seconds=300.0)


Provide = Callable[[Services, Run[Any]], Awaitable[ProvisionedTenant]]


def page_step(*, undone_because: str) -> Callable[[Provide], Act[Any, ProvisionedTenant]]:
    """A step that gives a customer a page; its undo takes the page away, with this reason."""

    async def withdraw_tenant(services: Services, run: Run[Any], page: ProvisionedTenant) -> None:
        await services.deployment_service.withdraw_tenant(deployment_id=page["deployment_id"], reason=undone_because)

    return step.transactional(undo=withdraw_tenant)


def page_answers(page: Act[Any, ProvisionedTenant]) -> Act[Any, TenantAnswer]:
    """The step ``tenant_answers``: the page that this step has given is asked for from outside, as a customer would."""

    async def tenant_answers(outside: Outside, run: Run[Any]) -> TenantAnswer:
        return await outside.tenants.answers(run[page]["tenant_url"])

    return step.keyed(undo=NothingToUndo("looking changes nothing"), retry=PAGE_PATIENCE, timeout_seconds=60)(
        tenant_answers
    )
