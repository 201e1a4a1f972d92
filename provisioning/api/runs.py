"""``/runs``: start, look, and decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from workflows import RunState, RunSummary, list_runs

doors = Doors(prefix="/runs", tags=["runs"])


@doors.get("", permission="runs.read")
async def list_(
    call: InCall,
    state: Annotated[list[RunState] | None, Query(description="Only runs in these states")] = None,
    journey: Annotated[str | None, Query(max_length=100)] = None,
    customer: Wanted = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[RunSummary]:
    """Runs, the newest first: how each stands, for whom and why."""
    found = await list_runs(
        call.db,
        tenant_id=call.tenant_id,
        states=state or (),
        journey=journey,
        customer_id=customer,
        before_id=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [run.id for run in found], limit)
