"""The door for partners: the order of a new customer is read, checked and told as an event; a journey does the rest."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial import (
    LARGEST_ALLOCATION,
    DomainUnproven,
    OfferCatalogue,
    OfferError,
    PartnerDomains,
    PartnerError,
    PartnerOrderedOtherwise,
    PartnerService,
    WhiteLabel,
    read_customer_data,
    read_white_label,
)
from provisioning.commercial.money import to_decimal
from provisioning.commercial.partners.commissions import read_amount
from provisioning.commercial.publishing import PublishEvent
from provisioning.intake import Clock, Faults
from provisioning.rounds import due_round
from workflows import EventConflict, show_event
from workflows.answers import PartnerRecord
from workflows.definitions.partner_customer_provisioning import PARTNER_CUSTOMER_PROVISIONING, provisioning_key

PARTNER_CUSTOMER_CREATED = "partner.customer.created"
_BASE = "commission_amount"
ORDER_FIELDS = ("order_ref", "customer_data", "license_count", "white_label_config", "sale_amount", "offer_id")


class SubmittedOrder(TypedDict):
    """A partner's order as it was taken; the event's key, under which it is known again."""

    partner_id: int
    order_ref: str
    event_key: str


class PartnerDesk:
    """Accepts partners' orders within the caller's transaction. ``public_url`` is the appliance's own address."""

    def __init__(
        self, db: AsyncSession, *, publish: PublishEvent, tenant_id: str, now: Clock, public_url: str | None
    ) -> None:
        self._db = db
        self._publish = publish
        self._tenant_id = tenant_id
        self._now = now
        self._partners = PartnerService(db, tenant_id=tenant_id, now=now)
        self._offers = OfferCatalogue(db, tenant_id=tenant_id)
        self._own_host = urlsplit(public_url or "").hostname or ""

    async def submit(self, partner_id: int, order: Any, *, by: str, themselves: bool = False) -> SubmittedOrder:
        """Takes the order of a partner's new customer, if every part of it makes sense.

        ``order``: ``order_ref`` (the partner's own number of it), ``customer_data`` {name, email, phone?},
        ``license_count``, ``white_label_config``, and for partners with a share what this is a share of: ``offer_id``,
        what each licence is sold for by the price list for one billing period, or ``sale_amount``, a decimal as text in
        the partner's currency. Partners who order ``themselves`` name the offer: an amount of their own would be their
        commission. Whether licences are left is the journey's gate, not this door's: an order that comes again must not
        be refused because it took the last one itself. One that was rejected or undone may be handed in again, changed
        or not: that is its next round.

        Raises: InvalidRequest with all faults at once, before anything is written; PartnerOrderedOtherwise if this
        order was taken with other content, and is under way or done; whatever else ``publish`` refuses.
        """
        faults = Faults("The partner's order")
        given = _fields(faults, order)
        reference = faults.line("order_ref", given.get("order_ref"), longest=100)
        partner = await self._partner(faults, partner_id)
        customer = read_customer_data(faults, given.get("customer_data"))
        brand = read_white_label(faults, given.get("white_label_config"), own_host=self._own_host)
        await self._domain(faults, partner, brand.domain)
        count = faults.number("license_count", given.get("license_count"))
        if count > LARGEST_ALLOCATION:
            faults.add("license_count", f"is more than {LARGEST_ALLOCATION}")
        amount = await self._commission_base(faults, given, partner, count=count, themselves=themselves)
        faults.refuse_if_any()
        assert partner is not None, "a partner who is not known has left a fault"
        due = await provisioning_round(self._db, self._tenant_id, partner_id, reference)
        key = provisioning_key(partner_id, reference, due)
        data = {
            "partner_id": partner_id,
            "order_ref": reference,
            "round": due,
            "customer_data": {field: customer[field] for field in ("name", "email", "phone")},
            "license_count": count,
            "white_label_config": _config(brand),
            "commission_type": partner["commission_type"],
            "commission_amount": str(amount),
            "currency": partner["currency"],
        }
        try:
            await self._publish(self._db, PARTNER_CUSTOMER_CREATED, f"partner/{partner_id}", data, key, by)
        except EventConflict as conflict:
            if not await self._is_as_taken(conflict, data):
                raise
        return SubmittedOrder(partner_id=partner_id, order_ref=reference, event_key=key)

    async def _is_as_taken(self, conflict: EventConflict, data: Mapping[str, Any]) -> bool:
        """Whether all that the partner says of the order was said before. What was agreed upon of the commission is not
        theirs to say, so that an order stays the same when that changes. False: what stands in the way is no order of
        this partner. Raises: PartnerOrderedOtherwise."""
        taken = (await show_event(self._db, conflict.event_id, tenant_id=self._tenant_id)).data
        if not isinstance(taken, dict) or any(taken.get(name) != data[name] for name in ("partner_id", "order_ref")):
            return False
        before, now = _parts(taken), _parts(data)
        kinds = {before.pop("commission_type", None), now.pop("commission_type")}
        sale, sale_now = before.pop(_BASE, None), now.pop(_BASE)
        if kinds == {"percentage"}:  # of what the customer pays: told, or an offer's price of today
            before["sale_amount"], now["sale_amount"] = sale, sale_now
        if differs := _differences(before, now):
            raise PartnerOrderedOtherwise(data["partner_id"], data["order_ref"], differs) from conflict
        return True

    async def _partner(self, faults: Faults, partner_id: object) -> PartnerRecord | None:
        number = faults.number("partner_id", partner_id)
        if not number:
            return None
        try:
            partner = await self._partners.partner(number)
        except PartnerError as error:
            faults.add("partner_id", str(error))
            return None
        if partner["state"] != "active":
            faults.add("partner_id", f"names partner {number}, who is {partner['state']}")
        return partner

    async def _domain(self, faults: Faults, partner: PartnerRecord | None, domain: str | None) -> None:
        if partner is not None:
            domains = PartnerDomains(self._db, tenant_id=self._tenant_id, now=self._now)
            await find_domain_fault(faults, domains, partner["partner_id"], domain)

    async def _commission_base(
        self,
        faults: Faults,
        given: Mapping[str, object],
        partner: PartnerRecord | None,
        *,
        count: int,
        themselves: bool,
    ) -> Decimal:
        """What ``record_commission`` is to be given: what the customer pays, or the fixed sum that was agreed."""
        sale_amount, offer_id = given.get("sale_amount"), given.get("offer_id")
        if partner is not None and partner["commission_fixed_minor"] is not None:
            for name in ("sale_amount", "offer_id"):
                if given.get(name) is not None:
                    faults.add(name, "does not matter: a fixed commission was agreed")
            return to_decimal(partner["commission_fixed_minor"], partner["currency"])
        currency = partner["currency"] if partner else "EUR"
        if sale_amount is not None and offer_id is not None:
            faults.add("sale_amount", "is what the price list says of offer_id: leave one of them out")
        elif sale_amount is not None and themselves:
            faults.add("sale_amount", "is not the partner's to say: name the offer_id that was sold")
        elif offer_id is not None or themselves:
            return await self._listed_amount(faults, offer_id, currency, count)
        else:
            return _told_amount(faults, sale_amount, currency)
        return Decimal()

    async def _listed_amount(self, faults: Faults, offer_id: object, currency: str, count: int) -> Decimal:
        """What so many of an offer cost for one billing period."""
        if offer_id is None:
            faults.add("offer_id", "is missing: it says what each licence is sold for")
            return Decimal()
        number = faults.number("offer_id", offer_id)
        if not number:
            return Decimal()
        try:
            offer = await self._offers.sold(number)
        except OfferError as error:
            faults.add("offer_id", str(error))
            return Decimal()
        if offer["currency"] != currency:
            faults.add("offer_id", f"is sold in {offer['currency']}, and the partner's currency is {currency}")
        elif not offer["price_minor"]:
            faults.add("offer_id", f"is {number} ({offer['title']}), which costs nothing")
        return to_decimal(offer["price_minor"] * count, offer["currency"])


async def find_domain_fault(faults: Faults, domains: PartnerDomains, partner_id: int, domain: str | None) -> None:
    """A brand's host name must be proven to be the partner's before anything is promised under it."""
    try:
        await domains.require_proven(partner_id, domain)
    except DomainUnproven as error:
        faults.add("white_label_config.domain", str(error))


def ordered_otherwise(taken: Mapping[str, Any], told: Mapping[str, Any]) -> PartnerOrderedOtherwise:
    """The refusal of an order that was ``taken`` before and is ``told`` otherwise now, both as the event has them."""
    return PartnerOrderedOtherwise(told["partner_id"], told["order_ref"], _differences(_parts(taken), _parts(told)))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Of each part that differs what was and what is said; None: it isn't."""
    return {
        name: (before.get(name), now.get(name))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    }


async def provisioning_round(db: AsyncSession, tenant_id: str, partner_id: int, order_ref: str) -> int:
    """Which round of the partner's order is due."""
    journey, key_of = PARTNER_CUSTOMER_PROVISIONING.name, partial(provisioning_key, partner_id, order_ref)
    return await due_round(db, tenant_id=tenant_id, journey=journey, key_of=key_of)


def _fields(faults: Faults, order: object) -> Mapping[str, object]:
    if not isinstance(order, Mapping):
        faults.add("order", "is no set of fields")
        return {}
    for unknown in sorted(str(name) for name in order if name not in ORDER_FIELDS):
        faults.add(unknown, "is not known here")
    return cast(Mapping[str, object], order)


def _parts(order: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """What an order's event says, each part by its path; an amount with its currency."""
    parts: dict[str, Any] = {}
    for name, said in order.items():
        parts |= _parts(said, f"{within}{name}.") if isinstance(said, Mapping) else {f"{within}{name}": said}
    if _BASE in parts and "currency" in parts:
        parts[_BASE] = f"{parts[_BASE]} {parts.pop('currency')}"
    return parts


def _told_amount(faults: Faults, sale_amount: object, currency: str) -> Decimal:
    text = faults.line("sale_amount", sale_amount, longest=40)
    if not text:
        return Decimal()
    try:
        return to_decimal(read_amount(faults, "sale_amount", Decimal(text), currency), currency)
    except InvalidOperation:
        faults.add("sale_amount", f"is no decimal amount: {text}")
        return Decimal()


def _config(brand: WhiteLabel) -> dict[str, Any]:
    """The brand as ``provision_partner_tenant`` reads it, with nothing left to be chosen."""
    colours = {"primary": brand.primary, "on_primary": brand.on_primary}
    config = {"name": brand.name, "colours": colours, "logo_url": brand.logo_url, "domain": brand.domain}
    return {field: value for field, value in config.items() if value is not None}
