"""The door for events that make customers: each is checked against everything we know, and only then becomes a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    LARGEST_ALLOCATION,
    LeadError,
    LeadRecord,
    Leads,
    OfferCatalogue,
    OfferError,
    PartnerDomains,
    PartnerError,
    read_customer_data,
    read_white_label,
)
from provisioning.commercial.notices.notice_errors import TeamUnknown
from provisioning.commercial.notices.teams import require_team
from provisioning.commercial.partners.commissions import read_amount
from provisioning.commercial.selling.leads import onboarding_round
from provisioning.commercial.tenants.brand import WhiteLabel
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults, faults_of
from provisioning.partners import find_domain_fault, ordered_otherwise, provisioning_round
from workflows import RunConflict, Runs, Services, inputs_of, sound_parts
from workflows.answers import PartnerRecord
from workflows.definitions.lead_to_customer_onboarding import (
    LEAD_TO_CUSTOMER_ONBOARDING,
    LeadQualified,
    QualifiedLead,
    onboarding_key,
)
from workflows.definitions.partner_customer_provisioning import PARTNER_CUSTOMER_PROVISIONING, PartnerOrder

LEAD, PARTNERS_ORDER = "The lead", "The partner's order"
OF_LEADS, OF_PARTNERS = LEAD_TO_CUSTOMER_ONBOARDING.name, PARTNER_CUSTOMER_PROVISIONING.name


@dataclass(frozen=True)
class OnboardingTerms:
    """What the ISP has settled for every onboarding: whose ticket it is, and where customers' pages answer."""

    team: str
    public_url: str | None


class OnboardingDesk:
    """Starts the journeys that make customers, within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        services: Services,
        runs: Runs,
        leads: Leads,
        offers: OfferCatalogue,
        domains: PartnerDomains,
        tenant_id: str,
        terms: OnboardingTerms,
    ) -> None:
        self._db = db
        self._services = services
        self._runs = runs
        self._leads = leads
        self._offers = offers
        self._domains = domains
        self._tenant_id = tenant_id
        self._terms = terms

    async def lead_qualified(self, data: Any, *, by: str) -> tuple[int, bool]:
        """The run that onboards a qualified lead, and whether it is new. ``data``: `LeadQualified`.

        The same lead again is the same run, unless that has come to nothing: an event without a round begins the next.

        Raises: InvalidRequest with all faults at once, before anything is written: a lead that isn't qualified or is a
        customer already, an offer that isn't sold or has no licence template, a team that isn't there; RunConflict.
        """
        try:
            event = LeadQualified.model_validate(data)
        except ValidationError as error:
            raise InvalidRequest(LEAD, await self._lead_faults(data, error)) from error
        faults = Faults(LEAD)
        lead = await self._lead(faults, event.lead_id)
        offer_id = event.offer_id or (lead and lead["offer_id"])
        template_id = await self._template_of(faults, event.lead_id, offer_id)
        await self._settled(faults)
        due = await onboarding_round(self._db, self._tenant_id, event.lead_id)
        round_ = event.round or due
        known = await self._runs.find(self._db, OF_LEADS, onboarding_key(event.lead_id, round_))
        if round_ > due:
            faults.add("round", f"is {round_}, and this lead's round {due} is due")
        if faults.count and known is not None and event.offer_id in (None, lead and lead["offer_id"]):
            return known, False  # told again, after the run has made a customer of it
        faults.refuse_if_any()
        assert offer_id and template_id, "without them there were faults"
        wanted = QualifiedLead(
            lead_id=event.lead_id,
            round=round_,
            plan_id=offer_id,
            license_template_id=template_id,
            ticket_team=self._terms.team,
        )
        return await self._runs.start(self._db, OF_LEADS, wanted, by=by)

    async def partner_customer_created(self, data: Any, *, by: str) -> tuple[int, bool]:
        """The run that provisions a partner's customer, and whether it is new. ``data``: `PartnerOrder`.

        The same order is the same run, unless that has come to nothing: an event without a round begins the next one.

        Whether licences are left is the journey's gate, not this door's.

        Raises: InvalidRequest with all faults at once, before anything is written; PartnerOrderedOtherwise if this
        order of the partner's came before with other content.
        """
        try:
            order = PartnerOrder.model_validate(data)
        except ValidationError as error:
            raise InvalidRequest(PARTNERS_ORDER, await self._order_faults(data, error)) from error
        due = await provisioning_round(self._db, self._tenant_id, order.partner_id, order.order_ref)
        if "round" not in order.model_fields_set:
            order = order.model_copy(update={"round": due})
        faults = Faults(PARTNERS_ORDER)
        if order.round > due:
            faults.add("round", f"is {order.round}, and this order's round {due} is due")
        partner = await self._partner(faults, order.partner_id)
        if partner is not None:
            _compare_terms(faults, order, partner)
        read_customer_data(faults, order.customer_data.model_dump())
        brand = self._brand(faults, order.white_label_config.model_dump(exclude_none=True))
        if partner is not None:
            await find_domain_fault(faults, self._domains, order.partner_id, brand.domain)
        if order.license_count > LARGEST_ALLOCATION:
            faults.add("license_count", f"is more than {LARGEST_ALLOCATION}")
        self._page_has_an_address(faults)
        key = PARTNER_CUSTOMER_PROVISIONING.key(order)
        if await self._runs.find(self._db, OF_PARTNERS, key) is None:  # an order told again is its run, whatever is now
            faults.refuse_if_any()
        try:
            return await self._runs.start(self._db, OF_PARTNERS, order, by=by)
        except RunConflict as conflict:
            told = await inputs_of(self._db, tenant_id=self._tenant_id, run_ids=[conflict.run_id])
            raise ordered_otherwise(told[conflict.run_id], order.model_dump(mode="json")) from conflict

    async def _lead_faults(self, data: Any, error: ValidationError) -> Sequence[Fault]:
        """What is malformed, and what is not so of the rest."""
        faults, rest = Faults(LEAD), Faults(LEAD)
        faults.add_all(faults_of(error, whole="lead"))
        sound = sound_parts(data, error)
        lead_id, offer_id = sound.get("lead_id"), sound.get("offer_id")
        if lead_id is not None:
            await self._lead(rest, lead_id)
        if offer_id is not None:
            await self._template_of(rest, 0, offer_id)
        faults.add_all(rest.all)
        return faults.all

    async def _order_faults(self, data: Any, error: ValidationError) -> Sequence[Fault]:
        """What is malformed, and what is not so of the rest."""
        faults, rest = Faults(PARTNERS_ORDER), Faults(PARTNERS_ORDER)
        faults.add_all(faults_of(error, whole="order"))
        sound = sound_parts(data, error)
        if (partner_id := sound.get("partner_id")) is not None:
            await self._partner(rest, partner_id)
        if "customer_data" in sound:
            read_customer_data(rest, sound["customer_data"])
        if "white_label_config" in sound:
            self._brand(rest, sound["white_label_config"])
        faults.add_all(rest.all)
        return faults.all

    def _brand(self, faults: Faults, config: object) -> WhiteLabel:
        own_host = urlsplit(self._terms.public_url or "").hostname or ""
        return read_white_label(faults, config, own_host=own_host)

    async def _lead(self, faults: Faults, lead_id: int) -> LeadRecord | None:
        """The lead, in whatever state; None if there is none."""
        lead = None
        try:
            lead = await self._leads.lead(lead_id)
            await self._leads.qualified(lead_id)
        except LeadError as error:
            faults.add("lead_id", str(error))
        return lead

    async def _template_of(self, faults: Faults, lead_id: int, offer_id: int | None) -> int | None:
        if offer_id is None:
            faults.add("offer_id", f"is missing: lead {lead_id} names no offer; register it anew with what is wanted")
            return None
        try:
            offer = await self._offers.sold(offer_id)
        except OfferError as error:
            faults.add("offer_id", str(error))
            return None
        if offer["license_template_id"] is None:
            words = f"is {offer_id} ({offer['title']}), which has no licence template; give it one in the estate"
            faults.add("offer_id", words)
        return offer["license_template_id"]

    async def _settled(self, faults: Faults) -> None:
        try:
            await require_team(self._db, self._tenant_id, self._terms.team)
        except TeamUnknown as error:
            faults.add("FIRSTLIGHT_ONBOARDING_TEAM", str(error))
        self._page_has_an_address(faults)

    def _page_has_an_address(self, faults: Faults) -> None:
        if self._terms.public_url is None:
            faults.add("FIRSTLIGHT_PUBLIC_URL", "doesn't say where this appliance is reached; set it, then try again")

    async def _partner(self, faults: Faults, partner_id: int) -> PartnerRecord | None:
        try:
            partner = await self._services.partner_service.partner(partner_id)
        except PartnerError as error:
            faults.add("partner_id", str(error))
            return None
        if partner["state"] != "active":
            faults.add("partner_id", f"names partner {partner_id}, who is {partner['state']}")
        return partner


def _compare_terms(faults: Faults, order: PartnerOrder, partner: PartnerRecord) -> None:
    """What an order says of its commission must be what was agreed with the partner."""
    if order.commission_type != partner["commission_type"]:
        faults.add("commission_type", f"is {order.commission_type}; {partner['commission_type']} was agreed")
    if order.currency != partner["currency"]:
        faults.add("currency", f"is {order.currency}; {partner['currency']} was agreed")
        return
    minor = read_amount(faults, "commission_amount", order.commission_amount, order.currency)
    agreed = partner["commission_fixed_minor"]
    if minor and agreed is not None and order.commission_type == "fixed" and minor != agreed:
        faults.add("commission_amount", f"is {order.commission_amount}; another fixed amount was agreed")
