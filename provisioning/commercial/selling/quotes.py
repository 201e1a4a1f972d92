"""Quotes: what a customer is offered, on which terms, until when.

draft --> sent --> accepted        (``acceptance`` says how, and takes it back)
  |        |  `--> expired
  +--------+-----> withdrawn

Lines and total are written once, when the quote is drafted; whoever wants others withdraws it and drafts another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.errors import CustomerError
from provisioning.commercial.money import DECIMALS, read_currency
from provisioning.commercial.selling.offers import OfferCatalogue, OfferRecord
from provisioning.commercial.selling.quote_errors import QuoteChanged, QuoteExpired, QuoteNotOpen, QuoteUnknown
from provisioning.commercial.selling.quote_rows import (
    QuoteRecord,
    QuoteWithLines,
    add_quote,
    as_quote,
    change,
    digest_of,
    lock_quote,
    quote_of,
    quote_of_request,
    with_lines,
)
from provisioning.commercial.selling.selling_errors import OfferError
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.commercial.selling.sold_lines import LineWish, PricedLine, price_lines, total_of
from provisioning.errors import ChangeRaced, Fault, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import PaymentTerms, QuoteState

LONGEST_REASON = 500
WHAT = "The quote"
EXPIRED = "nobody accepted it in time"


class Quotes:
    """The ISP's quotes. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._offers = OfferCatalogue(db, tenant_id=tenant_id)

    async def draft(
        self,
        *,
        customer_id: int,
        lines: Sequence[LineWish],
        valid_until: datetime,
        payment_terms: PaymentTerms | None = None,
        currency: str | None = None,
        request_id: str | None = None,
    ) -> QuoteWithLines:
        """Write a quote at today's prices. Currency and terms of payment are the offers' where they agree and nothing
        else is said. The same request is one quote, whatever the prices are by then.

        Raises: InvalidRequest (all faults, offers that aren't sold included), CustomerUnknown, CustomerWithdrawn,
        RequestConflict, ChangeRaced.
        """
        faults = Faults(WHAT)
        customer = faults.number("customer_id", customer_id)
        until = faults.moment("valid_until", valid_until)
        request = faults.request_id(request_id)
        wish = {
            "customer_id": customer,
            "lines": [vars(line) for line in lines],
            "valid_until": until.timestamp() if until else None,
            "payment_terms": payment_terms,
            "currency": currency,
        }
        if (drafted := await self._drafted(request, wish)) is not None:
            return drafted
        self._find_over(until, faults)
        priced, terms = await self._priced(lines, payment_terms, currency, faults)
        try:
            if customer:
                await require_customer(self._db, self._tenant_id, customer)
        except CustomerError as error:
            if not faults.count:
                raise
            faults.add("customer_id", str(error))
        faults.refuse_if_any()
        return await self._insert(priced, wish, request, customer_id=customer, valid_until=until, **terms)

    async def faults_in(self, said: Mapping[str, Any]) -> tuple[Fault, ...]:
        """What is wrong with what is said for a draft, of which some may be missing; a line that is malformed is None.
        What the offers would have to say is asked only when all lines are there."""
        faults = Faults(WHAT)
        if "valid_until" in said:
            self._find_over(faults.moment("valid_until", said["valid_until"]), faults)
        lines = said.get("lines")
        if lines is not None and None not in lines:
            await self._priced(lines, said.get("payment_terms"), said.get("currency"), faults)
        elif lines is not None:
            price_lines(lines, await self._sold(lines, faults), faults)
        if "customer_id" in said and (customer := faults.number("customer_id", said["customer_id"])):
            try:
                await require_customer(self._db, self._tenant_id, customer)
            except CustomerError as error:
                faults.add("customer_id", str(error))
        return faults.all

    def _find_over(self, until: datetime | None, faults: Faults) -> None:
        if until is not None and until <= self._now():
            faults.add("valid_until", "is over already")

    async def _priced(
        self, lines: Sequence[LineWish], payment_terms: PaymentTerms | None, currency: str | None, faults: Faults
    ) -> tuple[list[PricedLine], dict[str, str]]:
        """The lines at today's prices, and on which terms; what can't be sold so is a fault."""
        offers = await self._sold(lines, faults)
        known = bool(lines) and all(line.offer_id is None or line.offer_id in offers for line in lines)
        terms: dict[str, str] = {
            "currency": _currency(currency, offers, known, faults),
            "payment_terms": _payment_terms(payment_terms, offers, known, faults),
        }
        priced = price_lines(lines, offers, faults)
        if terms["currency"] in DECIMALS:
            total_of(priced, terms["currency"], faults)
        return priced, terms

    async def send(self, *, quote_id: int, version: int | None = None) -> QuoteRecord:
        """The customer has it, and may accept it from now on. Sending twice is the same.

        Raises: QuoteUnknown, QuoteChanged (``version`` isn't the one that was looked at), QuoteNotOpen, QuoteExpired,
        CustomerWithdrawn.
        """
        row = await self._held(quote_id, version)
        if row.state == "sent":
            return as_quote(row)
        if row.state != "draft":
            raise QuoteNotOpen(quote_id, row.state, "sent", row.reason)
        if row.valid_until < self._now():
            raise QuoteExpired(quote_id, row.valid_until)
        await require_customer(self._db, self._tenant_id, row.customer_id)
        await change(self._db, row, state="sent", sent_at=self._now())
        return as_quote(row)

    async def withdraw(self, *, quote_id: int, reason: str, version: int | None = None) -> QuoteRecord:
        """Take back a quote that nobody has accepted. Withdrawing twice is the same: the first reason stands.

        Raises: InvalidRequest, QuoteUnknown, QuoteChanged, QuoteNotOpen (accepted, or expired).
        """
        faults = Faults("The withdrawal of the quote")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await self._held(quote_id, version)
        if row.state == "withdrawn":
            return as_quote(row)
        if row.state not in ("draft", "sent"):
            raise QuoteNotOpen(quote_id, row.state, "withdrawn", row.reason)
        await change(self._db, row, state="withdrawn", reason=why)
        return as_quote(row)

    async def expire_overdue(self) -> list[int]:
        """Ends every quote whose time is over; returns their numbers."""
        ended = await self._db.scalars(
            update(Quote)
            .where(
                Quote.tenant_id == self._tenant_id,
                Quote.state.in_(("draft", "sent")),
                Quote.valid_until < self._now(),
            )
            .values(state="expired", reason=EXPIRED, version=Quote.version + 1)
            .returning(Quote.id)
        )
        return sorted(ended)

    async def quote(self, quote_id: int) -> QuoteWithLines:
        """Raises: QuoteUnknown."""
        row = await self._db.scalar(quote_of(self._tenant_id, quote_id))
        if row is None:
            raise QuoteUnknown(quote_id)
        return await with_lines(self._db, row)

    async def quotes(
        self,
        *,
        state: QuoteState | None = None,
        customer_id: int | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[QuoteRecord]:
        """The newest first, a page at a time (``before_id``)."""
        query = select(Quote).where(Quote.tenant_id == self._tenant_id).order_by(Quote.id.desc()).limit(limit)
        if state is not None:
            query = query.where(Quote.state == state)
        if customer_id is not None:
            query = query.where(Quote.customer_id == customer_id)
        if before_id is not None:
            query = query.where(Quote.id < before_id)
        return [as_quote(row) for row in await self._db.scalars(query)]

    async def _insert(
        self, lines: Sequence[PricedLine], wish: dict[str, Any], request_id: str | None, **terms: Any
    ) -> QuoteWithLines:
        try:
            row = await add_quote(
                self._db,
                lines,
                tenant_id=self._tenant_id,
                kind="new",
                state="draft",
                drafted_at=self._now(),
                wish_digest=digest_of(wish),
                request_id=request_id,
                **terms,
            )
        except IntegrityError as exc:
            if (known := await self._drafted(request_id, wish)) is not None:
                return known
            raise ChangeRaced from exc
        return await with_lines(self._db, row)

    async def _held(self, quote_id: int, version: int | None) -> Quote:
        row = await lock_quote(self._db, self._tenant_id, quote_id)
        if version not in (None, row.version):
            raise QuoteChanged(quote_id, row.version, version)
        return row

    async def _drafted(self, request_id: str | None, wish: dict[str, Any]) -> QuoteWithLines | None:
        row = await quote_of_request(self._db, self._tenant_id, request_id)
        if row is None or request_id is None:
            return None
        if row.wish_digest != digest_of(wish):
            raise RequestConflict(request_id, f"quote {row.id}")
        return await with_lines(self._db, row)

    async def _sold(self, lines: Sequence[LineWish | None], faults: Faults) -> dict[int, OfferRecord]:
        """The offers that the lines name; those that aren't sold are faults."""
        offers: dict[int, OfferRecord] = {}
        for number, line in enumerate(lines):
            if line is None:
                continue
            offer_id = None if line.offer_id is None else faults.number(f"lines.{number}.offer_id", line.offer_id)
            if not offer_id or offer_id in offers:
                continue
            try:
                offers[offer_id] = await self._offers.sold(offer_id)
            except OfferError as error:
                faults.add(f"lines.{number}.offer_id", str(error).rstrip("."))
        return offers


def _currency(given: str | None, offers: dict[int, OfferRecord], known: bool, faults: Faults) -> str:
    """``known``: there are lines and every offer is; of one that isn't, nobody can say what it would have told."""
    currencies = {offer["currency"] for offer in offers.values()}
    if given is not None:
        currency = read_currency(faults, "currency", given)
        currencies.discard(currency)
        if currencies:
            faults.add("currency", f"is {currency}, but there are offers in {', '.join(sorted(currencies))}")
        return currency
    if len(currencies) == 1:
        return currencies.pop()
    if currencies:
        faults.add("currency", f"differs from offer to offer: {', '.join(sorted(currencies))}")
    elif known:
        faults.add("currency", "is missing")
    return ""


def _payment_terms(
    given: PaymentTerms | None, offers: dict[int, OfferRecord], known: bool, faults: Faults
) -> PaymentTerms:
    if given is not None:
        if given not in get_args(PaymentTerms):
            faults.add("payment_terms", f"is neither prepaid nor postpaid: {given}")
        return given
    terms = {offer["payment_terms"] for offer in offers.values()}
    if len(terms) != 1:
        if terms:
            faults.add("payment_terms", "differs from offer to offer: say which it is")
        elif known:
            faults.add("payment_terms", "is missing")
        return "prepaid"
    return terms.pop()
