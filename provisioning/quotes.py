"""The door for acceptances: the customer's yes and what it sets going are one commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import CrmService, PublishEvent, QuoteAcceptedOtherwise, QuoteNotOpen
from provisioning.commercial.selling.selling_tables import Quote, SalesOrder
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Clock, Faults
from provisioning.order_wishes import WHAT, WishChecks, read_wishes
from workflows import EventConflict, Events, RunNotOpenFor, Runs, show_event
from workflows.answers import AcceptedQuote
from workflows.definitions.ordering import OrderWishes, acceptance_key
from workflows.services import Services

ACCEPTED = "quote.accepted"
SIGNAL = "quote_accepted"


class QuoteDesk:
    """Accepts quotes within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        crm: CrmService,
        runs: Runs,
        events: Events,
        publish: PublishEvent,
        tenant_id: str,
        checks: WishChecks,
        services: Services,
        now: Clock,
    ) -> None:
        self._db = db
        self._crm = crm
        self._runs = runs
        self._events = events
        self._publish = publish
        self._tenant_id = tenant_id
        self._checks = checks
        self._services = services
        self._now = now

    async def accept(
        self,
        *,
        quote_id: int,
        accepted_by: str,
        by: str,
        wishes: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> tuple[AcceptedQuote, list[int]]:
        """The customer says yes: a new quote's event starts its order; a renewal makes no order, but is told to the
        runs that wait for it, whose numbers are returned.

        Accepting what is accepted is the same acceptance, under the same key. A quote that is accepted once more after
        its acceptance was taken back has another one (``quote/7/accepted/2``), and so sets things going again.

        ``wishes`` (`OrderWishes`) say how the order is to be carried out, and go with the event.

        Raises: as ``CrmService.accept_quote``; QuoteNotOpen also if it renews what is to end; InvalidRequest with every
        fault, also if this makes no order, if the team that has to be told of it can't be, or if nobody can come at the
        time that is wished;
        QuoteAcceptedOtherwise if this acceptance was told without these wishes; EventConflict if another event has been
        started under its key.
        """
        faults = Faults(WHAT)
        wished = await self._read(faults, quote_id, {**(wishes or {}), "accepted_by": accepted_by})
        faults.refuse_if_any()
        wanted = wished.model_dump(mode="json", exclude_none=True)
        about = await self._runs.about(self._db, SIGNAL, str(quote_id))
        await self._runs.lock(self._db, about)
        if (leaving := await self.why_not_renewed(quote_id)) is not None:
            raise QuoteNotOpen(quote_id, "sent", "accepted", leaving.removesuffix("."))
        accepted = await self._crm.accept_quote(quote_id=quote_id, accepted_by=accepted_by, request_id=request_id)
        row = (
            await self._db.scalars(select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id))
        ).one()
        key = acceptance_key(quote_id, row.acceptances)
        data = {
            "quote_id": quote_id,
            "customer_id": accepted["customer_id"],
            "accepted_by": accepted["accepted_by"],
            "accepted_at": accepted["accepted_at"].isoformat(),
            "acceptance": row.acceptances,
        }
        if row.kind == "new":
            await self._publish_or_correct(quote_id, data, wanted, key=key, by=by)
            return accepted, []
        if wanted:
            why = f"are for an order, and quote {quote_id} renews subscription {row.subscription_id}"
            raise InvalidRequest(WHAT, [Fault("wishes", why)])
        return accepted, [run_id for run_id in about if await self._tell(run_id, quote_id, data, key=key, by=by)]

    async def why_not_renewed(self, quote_id: int) -> str | None:
        """Of an open quote, that what it renews has ended or is to end: who said yes would be neither charged nor
        renewed. None if nothing like that is known.
        """
        row = await self._db.scalar(select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id))
        if row is None or row.state != "sent" or row.subscription_id is None:
            return None
        found = await self._services.billing_service.check_renewal_eligibility(
            customer_id=row.customer_id, subscription_id=row.subscription_id
        )
        return found["reason"] if found["reason_code"] in ("cancelled", "to_be_ended") else None

    async def faults_in(self, quote_id: int, said: Mapping[str, Any]) -> tuple[Fault, ...]:
        """What is wrong with what is said of an acceptance, of which some may be missing."""
        faults = Faults(WHAT)
        await self._read(faults, quote_id, said)
        return faults.all

    async def _read(self, faults: Faults, quote_id: int, said: Mapping[str, Any]) -> OrderWishes:
        if "accepted_by" in said:
            faults.line("accepted_by", said["accepted_by"])
        wished = read_wishes(faults, {name: wish for name, wish in said.items() if name != "accepted_by"})
        await self._find_unmet(faults, quote_id, wished)
        return wished

    async def _find_unmet(self, faults: Faults, quote_id: int, wished: OrderWishes) -> None:
        """What can't be met of an order that would be made; whether there is one is for the acceptance to say. A yes
        that was given says the same later on, when its day is over."""
        row = await self._db.scalar(select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id))
        if row is None or row.kind != "new":
            return
        is_open = row.state == "sent" and row.valid_until >= self._now()
        if is_open:
            self._checks.find_time_fault(faults, wished)
        if is_open or row.state == "accepted":
            await self._checks.find_team_fault(faults, wished)

    async def _publish_or_correct(
        self, quote_id: int, data: dict[str, Any], wanted: dict[str, Any], *, key: str, by: str
    ) -> None:
        """Somebody may have told this acceptance before: with the customer's wishes, or before it was one."""
        subject, told = f"quote/{quote_id}", {**data, **wanted}
        try:
            await self._publish(self._db, ACCEPTED, subject, told, key, by)
        except EventConflict:
            same = ("quote_id", "acceptance", *wanted)
            try:
                await self._events.correct(self._db, key, ACCEPTED, subject=subject, data=told, by=by, same=same)
            except EventConflict as conflict:
                await self._refuse_other_wishes(conflict, data, wanted)
                raise

    async def _refuse_other_wishes(
        self, conflict: EventConflict, data: Mapping[str, Any], wanted: Mapping[str, Any]
    ) -> None:
        """Unless what stands in the way is no acceptance of this quote. Raises: QuoteAcceptedOtherwise."""
        said = (await show_event(self._db, conflict.event_id, tenant_id=self._tenant_id)).data
        quote_id = data["quote_id"]
        if isinstance(said, dict) and all(said.get(name) == data[name] for name in ("quote_id", "acceptance")):
            mine = select(SalesOrder.id).where(
                SalesOrder.tenant_id == self._tenant_id,
                SalesOrder.quote_id == quote_id,
                SalesOrder.state.not_in(("cancelled", "failed")),
            )
            order_id = await self._db.scalar(mine.order_by(SalesOrder.id.desc()).limit(1))
            others = {name: wish for name, wish in wanted.items() if said.get(name) != wish}
            raise QuoteAcceptedOtherwise(quote_id, others, said, order_id) from conflict

    async def _tell(self, run_id: int, quote_id: int, data: dict[str, Any], *, key: str, by: str) -> bool:
        """False if the run knows it already, or is undoing itself and listens no more."""
        try:
            return await self._runs.signal(self._db, run_id, SIGNAL, data, key=key, by=by, subject=str(quote_id))
        except RunNotOpenFor:
            return False
