"""The commercial catalogue: what the ISP sells, at which price, for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.bills.terms import LONGEST_TERM_MONTHS
from provisioning.commercial.money import read_currency, read_minor
from provisioning.commercial.selling.selling_errors import OfferConflict, OfferNotSold, OfferUnknown
from provisioning.commercial.selling.selling_tables import Offer
from provisioning.errors import ChangeRaced
from provisioning.intake import Faults
from workflows.answers import PaymentTerms

FOR_EVER = ("plan", "currency")  # what customers have been sold under this number


@dataclass(frozen=True)
class OfferTerms:
    """What an offer says. ``price_minor`` is due per billing period, the setup fee once; ``plan`` names the network
    and RADIUS plan that is sold, None: no network service."""

    title: str
    price_minor: int
    currency: str
    term_months: int
    payment_terms: PaymentTerms
    plan: str | None = None
    billing_period_months: int = 1
    setup_fee_minor: int = 0
    license_template_id: int | None = None
    active: bool = True


class OfferRecord(TypedDict):
    offer_id: int
    title: str
    plan: str | None
    price_minor: int
    currency: str
    billing_period_months: int
    setup_fee_minor: int
    term_months: int
    license_template_id: int | None
    payment_terms: PaymentTerms
    active: bool


class OfferCatalogue:
    """The ISP's offers. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def define(self, offer_id: int, terms: OfferTerms) -> OfferRecord:
        """Make an offer under the ISP's number, or bring it to these terms; what was quoted and sold stays as it was.

        Raises: InvalidRequest (all faults), OfferConflict (another plan or currency under the same number),
        ChangeRaced.
        """
        faults = Faults("The offer")
        number = faults.number("offer_id", offer_id)
        wanted = _read(terms, faults)
        faults.refuse_if_any()
        row = await self._db.get(Offer, (self._tenant_id, number), populate_existing=True)
        if row is None:
            try:
                async with self._db.begin_nested():
                    row = await self._db.scalar(
                        insert(Offer).values(tenant_id=self._tenant_id, id=number, **vars(wanted)).returning(Offer)
                    )
            except IntegrityError as exc:
                raise ChangeRaced from exc
        assert row is not None
        if differing := [field for field in FOR_EVER if getattr(row, field) != getattr(wanted, field)]:
            raise OfferConflict(number, differing)
        for field, value in vars(wanted).items():
            setattr(row, field, value)
        await self._db.flush()  # a later question in this transaction must find it as defined
        return _record(row)

    async def find(self, offer_id: int) -> OfferRecord:
        """The offer of that number, sold or not any more.

        Raises: OfferUnknown.
        """
        row = await self._db.get(Offer, (self._tenant_id, offer_id))
        if row is None:
            raise OfferUnknown(offer_id)
        return _record(row)

    async def sold(self, offer_id: int) -> OfferRecord:
        """The offer of that number, if it is sold today.

        Raises: OfferUnknown, OfferNotSold.
        """
        offer = await self.find(offer_id)
        if not offer["active"]:
            raise OfferNotSold(offer_id, offer["title"])
        return offer

    async def offers(
        self, *, active: bool | None = None, after_id: int = 0, limit: int | None = None
    ) -> list[OfferRecord]:
        """The catalogue by number, all of it or a page at a time (``after_id``); ``active`` picks those that are, or
        aren't, sold today."""
        query = select(Offer).where(Offer.tenant_id == self._tenant_id, Offer.id > after_id).order_by(Offer.id)
        if active is not None:
            query = query.where(Offer.active == active)
        return [_record(row) for row in await self._db.scalars(query.limit(limit))]


def _read(terms: OfferTerms, faults: Faults) -> OfferTerms:
    period = _months("billing_period_months", terms.billing_period_months, faults)
    term = _months("term_months", terms.term_months, faults)
    if period and term and term % period:
        faults.add("term_months", f"is no multiple of the billing period of {period} months")
    if terms.payment_terms not in get_args(PaymentTerms):
        faults.add("payment_terms", f"is neither prepaid nor postpaid: {terms.payment_terms}")
    template = terms.license_template_id
    return OfferTerms(
        title=faults.line("title", terms.title),
        price_minor=read_minor(faults, "price_minor", terms.price_minor),
        currency=read_currency(faults, "currency", terms.currency),
        term_months=term,
        payment_terms=terms.payment_terms,
        plan=faults.optional_line("plan", terms.plan),
        billing_period_months=period,
        setup_fee_minor=read_minor(faults, "setup_fee_minor", terms.setup_fee_minor),
        license_template_id=None if template is None else faults.number("license_template_id", template),
        active=terms.active,
    )


def _months(field: str, value: object, faults: Faults) -> int:
    months = faults.number(field, value)
    if months > LONGEST_TERM_MONTHS:
        faults.add(field, f"is more than {LONGEST_TERM_MONTHS} months")
        return 0
    return months


def _record(row: Offer) -> OfferRecord:
    return OfferRecord(
        offer_id=row.id,
        title=row.title,
        plan=row.plan,
        price_minor=row.price_minor,
        currency=row.currency,
        billing_period_months=row.billing_period_months,
        setup_fee_minor=row.setup_fee_minor,
        term_months=row.term_months,
        license_template_id=row.license_template_id,
        payment_terms=row.payment_terms,
        active=row.active,
    )
