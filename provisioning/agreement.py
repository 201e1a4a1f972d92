"""What only the whole knows: whether what the packages have written down agrees with the journal of the runs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.tables import Mail
from provisioning.field import LIVE_STATES, Visit
from workflows import ENDED, RunState, StepState, keys_of_runs, runs_of_keys

MAIL_STEP = "send_template_email"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what about, and one plain sentence."""

    subject: str
    sentence: str


async def mails_not_one_per_run(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A completed run has written to its customer exactly once; no run has two mails that were or will be sent."""
    rounds = await keys_of_runs(db, tenant_id=tenant_id, step=MAIL_STEP)
    mails = await db.execute(
        select(Mail.request_id, Mail.id, Mail.state).where(Mail.tenant_id == tenant_id, Mail.state != "withdrawn")
    )
    kept = {request_id: (email_id, state) for request_id, email_id, state in mails}
    of_run: dict[int, list[tuple[int, str]]] = {}
    owing: dict[int, str] = {}
    for run_id, run_state, step_state, key in rounds:
        of_run.setdefault(run_id, [])
        if key in kept:
            of_run[run_id].append(kept[key])
        if run_state == RunState.COMPLETED and step_state == StepState.COMPLETED:
            owing[run_id] = run_state
    findings = []
    for run_id, its_mails in of_run.items():
        if len(its_mails) > 1:
            numbers = ", ".join(str(email_id) for email_id, _ in its_mails)
            findings.append(
                Finding(f"run {run_id}", f"Run {run_id} has written to its customer twice (mails {numbers}).")
            )
        elif run_id in owing and [state for _, state in its_mails] != ["sent"]:
            how = f"mail {its_mails[0][0]} is {its_mails[0][1]}" if its_mails else "its mail is gone"
            findings.append(Finding(f"run {run_id}", f"Run {run_id} is completed, but {how}."))
    return findings


async def visits_nobody_waits_for(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """No technician is kept for a run that has ended. Visits that no run has booked are dispatch's own."""
    found = await db.execute(
        select(Visit.id, Visit.technician_id, Visit.state, Visit.request_id)
        .where(Visit.tenant_id == tenant_id, Visit.state.in_(LIVE_STATES), Visit.request_id.is_not(None))
        .order_by(Visit.id)
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
