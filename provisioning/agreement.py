"""What only the whole knows: whether what the packages have written down agrees with the journal of the runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling.selling_tables import ENDED_ORDERS, Quote, SalesOrder
from provisioning.commercial.tables import Mail
from provisioning.field import LIVE_STATES, Visit, VisitBooking
from provisioning.orders import JOURNEY as ORDER_JOURNEY
from workflows import (
    ENDED,
    BegunRound,
    Definition,
    RunState,
    StepState,
    begun_rounds,
    mail_step_names,
    runs_of_keys,
    set_going,
)
from workflows.definitions.ordering import acceptance_key


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what about, and one plain sentence."""

    subject: str
    sentence: str


async def mails_not_as_their_runs(
    db: AsyncSession, *, tenant_id: str, definitions: Mapping[tuple[str, int], Definition[Any]]
) -> list[Finding]:
    """A step that writes a mail has one that counts, however often it was done anew: rounds that were undone don't.
    What a completed run has written, it has sent."""
    steps = mail_step_names(definitions.values())
    mails = await db.execute(
        select(Mail.request_id, Mail.id, Mail.state).where(Mail.tenant_id == tenant_id, Mail.state != "withdrawn")
    )
    kept = {request_id: (email_id, state) for request_id, email_id, state in mails}
    standing: dict[tuple[int, str], list[BegunRound]] = {}
    for one in await begun_rounds(db, tenant_id=tenant_id, steps=steps):
        if one.state != StepState.UNDONE:
            standing.setdefault((one.run_id, one.step), []).append(one)
    found = []
    for (run_id, step), rounds in standing.items():
        its_mails = [kept[one.key] for one in rounds if one.key in kept]
        is_owed = any(one.run_state == RunState.COMPLETED and one.state == StepState.COMPLETED for one in rounds)
        if len(its_mails) > 1:
            numbers = ", ".join(str(email_id) for email_id, _ in its_mails)
            found.append((run_id, f"has written to its customer twice in {step} (mails {numbers})."))
        elif is_owed and not its_mails:
            found.append((run_id, f"is completed, but its mail of {step} is gone."))
        elif is_owed and its_mails[0][1] != "sent":
            found.append((run_id, f"is completed, but mail {its_mails[0][0]} of {step} is {its_mails[0][1]}."))
    return [Finding(f"run {run_id}", f"Run {run_id} {sentence}") for run_id, sentence in found]


async def visits_nobody_waits_for(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """No technician is kept for a run that has ended. Visits that no run has booked are dispatch's own."""
    found = await db.execute(
        select(Visit.id, Visit.technician_id, Visit.state, VisitBooking.request_id)
        .join(VisitBooking, VisitBooking.visit_id == Visit.id)
        .where(
            Visit.tenant_id == tenant_id,
            Visit.state.in_(LIVE_STATES),
            VisitBooking.released_at.is_(None),
            VisitBooking.request_id.is_not(None),
        )
        .order_by(Visit.id, VisitBooking.id)
    )
    visits = found.all()
    runs = await runs_of_keys(db, tenant_id=tenant_id, keys=[str(visit.request_id) for visit in visits])
    return [
        Finding(
            f"visit {visit.id}",
            f"Visit {visit.id} keeps technician {visit.technician_id} ({visit.state}), but run {runs[key][0]}, which"
            f" booked it, is {runs[key][1]}.",
        )
        for visit in visits
        if (key := str(visit.request_id)) in runs and runs[key][1] in ENDED - {RunState.PARTIAL}
    ]


async def acceptances_nobody_carries_out(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """What a customer has accepted is ordered, in the hands of a run, or about to be."""
    ordered = exists().where(SalesOrder.quote_id == Quote.id, SalesOrder.state.not_in(ENDED_ORDERS))
    found = await db.execute(
        select(Quote.id, Quote.acceptances)
        .where(Quote.tenant_id == tenant_id, Quote.state == "accepted", Quote.kind == "new", ~ordered)
        .order_by(Quote.id)
    )
    quotes = {acceptance_key(quote_id, acceptance): quote_id for quote_id, acceptance in found}
    subjects = {key: f"quote/{quote_id}" for key, quote_id in quotes.items()}
    going = await set_going(db, tenant_id=tenant_id, journey=ORDER_JOURNEY, subjects_by_key=subjects)
    return [
        Finding(
            f"quote {quote_id}",
            f"Quote {quote_id} is accepted, but there is no order, no run and no event to make one.",
        )
        for key, quote_id in quotes.items()
        if key not in going
    ]
