"""The door for terms that end soon: what is told of one must be true of it, and only then becomes its renewal.

Whether it may be renewed is the journey's question: what speaks against that ends the run with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import OfferCatalogue, SubscriptionUnknown
from provisioning.commercial.bills.expiry import RENEWAL
from provisioning.commercial.bills.subscriptions import SubscriptionView, show_subscription
from provisioning.intake import Faults, faults_of
from provisioning.rounds import due_round
from workflows import Runs, sound_parts
from workflows.definitions.renewal import ExpiringSubscription, key_of_end


class RenewalDesk:
    """Starts renewals within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, runs: Runs, offers: OfferCatalogue, tenant_id: str) -> None:
        self._db = db
        self._runs = runs
        self._offers = offers
        self._tenant_id = tenant_id

    async def expiring(self, data: Any, *, by: str) -> tuple[int, bool]:
        """The run that renews a term, and whether it is new. ``data``: `ExpiringSubscription`; told again, whatever is
        now, it is the same run.

        Raises: InvalidRequest with all faults at once, before anything is written: no such subscription, another
        customer's, an end that it has not, months that are no whole billing periods, a try that is not due; RunConflict
        if another renewal was told of under this end and number.
        """
        faults, wanted = Faults("The renewal"), None
        try:
            wanted = ExpiringSubscription.model_validate(data)
            sound: Mapping[str, Any] = wanted.model_dump()
        except ValidationError as error:
            faults.add_all(faults_of(error, whole="renewal"))
            sound = sound_parts(data, error)
        if wanted is not None:
            key = key_of_end(wanted.subscription_id, wanted.ends_on, wanted.number)
            if await self._runs.find(self._db, RENEWAL, key) is not None:
                return await self._runs.start(self._db, RENEWAL, wanted, by=by)
            await self._find_early_number(faults, wanted)
        await self._find_misfits(faults, sound)
        faults.refuse_if_any()
        assert wanted is not None, "what is malformed has left a fault"
        return await self._runs.start(self._db, RENEWAL, wanted, by=by)

    async def _find_early_number(self, faults: Faults, wanted: ExpiringSubscription) -> None:
        key_of = partial(key_of_end, wanted.subscription_id, wanted.ends_on)
        due = await due_round(self._db, tenant_id=self._tenant_id, journey=RENEWAL, key_of=key_of)
        if wanted.number > due:
            faults.add("number", f"is {wanted.number}, and of this end renewal {due} is due")

    async def _find_misfits(self, faults: Faults, sound: Mapping[str, Any]) -> None:
        """Of well formed parts, what is not so of the subscription."""
        number = sound.get("subscription_id")
        if number is None:
            return
        try:
            known = await show_subscription(self._db, number, tenant_id=self._tenant_id)
        except SubscriptionUnknown as error:
            faults.add("subscription_id", str(error))
            return
        name = f"subscription {number}"
        customer_id, ends_on = sound.get("customer_id"), sound.get("ends_on")
        if customer_id not in (None, known.customer_id):
            faults.add("customer_id", f"is {customer_id}, and {name} is customer {known.customer_id}'s")
        if known.ends_on is not None and ends_on is not None and str(ends_on) != str(known.ends_on):
            faults.add("ends_on", f"is {ends_on}, and {name} ends on {known.ends_on}")
        if (months := sound.get("renewal_term_months")) is not None:
            await self._find_broken_period(faults, known, months)

    async def _find_broken_period(self, faults: Faults, known: SubscriptionView, months: int) -> None:
        if known.offer_id is None:
            return
        period = (await self._offers.find(known.offer_id))["billing_period_months"]
        if months % period:
            words = f"is {months}, and subscription {known.subscription_id} is paid for {period} months at a time"
            faults.add("renewal_term_months", words)
