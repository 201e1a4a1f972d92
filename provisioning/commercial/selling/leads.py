"""The door for leads: who may become a customer, and whether it is worth trying.

new --> qualified --> converted
 |          |  ^----------'  (taken back)
 +----------+--> disqualified
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import cast

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.customers.customer_language import read_language
from provisioning.commercial.errors import CustomerError
from provisioning.commercial.publishing import PublishEvent
from provisioning.commercial.selling.lead_rows import lead_of, lock_lead, refuse_unless_qualified
from provisioning.commercial.selling.offers import OfferCatalogue
from provisioning.commercial.selling.selling_errors import LeadConverted, LeadDisqualified, LeadUnknown, OfferError
from provisioning.commercial.selling.selling_tables import Lead, LeadState
from provisioning.errors import ChangeRaced, Fault, RequestConflict
from provisioning.intake import Clock, Faults
from provisioning.rounds import due_round
from workflows.definitions.lead_to_customer_onboarding import LEAD_TO_CUSTOMER_ONBOARDING, onboarding_key

LONGEST_ADDRESS = 500
LONGEST_REASON = 500
QUALIFIED = "lead.qualified"
WHAT = "The lead"


class LeadRecord(TypedDict):
    """A lead. ``existing_customer_id``: the customer who wants more; ``customer_id``: whom it has become."""

    lead_id: int
    source: str
    name: str
    company: str | None
    email: str
    phone: str | None
    language: str | None
    address: str | None
    service_location: str | None
    offer_id: int | None
    existing_customer_id: int | None
    state: LeadState
    registered_at: datetime
    qualified_at: datetime | None
    customer_id: int | None
    reason: str | None


class Leads:
    """The ISP's leads. Writes only ``db``, events included; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, publish: PublishEvent) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._publish = publish
        self._offers = OfferCatalogue(db, tenant_id=tenant_id)

    async def register(  # noqa: PLR0913 - each is a fact about the lead
        self,
        *,
        source: str,
        name: str,
        email: str,
        phone: str | None = None,
        language: str | None = None,
        company: str | None = None,
        address: str | None = None,
        service_location: str | None = None,
        offer_id: int | None = None,
        existing_customer_id: int | None = None,
        request_id: str | None = None,
    ) -> LeadRecord:
        """Keep a lead: who, from where, reached how, interested in which offer; in which language their customer is
        written to. The same request is one lead.

        Raises: InvalidRequest (all faults), OfferUnknown, OfferNotSold, CustomerUnknown, CustomerWithdrawn,
        RequestConflict, ChangeRaced.
        """
        faults = Faults(WHAT)
        said = {
            "source": source,
            "name": name,
            "email": email,
            "phone": phone,
            "language": language,
            "company": company,
            "address": address,
            "service_location": service_location,
            "offer_id": offer_id,
            "existing_customer_id": existing_customer_id,
        }
        wanted = _read(faults, said)
        request = faults.request_id(request_id)
        if not faults.count and (known := await self._registered(request, wanted)) is not None:
            return known
        await self._refuse_unless_there(faults, wanted)
        return await self._insert(request, wanted)

    async def _refuse_unless_there(self, faults: Faults, wanted: Mapping[str, object]) -> None:
        """What the lead refers to must be there. If that alone is wrong, it is told as what it is; else with the rest.

        Raises: InvalidRequest with all faults; OfferError, CustomerError.
        """
        refusals = await self._not_there(wanted)
        if not faults.count and len(refusals) == 1:
            raise refusals[0][1]
        for field, refusal in refusals:
            faults.add(field, str(refusal))
        faults.refuse_if_any()

    async def faults_in(self, said: Mapping[str, object]) -> tuple[Fault, ...]:
        """What is wrong with what is said of a lead, of which some may be missing."""
        faults = Faults(WHAT)
        wanted = _read(faults, said)
        for field, refusal in await self._not_there(wanted):
            faults.add(field, str(refusal))
        return tuple(fault for fault in faults.all if fault.field in said)

    async def _not_there(self, wanted: Mapping[str, object]) -> list[tuple[str, OfferError | CustomerError]]:
        customers = partial(require_customer, self._db, self._tenant_id)
        refusals = list[tuple[str, OfferError | CustomerError]]()
        for field, catalogue in (("offer_id", self._offers.sold), ("existing_customer_id", customers)):
            if number := cast("int | None", wanted[field]):
                try:
                    await catalogue(number)
                except (OfferError, CustomerError) as error:
                    refusals.append((field, error))
        return refusals

    async def qualify(self, *, lead_id: int, by: str, existing_customer_id: int | None = None) -> LeadRecord:
        """Somebody has looked, and the lead is worth a customer; the event that starts the onboarding is in the same
        commit. ``existing_customer_id`` says that the lead is a customer already. Qualifying twice is the same, unless
        the onboarding has come to nothing since: then it begins its next round.

        Raises: InvalidRequest, LeadUnknown, LeadDisqualified, LeadConverted (to another customer than this),
        CustomerUnknown, CustomerWithdrawn.
        """
        faults = Faults("The qualification")
        who = faults.line("by", by)
        customer = existing_customer_id
        if customer is not None:
            faults.number("existing_customer_id", customer)
        faults.refuse_if_any()
        row = await lock_lead(self._db, self._tenant_id, lead_id)
        if row.state == "disqualified":
            raise LeadDisqualified(lead_id, row.reason)
        if row.state == "converted":
            assert row.customer_id is not None, "a converted lead has its customer, by constraint"
            if customer not in (None, row.customer_id):
                raise LeadConverted(lead_id, row.customer_id)
            return _record(row)
        if customer is not None:
            await require_customer(self._db, self._tenant_id, customer)
            row.existing_customer_id = customer
        if row.state == "new":
            row.state, row.qualified_at = "qualified", self._now()
            await self._tell(row, 1, who)
        elif (due := await onboarding_round(self._db, self._tenant_id, lead_id)) > 1:
            await self._tell(row, due, who)
        await self._db.flush()  # a later question in this transaction must find it qualified
        return _record(row)

    async def disqualify(self, *, lead_id: int, reason: str) -> LeadRecord:
        """It leads nowhere. Saying so twice is the same: the first reason stands.

        Raises: InvalidRequest, LeadUnknown, LeadConverted.
        """
        faults = Faults("The disqualification")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await lock_lead(self._db, self._tenant_id, lead_id)
        if row.customer_id is not None:
            raise LeadConverted(lead_id, row.customer_id)
        if row.state != "disqualified":
            row.state, row.reason = "disqualified", why
            await self._db.flush()
        return _record(row)

    async def lead(self, lead_id: int, *, hold: bool = False) -> LeadRecord:
        """``hold``: nobody changes it until the transaction ends. Raises: LeadUnknown."""
        if hold:
            return _record(await lock_lead(self._db, self._tenant_id, lead_id))
        return _record(await self._row(lead_id))

    async def qualified(self, lead_id: int) -> LeadRecord:
        """A lead that may become a customer.

        Raises: LeadUnknown, LeadNotQualified, LeadDisqualified, LeadConverted.
        """
        row = await self._row(lead_id)
        refuse_unless_qualified(row)
        return _record(row)

    async def leads(
        self, *, state: LeadState | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[LeadRecord]:
        """The newest first, a page at a time (``before_id``)."""
        query = select(Lead).where(Lead.tenant_id == self._tenant_id).order_by(Lead.id.desc()).limit(limit)
        if state is not None:
            query = query.where(Lead.state == state)
        if before_id is not None:
            query = query.where(Lead.id < before_id)
        return [_record(row) for row in await self._db.scalars(query)]

    async def _tell(self, row: Lead, round_: int, by: str) -> None:
        data = {"lead_id": row.id, "offer_id": row.offer_id, "round": round_}
        key = f"lead/{row.id}/qualified" + (f"/{round_}" if round_ > 1 else "")
        await self._publish(self._db, QUALIFIED, f"lead/{row.id}", data, key, by)

    async def _row(self, lead_id: int) -> Lead:
        row = await self._db.scalar(lead_of(self._tenant_id, lead_id))
        if row is None:
            raise LeadUnknown(lead_id)
        return row

    async def _insert(self, request_id: str | None, wanted: dict[str, object]) -> LeadRecord:
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(Lead)
                    .values(
                        tenant_id=self._tenant_id,
                        request_id=request_id,
                        state="new",
                        registered_at=self._now(),
                        email_key=str(wanted["email"]).lower(),
                        **wanted,
                    )
                    .returning(Lead)
                )
        except IntegrityError as exc:
            if (known := await self._registered(request_id, wanted)) is not None:
                return known
            raise ChangeRaced from exc
        assert row is not None
        return _record(row)

    async def _registered(self, request_id: str | None, wanted: dict[str, object]) -> LeadRecord | None:
        if request_id is None:
            return None
        row = await self._db.scalar(
            select(Lead).where(Lead.tenant_id == self._tenant_id, Lead.request_id == request_id)
        )
        if row is None:
            return None
        # whose customer the lead is may have been said since, when it was qualified
        as_it_came = {**wanted, "existing_customer_id": wanted["existing_customer_id"] or row.existing_customer_id}
        if any(getattr(row, field) != value for field, value in as_it_came.items()):
            raise RequestConflict(request_id, f"lead {row.id}")
        return _record(row)


async def onboarding_round(db: AsyncSession, tenant_id: str, lead_id: int) -> int:
    """Which round of the lead's onboarding is due."""
    journey, key_of = LEAD_TO_CUSTOMER_ONBOARDING.name, partial(onboarding_key, lead_id)
    return await due_round(db, tenant_id=tenant_id, journey=journey, key_of=key_of)


def _read(faults: Faults, said: Mapping[str, object]) -> dict[str, object]:
    """What is kept of what is said of a lead."""
    offer_id, customer_id = said.get("offer_id"), said.get("existing_customer_id")
    return {
        "source": faults.line("source", said.get("source"), longest=60),
        "name": faults.line("name", said.get("name")),
        "email": faults.email("email", said.get("email")),
        "phone": faults.phone("phone", said.get("phone")),
        "language": read_language(faults, "language", said.get("language")),
        "company": faults.optional_line("company", said.get("company")),
        "address": faults.optional_line("address", said.get("address"), longest=LONGEST_ADDRESS),
        "service_location": faults.optional_line("service_location", said.get("service_location")),
        "offer_id": None if offer_id is None else faults.number("offer_id", offer_id),
        "existing_customer_id": None if customer_id is None else faults.number("existing_customer_id", customer_id),
    }


def _record(row: Lead) -> LeadRecord:
    return LeadRecord(
        lead_id=row.id,
        source=row.source,
        name=row.name,
        company=row.company,
        email=row.email,
        phone=row.phone,
        language=row.language,
        address=row.address,
        service_location=row.service_location,
        offer_id=row.offer_id,
        existing_customer_id=row.existing_customer_id,
        state=row.state,
        registered_at=row.registered_at,
        qualified_at=row.qualified_at,
        customer_id=row.customer_id,
        reason=row.reason,
    )
