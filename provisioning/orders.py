"""The door for orders: an acceptance that is in force starts its order, in the way that this ISP carries orders out.

While an order is not paid, the customer may choose another way to pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.payments.tables import Payment
from provisioning.commercial.selling.quote_errors import OrderOver, OrderUnknown
from provisioning.commercial.selling.selling_tables import Quote, SalesOrder
from provisioning.errors import Fault, InvalidRequest, ProvisioningError
from provisioning.intake import Faults, faults_of
from provisioning.order_wishes import WHAT, WishChecks, sound_wishes
from workflows import EventRefused, Runs, sound_parts
from workflows.answers import PaymentMethod
from workflows.definitions.ordering import AcceptedOffer, acceptance_key
from workflows.services import CrmService

JOURNEY = "quote_accepted_to_order"
SIGNAL = "payment_method"


class OrderDesk:
    """Starts orders within the caller's transaction, which must be undone if an event is refused; and says how they are
    paid."""

    def __init__(self, db: AsyncSession, *, crm: CrmService, runs: Runs, checks: WishChecks, tenant_id: str) -> None:
        self._db = db
        self._checks = checks
        self._crm = crm
        self._runs = runs
        self._tenant_id = tenant_id

    async def begin(self, data: Any, *, unless_said: Mapping[str, Any], by: str) -> tuple[int, bool]:
        """The run of an acceptance, as its event tells it, and whether it is new: the same acceptance is the same run.

        ``unless_said`` is what holds for whatever the event doesn't say. A yes that only the event brings is kept here;
        one to a quote that is over, is a renewal or is somebody else's, or that was taken back since, starts
        nothing; nor does any while the team that has to be told of it can't be, or nobody can come at its time.

        Raises: InvalidRequest with every fault, EventRefused, RunConflict.
        """
        if not isinstance(data, dict):
            raise EventRefused("The event's data is no JSON object, so nothing says which quote was accepted.")
        offer = await self._read({**unless_said, **data})
        quote_id = offer.quote_id
        run_id, is_new = await self._runs.start(self._db, JOURNEY, offer, by=by)
        try:
            await self._crm.accept_quote(quote_id=quote_id, accepted_by=offer.accepted_by)
        except ProvisioningError as refusal:
            raise EventRefused(str(refusal)) from refusal
        quote = await self._quote(quote_id)
        assert quote is not None, "it was accepted a moment ago"
        if quote.kind == "renewal":
            raise EventRefused(f"Quote {quote_id} renews subscription {quote.subscription_id} and makes no order.")
        if quote.acceptances != data["acceptance"]:
            raise EventRefused(
                f"Quote {quote_id} stands at its acceptance {quote.acceptances}, and this is its acceptance "
                f"{offer.acceptance}: nothing is ordered by it."
            )
        return run_id, is_new

    async def _read(self, wanted: Mapping[str, Any]) -> AcceptedOffer:
        """What an event tells, if it can be meant; one that is told again is its run, whatever is now.

        Raises: InvalidRequest with every fault.
        """
        faults, offer, sound = Faults(WHAT), None, wanted
        try:
            offer = AcceptedOffer.model_validate(wanted)
        except ValidationError as error:
            faults.add_all(faults_of(error, whole="team"))
            sound = sound_parts(dict(wanted), error)
        if offer is not None:
            key = acceptance_key(offer.quote_id, offer.acceptance)
            if await self._runs.find(self._db, JOURNEY, key) is not None:
                return offer
        await self._find_misfits(faults, sound)
        faults.refuse_if_any()
        assert offer is not None, "what is malformed has left a fault"
        return offer

    async def _find_misfits(self, faults: Faults, sound: Mapping[str, Any]) -> None:
        """Of well formed parts, what is not so here."""
        quote_id, customer_id, wishes = sound.get("quote_id"), sound.get("customer_id"), sound_wishes(sound)
        quote = None if quote_id is None else await self._quote(quote_id)
        if quote_id is not None and quote is None:
            faults.add("quote_id", f"There is no quote {quote_id}.")
        if quote is not None and customer_id not in (None, quote.customer_id):
            faults.add("customer_id", f"Quote {quote_id} is not customer {customer_id}'s.")
        if quote is None or quote.state != "accepted":  # a yes that was given holds, also when its day is over by now
            self._checks.find_time_fault(faults, wishes)
        await self._checks.find_team_fault(faults, wishes)

    async def _quote(self, quote_id: int) -> Quote | None:
        found: Quote | None = await self._db.scalar(
            select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id)
        )
        return found

    async def pay_by(self, order_id: int, method: PaymentMethod, *, key: str, by: str) -> tuple[SalesOrder, int]:
        """Tells the run that carries an order out how it is paid; the same ``key`` is the same word.

        Returns the order and that run's number.

        Raises: OrderUnknown; OrderOver once it is paid, also if its run has yet to hear so, or over; InvalidRequest if
        it is paid afterwards or no run carries it out; RunNotOpenFor.
        """
        run_id = await self._run_of(order_id)
        await self._runs.lock(self._db, [run_id])
        order = await self._order(order_id)
        if order.state != "acknowledged":
            raise OrderOver(order_id, order.state, f"paid by {method}")
        if await self._is_paid(order_id):  # the run would give it back, though nobody has asked for that
            raise OrderOver(order_id, "paid", f"paid by {method}")
        if order.payment_terms != "prepaid" or order.total_minor == 0:
            why = f"can't be chosen: order {order_id} is not paid in advance"
            raise InvalidRequest("The way to pay", [Fault("payment_method", why)])
        told = {"payment_method": method}
        await self._runs.signal(self._db, run_id, SIGNAL, told, key=f"order/{order_id}/paid-by/{key}", by=by)
        return order, run_id

    async def times_told(self, order_id: int, *, hold: bool = False) -> int:
        """How often it was said how this order is paid. ``hold``: nobody says so until the transaction ends.

        Raises: OrderUnknown.
        """
        run_id = await self._find_run(order_id)
        if run_id is None:
            return 0
        if hold:
            await self._runs.lock(self._db, [run_id])
        return await self._runs.times_told(self._db, run_id, SIGNAL)

    async def _find_run(self, order_id: int) -> int | None:
        """The run of the quote's acceptance that stands now, whose order this is unless it is over."""
        order = await self._order(order_id)
        quote = await self._db.get_one(Quote, order.quote_id)
        return await self._runs.find(self._db, JOURNEY, acceptance_key(order.quote_id, quote.acceptances))

    async def _run_of(self, order_id: int) -> int:
        run_id = await self._find_run(order_id)
        if run_id is None:
            raise InvalidRequest(
                "The way to pay", [Fault("order_id", f"names order {order_id}, which no run carries out")]
            )
        return run_id

    async def _is_paid(self, order_id: int) -> bool:
        mine = select(Payment.id).where(Payment.tenant_id == self._tenant_id, Payment.order_id == order_id)
        return await self._db.scalar(mine.where(Payment.state == "captured").limit(1)) is not None

    async def _order(self, order_id: int) -> SalesOrder:
        """As it stands now."""
        order = await self._db.scalar(
            select(SalesOrder)
            .where(SalesOrder.tenant_id == self._tenant_id, SalesOrder.id == order_id)
            .execution_options(populate_existing=True)
        )
        if order is None:
            raise OrderUnknown(order_id)
        return order
