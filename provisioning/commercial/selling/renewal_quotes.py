"""Renewal quotes: one for each end of a subscription, at the subscription's own price.

What a renewal makes of that end is for whoever extends the subscription (``renewals``), once it is paid.
"""

from __future__ import annotations

from typing import Literal, cast
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.subscriptions import RenewalTerms, renewal_terms
from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.money import to_decimal
from provisioning.commercial.selling.offers import OfferCatalogue, OfferRecord
from provisioning.commercial.selling.quote_errors import QuoteExpired, QuoteNotOpen, RenewalQuoteOpen, SubscriptionEnded
from provisioning.commercial.selling.quote_rows import (
    QuoteRecord,
    add_quote,
    as_quote,
    change,
    digest_of,
    lock_quote,
    quote_of_request,
)
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.commercial.selling.sold_lines import PricedLine, total_of
from provisioning.days import UTC_DAYS, end_of
from provisioning.errors import ChangeRaced, Fault, InvalidRequest, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import RenewalQuote

WHAT = "The renewal quote"


class RenewalQuotes:
    """Offers renewals, for ``CrmService``. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo = UTC_DAYS) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone

    async def offer(self, customer_id: int, subscription_id: int, months: int, request_id: str | None) -> RenewalQuote:
        """Raises: as ``CrmService.create_renewal_quote``."""
        wish = {"customer_id": customer_id, "subscription_id": subscription_id, "renewal_term": months}
        if (offered := await self._requested(request_id, wish)) is not None:
            return offered
        await require_customer(self._db, self._tenant_id, customer_id)
        terms = await renewal_terms(self._db, self._tenant_id, subscription_id)
        if terms.customer_id != customer_id:
            stranger = Fault("customer_id", f"{customer_id} is not the customer of subscription {subscription_id}")
            raise InvalidRequest(WHAT, [stranger])
        until = end_of(terms.ends_on, self._zone)  # it can be accepted as long as there is something to go on with
        if until <= self._now():
            raise SubscriptionEnded(subscription_id, terms.ends_on.isoformat())
        offer = await OfferCatalogue(self._db, tenant_id=self._tenant_id).find(terms.offer_id)
        line = _line(offer, terms, months)
        if (offered := await self._open(subscription_id, terms, line, months)) is not None:
            return offered
        facts = {
            "tenant_id": self._tenant_id,
            "customer_id": customer_id,
            "kind": "renewal",
            "subscription_id": subscription_id,
            "renewal_term_months": months,
            "renews_from": terms.ends_on,
            "currency": terms.currency,
            "payment_terms": offer["payment_terms"],
            "valid_until": until,
            "state": "sent",
            "drafted_at": self._now(),
            "sent_at": self._now(),
            "wish_digest": digest_of(wish),
            "request_id": request_id,
        }
        try:
            return _answer(await add_quote(self._db, [line], **facts))
        except IntegrityError as exc:
            if (offered := await self._requested(request_id, wish)) is not None:
                return offered
            if (offered := await self._open(subscription_id, terms, line, months)) is not None:
                return offered
            raise ChangeRaced from exc

    async def withdraw(self, quote_id: int, reason: str) -> QuoteRecord:
        """Raises: as ``CrmService.withdraw_renewal_quote``."""
        row = await lock_quote(self._db, self._tenant_id, quote_id)
        if row.kind != "renewal":
            raise QuoteNotOpen(quote_id, "no renewal", "withdrawn as one")
        if row.state in ("sent", "accepted"):
            await change(self._db, row, state="withdrawn", accepted_at=None, accepted_by=None, reason=reason)
        return as_quote(row)

    async def _requested(self, request_id: str | None, wish: dict[str, int]) -> RenewalQuote | None:
        row = await quote_of_request(self._db, self._tenant_id, request_id)
        if row is None or request_id is None:
            return None
        if row.wish_digest != digest_of(wish):
            raise RequestConflict(request_id, f"quote {row.id}")
        if row.state == "expired":
            raise QuoteExpired(row.id, row.valid_until)
        if row.state not in ("sent", "accepted"):
            raise QuoteNotOpen(row.id, row.state, "offered again by the same request", row.reason)
        return _answer(row)

    async def _open(
        self, subscription_id: int, terms: RenewalTerms, line: PricedLine, months: int
    ) -> RenewalQuote | None:
        """The open quote for this end, if it says the same."""
        row = await self._db.scalar(
            select(Quote)
            .where(
                Quote.tenant_id == self._tenant_id,
                Quote.kind == "renewal",
                Quote.subscription_id == subscription_id,
                Quote.renews_from == terms.ends_on,
                Quote.state.in_(("draft", "sent", "accepted")),
            )
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        same = (row.renewal_term_months, row.total_minor, row.currency) == (months, line.amount_minor, terms.currency)
        if not same or row.state != "sent":
            raise RenewalQuoteOpen(row.id, subscription_id, row.state)
        return _answer(row)


def _line(offer: OfferRecord, terms: RenewalTerms, months: int) -> PricedLine:
    """So many billing periods at the subscription's price.

    Raises: InvalidRequest if the term is no whole number of them, or comes to more than any bill.
    """
    faults = Faults(WHAT)
    period = offer["billing_period_months"]
    if months % period:
        faults.add("renewal_term", f"of {months} months is no multiple of the billing period of {period} months")
    line = PricedLine(offer["offer_id"], offer["title"], max(months // period, 1), terms.price_minor, "recurring")
    total_of([line], terms.currency, faults)
    faults.refuse_if_any()
    return line


def _answer(row: Quote) -> RenewalQuote:
    assert row.subscription_id is not None and row.renewal_term_months is not None, "a renewal has both, by constraint"
    return RenewalQuote(
        quote_id=row.id,
        customer_id=row.customer_id,
        subscription_id=row.subscription_id,
        renewal_term_months=row.renewal_term_months,
        total_amount=to_decimal(row.total_minor, row.currency),
        total_minor=row.total_minor,
        currency=row.currency,
        payment_terms=row.payment_terms,
        valid_until=row.valid_until,
        state=cast(Literal["sent", "accepted"], row.state),
    )
