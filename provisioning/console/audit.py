"""``/audit``: who has changed what, for whom and why. Who sees no money sees no amounts here either."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from provisioning.access import list_audit
from provisioning.amounts import entry_without_amounts
from provisioning.api import InCall
from provisioning.api.pages import LARGEST_RUN, After, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from provisioning.errors import Fault, InvalidRequest
from provisioning.sight import sees_money

ON_A_PAGE = 50

doors = ConsoleDoors(name="audit")

Word = Annotated[str, Query(max_length=200)]


@doors.page("/audit", permission="audit.read")
async def audit(
    call: InCall, actor: Word = "", subject: Word = "", customer: Word = "", run: Word = "", after: After = None
) -> Response:
    """Changes, the newest first."""
    found = await list_audit(
        call.db,
        tenant_id=call.tenant_id,
        actor=actor.strip() or None,
        subject=subject.strip() or None,
        customer_id=read_customer(customer),
        run_id=_read_run(run),
        before_id=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    if not sees_money(call.caller):
        found = [entry_without_amounts(entry) for entry in found]
    page = page_of(call, found, [entry.audit_id for entry in found], ON_A_PAGE)
    changes = [
        [(word, value) for word, value in told if value is not None]
        for told in ((("before", entry.before), ("after", entry.after)) for entry in page.items)
    ]
    return show(
        call,
        "audit.html.j2",
        "Audit",
        entries=list(zip(page.items, changes, strict=True)),
        next=page.next,
        wanted={"actor": actor, "subject": subject, "customer": customer, "run": run},
    )


def _read_run(text: str) -> int | None:
    """A run's number in a filter; None if nothing was typed. Raises: InvalidRequest."""
    typed = text.strip()
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit() and 0 < int(typed) <= LARGEST_RUN):
        raise InvalidRequest("The list", [Fault("run", f"is no run's number: {text}")])
    return int(typed)
