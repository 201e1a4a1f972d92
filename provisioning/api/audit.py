"""``/audit``: who has changed what, for whom and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.access import AuditView, list_audit
from provisioning.amounts import entry_without_amounts
from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.sight import sees_money

doors = Doors(prefix="/audit", tags=["audit"])


@doors.get("", permission="audit.read")
async def list_(
    call: InCall,
    subject: Annotated[str | None, Query(max_length=200, description="What was changed, as `run/7`")] = None,
    customer: Wanted = None,
    run: Wanted = None,
    actor: Annotated[str | None, Query(max_length=200)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[AuditView]:
    """Changes, the newest first. Who sees no money sees no amounts in them; they are kept whole."""
    found = await list_audit(
        call.db,
        tenant_id=call.tenant_id,
        subject=subject,
        customer_id=customer,
        run_id=run,
        actor=actor,
        before_id=row_of(after),
        limit=limit + 1,
    )
    if not sees_money(call.caller):
        found = [entry_without_amounts(entry) for entry in found]
    return page_of(call, found, [entry.audit_id for entry in found], limit)
