"""The end of a service's bill, on the day that was agreed and whatever the day on which it is written down."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.tables import Subscription
from provisioning.intake import Faults
from workflows.answers import EndedBilling

LONGEST_REASON = 500


async def end_bill(
    db: AsyncSession, tenant_id: str, *, service_id: int, ended_at: datetime, reason: str, now: datetime
) -> EndedBilling | None:
    """See ``BillingService.end_billing``."""
    faults = Faults("The end of a bill")
    faults.number("service_id", service_id)
    why = faults.line("reason", reason, longest=LONGEST_REASON)
    end = faults.moment("ended_at", ended_at)
    if end is not None and end > now:
        faults.add("ended_at", "lies ahead")
    faults.refuse_if_any()
    assert end is not None, "a moment that is none has left a fault"
    row = await db.scalar(
        select(Subscription)
        .where(
            Subscription.tenant_id == tenant_id, Subscription.service_id == service_id, Subscription.state == "active"
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        return None
    assert row.billing_started_at is not None, "an active subscription has its start, by constraint"
    stopped_at = max(end, row.billing_started_at)
    row.state, row.billing_stopped_at, row.stop_reason = "cancelled", stopped_at, why
    await db.flush()  # a later question in this transaction must find it ended
    return EndedBilling(
        subscription_id=row.id,
        service_id=service_id,
        customer_id=row.customer_id,
        billing_started_at=row.billing_started_at,
        billing_stopped_at=stopped_at,
        reason=why,
    )
