"""The door for orders: an acceptance that is in force starts its order, in the way that this ISP carries orders out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling_tables import Quote
from provisioning.errors import ProvisioningError
from workflows import EventRefused, Runs
from workflows.services import CrmService

JOURNEY = "quote_accepted_to_order"


class OrderDesk:
    """Starts orders within the caller's transaction, which must be undone if an event is refused."""

    def __init__(self, db: AsyncSession, *, crm: CrmService, runs: Runs, tenant_id: str) -> None:
        self._db = db
        self._crm = crm
        self._runs = runs
        self._tenant_id = tenant_id

    async def begin(self, data: Any, *, unless_said: Mapping[str, Any], by: str) -> tuple[int, bool]:
        """The run of an acceptance, as its event tells it, and whether it is new: the same acceptance is the same run.

        ``unless_said`` is what holds for whatever the event doesn't say. A yes that only the event brings is kept here;
        one to a quote that is over, is a renewal or is somebody else's, or that was taken back since, starts nothing.

        Raises: EventRefused, InputRefused with every fault, RunConflict.
        """
        if not isinstance(data, dict):
            raise EventRefused("The event's data is no JSON object, so nothing says which quote was accepted.")
        run_id, is_new = await self._runs.start(self._db, JOURNEY, {**unless_said, **data}, by=by)
        quote_id = data["quote_id"]  # a number: the journey's input was refused otherwise
        try:
            await self._crm.accept_quote(quote_id=quote_id, accepted_by=data["accepted_by"])
        except ProvisioningError as refusal:
            raise EventRefused(str(refusal)) from refusal
        quote = await self._db.scalar(select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id))
        assert quote is not None, "it was accepted a moment ago"
        if quote.kind == "renewal":
            raise EventRefused(f"Quote {quote_id} renews subscription {quote.subscription_id} and makes no order.")
        if quote.customer_id != data["customer_id"]:
            raise EventRefused(f"Quote {quote_id} is not customer {data['customer_id']}'s.")
        if quote.acceptances != data["acceptance"]:
            raise EventRefused(
                f"Quote {quote_id} stands at its acceptance {quote.acceptances}, and this is its acceptance "
                f"{data['acceptance']}: nothing is ordered by it."
            )
        return run_id, is_new
