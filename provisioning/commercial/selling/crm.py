"""crm_service: what was found at the customer's place before anybody promises a line, and what they have agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.terms import LONGEST_TERM_MONTHS
from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.errors import SurveyMissing, SurveyNotFeasible
from provisioning.commercial.selling.acceptance import Acceptances
from provisioning.commercial.selling.quote_errors import QuoteUnknown
from provisioning.commercial.selling.quote_rows import QuoteRecord, quote_of
from provisioning.commercial.selling.renewal_quotes import RenewalQuotes
from provisioning.commercial.tables import SiteSurvey as SiteSurveyRow
from provisioning.days import UTC_DAYS
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import AcceptedQuote, QuoteStanding, RenewalQuote
from workflows.services import SiteSurvey, SurveyResult

LONGEST_NOTES = 2000
LONGEST_REASON = 500


class CrmService:
    """Keeps site surveys and what comes of quotes. Writes only ``db``; the caller commits.

    ``zone``: the ISP's, in which a renewal's last day is over.
    """

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo = UTC_DAYS) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._acceptances = Acceptances(db, tenant_id=tenant_id, now=now)
        self._renewals = RenewalQuotes(db, tenant_id=tenant_id, now=now, zone=zone)

    async def get_site_survey(self, *, customer_id: int, service_location: str | None = None) -> SiteSurvey:
        """The newest completed survey of this customer (at this premise), if it says that the place can be served.

        Raises: SurveyMissing, SurveyNotFeasible (with the surveyor's notes).
        """
        surveys = select(SiteSurveyRow).where(
            SiteSurveyRow.tenant_id == self._tenant_id, SiteSurveyRow.customer_id == customer_id
        )
        if service_location is not None:
            surveys = surveys.where(SiteSurveyRow.service_location == service_location)
        newest = surveys.order_by(SiteSurveyRow.surveyed_at.desc(), SiteSurveyRow.id.desc()).limit(1)
        row = await self._db.scalar(newest)
        if row is None:
            raise SurveyMissing(customer_id, service_location)
        if row.result != "feasible":
            raise SurveyNotFeasible(customer_id, row.service_location, row.surveyed_at, row.notes)
        return _survey(row)

    async def record_site_survey(
        self,
        *,
        customer_id: int,
        service_location: str,
        result: SurveyResult,
        surveyed_at: datetime,
        notes: str = "",
        request_id: str | None = None,
    ) -> SiteSurvey:
        """Keep what a completed survey found at ``service_location`` (a ``LOC-...`` id).

        Raises: InvalidRequest (all faults), CustomerUnknown, RequestConflict, ChangeRaced.
        """
        faults = Faults("The site survey")
        wanted = {
            "customer_id": faults.number("customer_id", customer_id),
            "service_location": faults.line("service_location", service_location),
            "result": result,
            "surveyed_at": faults.moment("surveyed_at", surveyed_at),
            "notes": faults.optional_line("notes", notes, longest=LONGEST_NOTES) or "",
        }
        if result not in get_args(SurveyResult):
            faults.add("result", f"is neither feasible nor not_feasible: {result}")
        if wanted["surveyed_at"] is not None and surveyed_at > self._now():
            faults.add("surveyed_at", "lies in the future; only completed surveys are recorded")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        await require_customer(self._db, self._tenant_id, customer_id)
        if (recorded := await self._recorded(request, wanted)) is not None:
            return recorded
        return await self._insert(request, wanted)

    async def site_surveys(
        self, *, customer_id: int, before_id: int | None = None, limit: int = 50
    ) -> list[SiteSurvey]:
        """This customer's surveys of any premise, the one that was recorded last first."""
        surveys = select(SiteSurveyRow).where(
            SiteSurveyRow.tenant_id == self._tenant_id, SiteSurveyRow.customer_id == customer_id
        )
        if before_id is not None:
            surveys = surveys.where(SiteSurveyRow.id < before_id)
        return [_survey(row) for row in await self._db.scalars(surveys.order_by(SiteSurveyRow.id.desc()).limit(limit))]

    async def accept_quote(self, *, quote_id: int, accepted_by: str, request_id: str | None = None) -> AcceptedQuote:
        """The customer says yes, in time, to a quote that was sent. Accepting twice is the same acceptance: who was
        first stands, also of two at once.

        Raises: InvalidRequest, QuoteUnknown, QuoteExpired, QuoteNotOpen (a draft, or withdrawn),
        QuoteAcceptanceWithdrawn (by this request, and taken back since), CustomerWithdrawn, RequestConflict,
        ChangeRaced.
        """
        faults = Faults("The acceptance")
        quote = faults.number("quote_id", quote_id)
        who = faults.line("accepted_by", accepted_by)
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        return await self._acceptances.accept(quote, who, request)

    async def withdraw_acceptance(self, *, quote_id: int, reason: str) -> QuoteRecord:
        """Undo of ``accept_quote``: the quote is open again, or expired if its time is over by now. Undoing twice is
        the same undo.

        Raises: InvalidRequest, QuoteUnknown, QuoteOrdered (its order comes first).
        """
        return await self._acceptances.take_back(quote_id, _reason("The withdrawal of the acceptance", reason))

    async def create_renewal_quote(
        self, *, customer_id: int, subscription_id: int, renewal_term: int, request_id: str | None = None
    ) -> RenewalQuote:
        """Offer to go on for ``renewal_term`` months from the end of the present term, at the subscription's price.
        The quote is open at once, to the end of that day. There is one for each end: the same again is it.

        Raises: InvalidRequest (all faults), CustomerUnknown, CustomerWithdrawn, SubscriptionUnknown,
        SubscriptionEnded, SubscriptionNotExtendable, RenewalQuoteOpen (on other terms, or accepted already),
        QuoteNotOpen or QuoteExpired (this request's quote is over), RequestConflict, ChangeRaced.
        """
        faults = Faults("The renewal quote")
        customer = faults.number("customer_id", customer_id)
        subscription = faults.number("subscription_id", subscription_id)
        months = faults.number("renewal_term", renewal_term)
        if months > LONGEST_TERM_MONTHS:
            faults.add("renewal_term", f"is more than {LONGEST_TERM_MONTHS} months")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        return await self._renewals.offer(customer, subscription, months, request)

    async def withdraw_renewal_quote(self, *, quote_id: int, reason: str) -> QuoteRecord:
        """Undo of ``create_renewal_quote``, whether it was accepted or not. Undoing twice is the same undo.

        Raises: InvalidRequest, QuoteUnknown, QuoteNotOpen (it is no renewal).
        """
        return await self._renewals.withdraw(quote_id, _reason("The withdrawal of the renewal quote", reason))

    async def quote_standing(self, *, quote_id: int) -> QuoteStanding:
        """Where the quote stands now, as its row says; whether its time is over is for whoever asks to see.

        Raises: QuoteUnknown.
        """
        row = await self._db.scalar(quote_of(self._tenant_id, quote_id))
        if row is None:
            raise QuoteUnknown(quote_id)
        return QuoteStanding(
            quote_id=row.id,
            state=row.state,
            accepted_at=row.accepted_at,
            accepted_by=row.accepted_by,
            reason=row.reason,
        )

    async def _insert(self, request_id: str | None, wanted: dict[str, object]) -> SiteSurvey:
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(SiteSurveyRow)
                    .values(tenant_id=self._tenant_id, request_id=request_id, **wanted)
                    .returning(SiteSurveyRow)
                )
        except IntegrityError as exc:
            if (recorded := await self._recorded(request_id, wanted)) is not None:
                return recorded
            raise ChangeRaced from exc
        assert row is not None
        return _survey(row)

    async def _recorded(self, request_id: str | None, wanted: dict[str, object]) -> SiteSurvey | None:
        if request_id is None:
            return None
        row = await self._db.scalar(
            select(SiteSurveyRow).where(
                SiteSurveyRow.tenant_id == self._tenant_id, SiteSurveyRow.request_id == request_id
            )
        )
        if row is None:
            return None
        if any(getattr(row, field) != value for field, value in wanted.items()):
            raise RequestConflict(request_id, f"site survey {row.id}")
        return _survey(row)


def _reason(what: str, reason: str) -> str:
    faults = Faults(what)
    why = faults.line("reason", reason, longest=LONGEST_REASON)
    faults.refuse_if_any()
    return why


def _survey(row: SiteSurveyRow) -> SiteSurvey:
    return SiteSurvey(
        survey_id=row.id,
        customer_id=row.customer_id,
        service_location=row.service_location,
        result=row.result,
        surveyed_at=row.surveyed_at,
        notes=row.notes,
    )
